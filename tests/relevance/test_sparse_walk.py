"""Work only where relevance is left: the same results as of the whole walk."""

import numpy as np
import pytest
import torch
from helpers.captures import captured_once
from oracles.captured import captured
from oracles.zoo import KINDS
from torch import nn

from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance import gathered
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.gathered import active_rows
from sparselrp_cli.relevance.pruning import Pruning

FIRST = Target("first", (Term(0, 0, None),))
PRUNINGS = [Pruning(0.0), Pruning(0.5), Pruning(0.9), Pruning(0.5, redistribute="m")]


def explained(monkeypatch, graph, x, target, composite, pruning, *, rows: bool) -> Explanation:
    """Explain with every convolution computed row by row, or none."""
    monkeypatch.setattr(gathered, "LEAST_WORK", 0 if rows else 1 << 62)
    monkeypatch.setattr(gathered, "DENSE_ABOVE", 1.0)
    (explanation,) = Explainer(graph, [target], composite=composite, pruning=pruning).explain(x)
    return explanation


def assert_same(one: Explanation, other: Explanation) -> None:
    scale = max(1.0, float(one.hypothetical.abs().max()))
    torch.testing.assert_close(one.hypothetical, other.hypothetical, rtol=1e-9, atol=1e-9 * scale)
    for name in ("score", "relevance", "absorbed", "lost"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-8, atol=1e-8 * scale)
    for a, b in zip(one.ledger.pruned_layers, other.ledger.pruned_layers, strict=True):
        assert a.tensor == b.tensor
        assert torch.equal(a.kept, b.kept)
        if a.fallback_columns is not None:
            assert torch.equal(a.fallback_columns, b.fallback_columns)


@pytest.mark.parametrize("pruning", PRUNINGS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_rows_with_relevance_give_what_whole_layers_give(monkeypatch, kind, pruning):
    case, graph = captured(kind, 7, samples=3)
    x = torch.from_numpy(case.inputs)
    for composite in (PRESETS["epsilon-plus"], PRESETS["epsilon-gamma"], PRESETS["epsilon-plus-flat"]):
        both = [
            explained(monkeypatch, graph, x, FIRST, composite, pruning, rows=rows) for rows in (True, False)
        ]
        assert_same(*both)


class Deep(nn.Module):
    """Dilated residual convolutions with one output per position."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 8, 5, padding=2)
        self.blocks = nn.ModuleList(nn.Conv1d(8, 8, 3, padding=d, dilation=d) for d in (1, 2, 4))
        self.head = nn.Conv1d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        for block in self.blocks:
            x = x + block(x).relu()
        return self.head(x)


def test_a_layer_without_any_relevance_gives_none(monkeypatch):
    torch.manual_seed(0)
    net = Deep().double().eval()
    one_hot = nn.functional.one_hot(torch.randint(4, (2, 60)), 4).transpose(1, 2).double()
    graph = captured_once(net, one_hot)
    nothing = Target("nothing", (Term(0, 0, (3, 4)), Term(0, 0, (3, 4), weight=-1)))
    result = explained(
        monkeypatch, graph, one_hot, nothing, PRESETS["epsilon-plus"], Pruning(0.25), rows=True
    )
    assert not result.hypothetical.any()
    assert not result.absorbed.any()


def test_only_layers_with_few_active_rows_are_gathered(monkeypatch):
    torch.manual_seed(0)
    net = Deep().double().eval()
    x = nn.functional.one_hot(torch.randint(4, (2, 60)), 4).transpose(1, 2).double()
    graph = captured_once(net, x)
    explainer = Explainer(graph, [FIRST])
    node = next(n for n in explainer.program.graph.nodes if n.operation.kind == "convolution")
    layer = explainer.program.layers[node.name].layer
    c = torch.zeros(2, 60, 8, dtype=torch.float64).movedim(-1, 1)
    monkeypatch.setattr(gathered, "LEAST_WORK", 0)
    c[0, 3, 7] = 1.0
    c[1, 0, [0, 59]] = 2.0
    found = active_rows(layer, c, Samples(2))
    assert found is not None
    assert found.index.tolist() == [7, 60, 119]
    assert found.firsts.tolist() == [0, 1, 3]
    assert torch.equal(found.take(c), c.movedim(1, -1).reshape(120, 8)[[7, 60, 119]])
    c[:] = torch.tensor(np.random.default_rng(0).normal(size=(2, 8, 60)))
    assert active_rows(layer, c, Samples(2)) is None
