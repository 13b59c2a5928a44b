"""Long convolutions in blocks of positions: what they give is what the whole gives."""

import pytest
import torch
from torch import nn

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance import blocks, forward
from sparselrp_cli.relevance.blocks import blocks_of, step_by_block
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.rules import RULES
from sparselrp_cli.relevance.step import Denominators, PreparedLayer, propagate

CHANNELS, POSITIONS = 3, 57
GEOMETRIES = {
    "plain": {},
    "same": {"padding": 3},
    "dilated": {"padding": 6, "dilation": 2},
    "strided": {"stride": 3, "padding": 2},
    "far apart": {"stride": 9},
    "grouped": {"groups": 2, "padding": 1},
}


def convolution(**geometry):
    """A convolution of a traced network, of width 7."""
    torch.manual_seed(len(geometry))
    module = nn.Conv1d(4, 2 * CHANNELS, 7, **geometry).double()
    graph = capture(module, torch.randn(2, 4, POSITIONS, dtype=torch.float64))
    return next(node.operation for node in graph.nodes if node.operation.kind == "convolution")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten positions make a block."""
    monkeypatch.setattr(blocks, "LARGEST_PIECE", 10 * 2 * CHANNELS)


@pytest.mark.parametrize("signed", [False, True], ids=["non-negative inputs", "inputs of both signs"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_blocks_give_what_the_whole_gives(short, geometry, rule, signed):
    layer = convolution(**geometry)
    a = torch.randn(2, 4, POSITIONS, dtype=torch.float64)
    a = a if signed else a.relu()
    prepared = PreparedLayer.prepare(layer, RULES[rule](), not signed)
    z, _ = layer.forward(a)
    c = torch.randn_like(z)
    c[:, :, 12:31] = 0  # no relevance in whole blocks

    def whole(layer, a, z, c):
        return propagate(layer, "layer", a, z, c, Samples(len(z)), Denominators(keep=False))

    expected = whole(prepared, a, z, c)
    cut = blocks_of(prepared, a, z, Samples(len(z)))
    found = step_by_block(cut, prepared, a, z, c, whole)

    by_position = rule in ("flat", "w-square", "z-box")
    assert len(cut) == (0 if by_position or z.shape[2] <= 10 else -(-z.shape[2] // 10))
    if cut:
        torch.testing.assert_close(found.multiplier, expected.multiplier, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(found.to_bias, expected.to_bias, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(found.to_stabiliser, expected.to_stabiliser, rtol=1e-10, atol=1e-10)


def test_where_a_block_would_read_nothing_but_padding_nothing_is_cut(short):
    layer = convolution(padding=30)
    a = torch.randn(1, 4, POSITIONS, dtype=torch.float64)
    z, _ = layer.forward(a)

    assert z.shape[2] > 10
    assert blocks_of(PreparedLayer.prepare(layer, RULES["epsilon"](), False), a, z, Samples(1)) == []


def test_short_convolutions_are_not_cut():
    layer = convolution()
    a = torch.randn(1, 4, POSITIONS, dtype=torch.float64)
    z, _ = layer.forward(a)

    assert blocks_of(PreparedLayer.prepare(layer, RULES["epsilon"](), False), a, z, Samples(1)) == []


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("redistribute", ["lambda", "m"])
def test_a_network_is_explained_the_same_in_blocks(monkeypatch, redistribute, n_targets):
    torch.manual_seed(5)
    module = nn.Sequential(
        nn.Conv1d(4, 6, 9, padding=4), nn.GELU(), nn.Conv1d(6, 6, 5, padding=2), nn.ReLU(),
        nn.MaxPool1d(2), nn.Conv1d(6, 3, 3, padding=1),
    ).double()  # fmt: skip
    x = nn.functional.one_hot(torch.randint(4, (2, 200)), 4).transpose(1, 2).double()
    targets = [Target(str(i), (Term(0, i, None),)) for i in range(n_targets)]
    pruning = Pruning(0.1, redistribute=redistribute)
    explainer = Explainer(capture(module, x), targets, None, PRESETS["epsilon-gamma"], pruning)
    expected = explainer.explain(x)
    cut = []

    def counted(*given):
        cut.append(blocks_of(*given))
        return cut[-1]

    monkeypatch.setattr(forward, "blocks_of", counted)
    monkeypatch.setattr(blocks, "LARGEST_PIECE", 120)

    for found, wanted in zip(explainer.explain(x), expected, strict=True):
        torch.testing.assert_close(found.contributions, wanted.contributions, rtol=1e-9, atol=1e-12)
        assert found.conservation_error.max() < 1e-9

    # Denominators that another walk wants, or PLRP-M, are those of the whole.
    assert any(cut) == (n_targets == 1)
