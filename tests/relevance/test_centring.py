"""Contributions against a base composition: the gauge law, the accounts, strands, and what stays as it is."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from helpers.captures import captured_once
from oracles.captured import captured
from oracles.zoo import KINDS
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.relevance.choices import UNIFORM
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import NONE, Pruning
from sparselrp_cli.relevance.windows import WindowExplainer

FIRST = Target("first", (Term(0, 0, None),))
SKEWED = (0.1, 0.2, 0.3, 0.4)
LENGTH = 40


def one_hot(seed: int, n: int = 3, length: int = LENGTH) -> Tensor:
    bases = torch.randint(4, (n, length), generator=torch.Generator().manual_seed(seed))
    return functional.one_hot(bases, 4).mT.double().contiguous()


def network(seed: int) -> nn.Sequential:
    """A first layer without padding: at a border, where taps hang over, no base stands for the constant."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv1d(4, 12, 7), nn.ReLU(), nn.Conv1d(12, 12, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2),
            nn.Flatten(), nn.Linear(12 * 17, 8), nn.ReLU(), nn.Linear(8, 2),
        ).double().eval()  # fmt: skip


def explain(
    graph: CanonicalGraph, x: Tensor, composite: str, pruning: Pruning = NONE, **given: object
) -> Explanation:
    (found,) = Explainer(graph, [FIRST], None, PRESETS[composite], pruning, **given).explain(x)  # type: ignore[arg-type]
    return found


@functools.cache
def traced(seed: int) -> CanonicalGraph:
    return captured_once(network(seed), one_hot(1))


@functools.cache
def moved() -> CanonicalGraph:
    """The first network, of which a constant is moved from each tap to the bias."""
    net = network(0)
    shift = torch.randn(12, 1, 7, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        net[0].weight.add_(shift)
        net[0].bias.sub_(shift.sum((1, 2)))
    return captured_once(net, one_hot(1))


@pytest.mark.parametrize("p", [0.0, 0.05, 0.25])
@pytest.mark.parametrize("composite", ["zero", "epsilon"])
def test_a_constant_moved_from_a_tap_to_the_bias_moves_no_centred_map(composite, p):
    graph, x = moved(), one_hot(1)
    before = explain(traced(0), x, composite, Pruning(p), centre=UNIFORM)
    after = explain(graph, x, composite, Pruning(p), centre=UNIFORM)
    torch.testing.assert_close(after.score, before.score, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(after.hypothetical, before.hypothetical, rtol=1e-9, atol=1e-9)
    uncentred = explain(graph, x, composite, Pruning(p))
    assert not torch.allclose(uncentred.hypothetical, before.hypothetical, atol=1e-3)


@pytest.mark.parametrize("composition", [UNIFORM, SKEWED], ids=["uniform", "skewed"])
@pytest.mark.parametrize("composite", ["epsilon-gamma", "epsilon-plus", "epsilon-plus-flat"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_taken_off_is_booked(kind, composite, composition):
    case, graph = captured(kind, 4, samples=4)
    x = torch.from_numpy(case.inputs).clone()
    x[:, :, 2] = 0  # an unknown base
    if x.shape[1] != 4:
        pytest.skip("its input isn't bases")
    plain = explain(graph, x, composite, Pruning(0.05))
    centred = explain(graph, x, composite, Pruning(0.05), centre=composition)
    torch.testing.assert_close(centred.relevance + centred.background, plain.relevance, rtol=1e-9, atol=1e-9)
    size = 1 + float(plain.contributions.abs().sum())
    assert float((centred.conservation_error - plain.conservation_error).abs().max()) < 1e-10 * size
    differences = [found.hypothetical[:, 1:] - found.hypothetical[:, :1] for found in (plain, centred)]
    torch.testing.assert_close(*differences, rtol=1e-9, atol=1e-9)


def test_centred_multipliers_are_those_by_definition():
    x = one_hot(3)
    graph = traced(1)
    plain, centred = (explain(graph, x, "epsilon-gamma", centre=c) for c in (None, SKEWED))
    c = plain.hypothetical.numpy()
    for n in range(len(x)):
        background = 0.0
        for i in range(LENGTH):
            mean = sum(pi * c[n, b, i] for b, pi in enumerate(SKEWED))
            np.testing.assert_allclose(centred.hypothetical[n, :, i].numpy(), c[n, :, i] - mean, atol=1e-12)
            background += mean
        assert float(centred.background[n]) == pytest.approx(background, rel=1e-9, abs=1e-12)


def test_what_a_flat_first_layer_gives_a_position_is_not_background():
    x = one_hot(4)
    found = explain(traced(1), x, "epsilon-plus-flat", centre=UNIFORM)
    assert not found.background.any()
    assert float(found.relevance.abs().min()) > 0


@pytest.mark.parametrize("composition", [UNIFORM, SKEWED], ids=["uniform", "skewed"])
def test_the_reverse_complement_is_explained_by_the_strand_the_model_reads(composition):
    graph = traced(2)
    explainer = Explainer(graph, [FIRST], None, PRESETS["epsilon-gamma"], NONE, centre=composition)
    windows = one_hot(5).numpy().astype(np.uint8)
    reversed_windows = np.ascontiguousarray(windows[:, ::-1, ::-1])
    feed = WindowExplainer(explainer, InputLayout())
    as_read = feed.explain(windows, [False] * 3)
    from_the_other = feed.explain(reversed_windows, [True] * 3)
    np.testing.assert_array_equal(as_read.hypothetical, from_the_other.hypothetical[:, :, ::-1, ::-1])
    np.testing.assert_array_equal(as_read.accounting["background"], from_the_other.accounting["background"])


@pytest.mark.parametrize("layout", ["NCL", "NLC"])
def test_a_composition_follows_the_model_s_order_of_bases_and_axes(layout):
    order = InputLayout("TGCA", layout)
    net = network(3)

    class Reordered(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return net((x if layout == "NCL" else x.mT).flip(1))

    x = one_hot(6)
    plain = explain(traced(3), x, "epsilon-gamma", centre=SKEWED)
    asked = order.to_model(x)
    other = explain(
        captured_once(Reordered().eval(), asked), asked, "epsilon-gamma", centre=order.in_order(SKEWED),
        base_axis=order.base_axis,
    )  # fmt: skip
    torch.testing.assert_close(order.from_model(other.hypothetical), plain.hypothetical)


def test_a_composition_that_does_not_fit_the_input_is_refused():
    x = one_hot(7)
    with pytest.raises(ValueError, match="3 bases don't fit the axis of 4"):
        explain(traced(1), x, "epsilon", centre=(0.2, 0.3, 0.5))


def test_explanations_hold_the_background_among_their_accounts():
    assert "background" in {field.name for field in dataclasses.fields(Explanation)}
