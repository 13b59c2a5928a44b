"""The shift of relative positions: found in what models write, row by row, and the same to the last bit."""

import dataclasses

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Array, Case, check_relevance, moved
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.passes.skewing import write_skews
from sparselrp_cli.graph.shapes import BatchDim, Span
from sparselrp_cli.graph.skew import Skew

HEADS, QUERIES = 2, 9


def shifted(offset: int, keys: int):
    """Relative positions, row by row."""

    def forward(x: Array) -> Array:
        rows = [x[..., i, offset - i : offset - i + keys] for i in range(x.shape[-2])]
        return np.stack(rows, -2)

    return forward


def draw_skew(shape: tuple[int, ...], offset: int, keys: int):
    def case(rng: np.random.Generator) -> Case:
        forward, skew = shifted(offset, keys), Skew(len(shape), shape[-2], keys, offset)
        return Case(skew, [rng.normal(size=(2, *shape))], forward, moved(forward))

    return case


CASES = {
    "two heads": draw_skew((2, 4, 7), 3, 4),
    "more columns than it reads": draw_skew((3, 9), 4, 3),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_is_moved(draw, seed):
    check_relevance(draw, seed)


@pytest.mark.parametrize(
    ("skew", "shape"),
    [
        (Skew(2, 4, 4, 2), (1, 4, 7)),
        (Skew(2, 4, 4, 4), (1, 4, 7)),
        (Skew(2, 3, 4, 3), (1, 4, 7)),
    ],
    ids=["before the first column", "behind the last", "other rows"],
)
def test_a_skew_doesnt_leave_its_rows(skew, shape):
    with pytest.raises(ValueError, match=r"a skew of \d rows and 4 keys from \d doesn't fit \(1, 4, 7\)"):
        skew.forward(torch.zeros(shape))


def test_a_skew_reads_the_columns_that_its_rows_need():
    x = torch.randn(2, 10, 19)
    whole, _ = Skew(2, 10, 10, 9).forward(x)
    rows = Skew(2, 10, 10, 9).cropped(Span(1, 4, 7), [(BatchDim(), 10, 19)], (BatchDim(), 10, 10))
    columns = rows.operation.cropped_whole()
    assert (columns.inputs[0].start, columns.inputs[0].stop) == (3, 15)
    part, _ = columns.operation.forward(x[:, 4:7, 3:15])
    torch.testing.assert_close(part, whole[:, 4:7], rtol=0, atol=0)


class Scores(nn.Module):
    """Scores of queries by relative positions, (N, heads, queries, 2 queries - 1), to be shifted."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.queries = nn.Linear(4, 6 * HEADS)
        self.keys = nn.Parameter(torch.randn(HEADS, 6, 2 * QUERIES - 1))

    def forward(self, x: Tensor) -> Tensor:
        q = self.queries(x.transpose(1, 2)).unflatten(-1, (HEADS, 6)).transpose(1, 2)
        return self.shifted(q @ self.keys).softmax(-1).sum(-2)

    def shifted(self, scores: Tensor) -> Tensor:
        raise NotImplementedError


class ByStrides(Scores):
    """As Borzoi shifts them."""

    def shifted(self, scores: Tensor) -> Tensor:
        scores = scores.unsqueeze(2).transpose(2, 3).contiguous().squeeze(3)
        strides = (scores[0].numel(), QUERIES * (2 * QUERIES - 1), 2 * QUERIES - 2, 1)
        return scores.as_strided((len(scores), HEADS, QUERIES, QUERIES), strides, QUERIES - 1)


class ByPadding(Scores):
    """As Transformer-XL and Enformer shift them."""

    columns = 1

    def shifted(self, scores: Tensor) -> Tensor:
        n, columns = len(scores), 2 * QUERIES - 1
        scores = self.padded(scores).reshape(n, HEADS, columns + 1, QUERIES)[:, :, self.columns :]
        return scores.reshape(n, HEADS, QUERIES, -1)[..., :QUERIES]

    def padded(self, scores: Tensor) -> Tensor:
        return functional.pad(scores, (1, 0))


class ByAColumn(ByPadding):
    """With a column of sevens, which is cut off again."""

    def padded(self, scores: Tensor) -> Tensor:
        return torch.cat([torch.full_like(scores[..., :1], 7.0), scores], -1)


class PaddedBehind(ByPadding):
    """Another shift, by whose reshapes rows run into one another."""

    def padded(self, scores: Tensor) -> Tensor:
        return functional.pad(scores, (0, 1))


class OtherStrides(Scores):
    """A view that leaves its row."""

    def shifted(self, scores: Tensor) -> Tensor:
        scores = scores.contiguous()
        strides = (scores[0].numel(), QUERIES * (2 * QUERIES - 1), 2 * QUERIES - 2, 1)
        return scores.as_strided((len(scores), HEADS, QUERIES, QUERIES), strides, QUERIES - 3)


def graph_of(module: nn.Module, n: int):
    x = functional.one_hot(torch.randint(4, (n, QUERIES)), 4).transpose(1, 2).double()
    return capture(module.double().eval(), x), x


@pytest.mark.parametrize("module", [ByStrides, ByPadding, ByAColumn])
def test_a_shift_is_found_and_computes_the_same(module):
    graph, x = graph_of(module(), 3)
    rewritten = write_skews(graph)
    skews = [node.operation for node in rewritten.nodes if isinstance(node.operation, Skew)]

    assert [dataclasses.astuple(skew) for skew in skews] == [(3, QUERIES, QUERIES, QUERIES - 1)]
    assert {node.operation.kind for node in rewritten.nodes}.isdisjoint({"strided", "pad", "concatenate"})
    (output,) = graph.outputs
    assert torch.equal(rewritten.outputs_for(x)[output.node], graph.outputs_for(x)[output.node])


@pytest.mark.parametrize("module", [PaddedBehind, OtherStrides])
def test_what_shifts_otherwise_stays_as_it_is(module):
    graph, _ = graph_of(module(), 2)
    assert write_skews(graph) is graph
