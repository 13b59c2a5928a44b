"""Models that lay their samples along another axis, or beside other things along one axis."""

import logging

import pytest
import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.graph.tracing import Traced
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import Pruning

FIRST = Target("first", (Term(0, 0, None),))
LENGTH = 6


class RecurrentOverPositionsFirst(nn.Module):
    """A recurrent net as torch has it unless told otherwise: (L, N, features)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.cell, self.head = nn.Linear(4, 5), nn.GRU(5, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.cell(self.embed(x.transpose(0, 1).transpose(0, 2)).relu())
        return self.head(h.mean(0))


class PositionsAndSamplesMerged(nn.Module):
    """Linear layers over (L * N, features)."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(2, 0, 1).reshape(LENGTH * x.shape[0], 4)
        rows = self.two(self.one(rows).relu()).relu()
        return self.head(rows.reshape(LENGTH, x.shape[0], 5).mean(0))


class SamplesAndPositionsMerged(PositionsAndSamplesMerged):
    """Linear layers over (N * L, features)."""

    def forward(self, x: Tensor) -> Tensor:
        rows = self.two(self.one(x.transpose(1, 2).reshape(-1, 4)).relu()).relu()
        return self.head(rows.reshape(-1, LENGTH, 5).mean(1))


class Encoder(nn.Module):
    """A transformer over (L, N, features); its attention merges samples and heads."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 8, batch_first=False)
        self.embed = nn.Linear(4, 8)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x.permute(2, 0, 1))).mean(0))


class FixesItsBatch(PositionsAndSamplesMerged):
    """Turns the number of samples into a Python number, which torch.export then holds fixed."""

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        rows = self.two(self.one(x.transpose(1, 2).reshape(n * LENGTH, 4)).relu()).relu()
        return self.head(rows.reshape(n, LENGTH, 5).mean(1))


class FixesItsBatchPositionsFirst(PositionsAndSamplesMerged):
    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        rows = self.two(self.one(x.permute(2, 0, 1).reshape(LENGTH * n, 4)).relu()).relu()
        return self.head(rows.reshape(LENGTH, n, 5).mean(0))


class StrandsAmongSamples(nn.Module):
    """All windows before all their reverse complements; a recurrent layer's first states are constants."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.cell, self.head = nn.Conv1d(4, 5, 3), nn.GRU(5, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([x, x.flip(1, 2)])
        h, _ = self.cell(self.scan(both).relu().transpose(1, 2))
        y = self.head(h.mean(1))
        return (y[: len(x)] + y[len(x) :]) / 2


MODELS = (
    RecurrentOverPositionsFirst, PositionsAndSamplesMerged, SamplesAndPositionsMerged, Encoder, FixesItsBatch,
    FixesItsBatchPositionsFirst, StrandsAmongSamples,
)  # fmt: skip
PRUNINGS = (Pruning(0.25), Pruning(0.25, redistribute="m"))


@pytest.fixture(scope="module", params=MODELS, ids=lambda m: m.__name__)
def traced(request):
    """Each model, its graph, and five different windows."""
    torch.manual_seed(0)
    module = request.param().double().eval()
    bases = torch.randint(4, (5, LENGTH))
    x = nn.functional.one_hot(bases, 4).transpose(1, 2).double()
    return module, capture(module, x[:2]), x


def test_the_graph_computes_what_the_model_does_for_any_number_of_samples(traced):
    module, graph, x = traced
    graph.require_supported()
    for n in (1, 2, 3, 5):
        assert max(check_against_module(graph, module, x[:n]).values()) < 1e-12, f"{n} samples"


@pytest.mark.parametrize("pruning", PRUNINGS, ids=lambda p: p.redistribute)
def test_several_windows_together_are_explained_as_each_alone(traced, pruning):
    _, graph, x = traced
    explainer = Explainer(graph, [FIRST], pruning=pruning)
    (together,) = explainer.explain(x)
    alone: list[Explanation] = [explainer.explain(row[None])[0] for row in x]
    assert together.ledger.pruned_layers, "something is pruned"
    for name in ("hypothetical", "contributions", "score", "absorbed", "lost"):
        expected = torch.cat([getattr(a, name) for a in alone])
        torch.testing.assert_close(getattr(together, name), expected, rtol=1e-9, atol=1e-11)
    for i, layer in enumerate(together.ledger.pruned_layers):
        singles = [a.ledger.pruned_layers[i] for a in alone]
        assert layer.kept.tolist() == [int(s.kept) for s in singles], layer.tensor
        assert {layer.neurons} == {s.neurons for s in singles}, layer.tensor
    assert float(together.conservation_error.max()) < 1e-9


@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (3, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows_hold_one_sample_each_and_are_laid_back(axis, outer, inner):
    n, sizes = 4, [2, 5]
    shape = [*sizes[:axis], outer * n * inner, *sizes[axis:]]
    place = torch.arange(outer * n * inner)
    owner = place // inner % n  # the sample that each entry of the merged axis belongs to
    owners = owner.reshape([-1 if a == axis else 1 for a in range(3)]).expand(shape)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(axis)).double()
    samples = Samples(n, axis, outer, inner)
    assert torch.equal(samples.rows(owners), torch.arange(n)[:, None].expand(n, outer * inner * 10))
    assert torch.equal(samples.shaped(samples.rows(values), values), values)
    for sample, total in enumerate(samples.sums(values)):
        assert float(total) == pytest.approx(float(values[owners == sample].sum()), rel=1e-12)


@pytest.mark.parametrize("made", [FixesItsBatch, FixesItsBatchPositionsFirst])
def test_a_model_that_fixes_its_number_of_samples_is_traced_for_two_and_for_three(made, caplog):
    caplog.set_level(logging.DEBUG, "sparselrp")
    capture(made().double(), torch.rand(2, 4, LENGTH, dtype=torch.float64))
    said = [r.getMessage() for r in caplog.records if r.name == "sparselrp"]
    assert said == ["torch.export refuses a free number of samples; tracing for 2 and 3"]


class LoopsOverSamples(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[i].sum(1) for i in range(len(x))])


def test_a_model_that_loops_over_its_batch_is_refused():
    with pytest.raises(ModelError) as caught:
        capture(LoopsOverSamples(), torch.rand(2, 4, LENGTH))
    assert str(caught.value) == (
        "the model does different things for batches of 2 and of 3 samples (a loop over the batch?);"
        " write its forward for any number of samples"
    )


class LastState(nn.Module):
    """The state after the last position, of a recurrent net as torch has it unless told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTM(4, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.cell(x.permute(2, 0, 1))
        return self.head(h[-1])


def test_a_shape_that_torch_traces_wrongly_is_mended(monkeypatch):
    """Torch 2.11 gives the last state of a recurrent layer an axis too many."""
    module, x = LastState().double().eval(), torch.randn(3, 4, LENGTH, dtype=torch.float64)
    right = capture(module, x)
    traced = Traced.shape

    def with_an_axis_too_many(self, node):
        shape = traced(self, node)
        return (1, *shape) if node.name.startswith(("getitem", "select", "linear")) else shape

    monkeypatch.setattr(Traced, "shape", with_an_axis_too_many)
    found = capture(module, x)
    assert [node.shape for node in found.nodes] == [node.shape for node in right.nodes]
    assert found.outputs == right.outputs
    assert max(check_against_module(found, module, x).values()) < 1e-12
