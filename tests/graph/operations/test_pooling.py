# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Pooling: the first of equal winners takes all, averages share by term."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Array, Case, check_conversions, check_refusals, check_relevance
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operations.pooling import AdaptivePool, AveragePool, MaxPool
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.explainer import Explainer

SHAPE = (2, 3, 8)
Places = list[list[int]]
"""For each position of the output, which positions it reads."""


def windows(length: int, width: int, stride: int, padding: int = 0, dilation: int = 1, ceil: bool = False):
    """The positions that each window holds, without padding, and its size with it."""
    reach = dilation * (width - 1) + 1
    count = -(-(length + 2 * padding - reach) // stride) if ceil else (length + 2 * padding - reach) // stride
    starts = [i * stride - padding for i in range(count + 1)]
    starts = [s for s in starts if s < length]
    return [[p for p in range(s, s + reach, dilation) if 0 <= p < length] for s in starts]


def adaptive(length: int, size: int) -> Places:
    return [list(range(i * length // size, -(-(i + 1) * length // size))) for i in range(size)]


def maximum(places: Places):
    def forward(x: Array) -> Array:
        return np.stack([x[..., part].max(-1) for part in places], -1)

    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for *line, k in np.ndindex(*R.shape):
            winner = max(places[k], key=lambda p: (x[(*line, p)], -p))
            r[(*line, winner)] += R[(*line, k)]
        return [r]

    return forward, oracle


def average(places: Places, divisor: int | None = None):
    def forward(x: Array) -> Array:
        return np.stack([x[..., part].sum(-1) / (divisor or len(part)) for part in places], -1)

    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for *line, k in np.ndindex(*R.shape):
            total = sum(x[(*line, p)] for p in places[k])
            for p in places[k]:
                r[(*line, p)] += x[(*line, p)] / total * R[(*line, k)]
        return [r]

    return forward, oracle


def draw(operation, pair):
    return lambda rng: Case(operation, [rng.normal(size=(2, 3, 8))], *pair)


def with_equal_numbers(rng: np.random.Generator) -> Case:
    x = rng.integers(0, 3, size=(2, 3, 8)).astype(float)
    return Case(MaxPool((4,), (2,), (0,), False, (1,)), [x], *maximum(windows(8, 4, 2)))


CASES = {
    "max": draw(MaxPool((3,), (3,), (0,), False, (1,)), maximum(windows(8, 3, 3))),
    "max of equal numbers": with_equal_numbers,
    "max, overlapping and padded": draw(MaxPool((3,), (2,), (1,), False, (1,)), maximum(windows(8, 3, 2, 1))),
    "max, dilated": draw(MaxPool((3,), (1,), (0,), False, (2,)), maximum(windows(8, 3, 1, dilation=2))),
    "max of the rest": draw(MaxPool((3,), (3,), (0,), True, (1,)), maximum(windows(8, 3, 3, ceil=True))),
    "average": draw(AveragePool((3,), (2,), (0,), False, True), average(windows(8, 3, 2))),
    "average, padded": draw(AveragePool((3,), (2,), (1,), False, True), average(windows(8, 3, 2, 1), 3)),
    "average without padding": draw(
        AveragePool((3,), (2,), (1,), False, False), average(windows(8, 3, 2, 1))
    ),
    "average by a divisor": draw(AveragePool((3,), (3,), (0,), False, True, 5), average(windows(8, 3, 3), 5)),
    "adaptive average": draw(AdaptivePool((3,), maximum=False), average(adaptive(8, 3))),
    "adaptive maximum": draw(AdaptivePool((3,), maximum=True), maximum(adaptive(8, 3))),
}
CONVERSIONS = {
    "max": (lambda x: functional.max_pool1d(x, 3, 2, 1), ["max-pool"]),
    "max, two axes": (lambda x: functional.max_pool2d(x.unsqueeze(1), 2), ["reshape", "max-pool"]),
    "average": (lambda x: functional.avg_pool1d(x, 3, 2, 1), ["average-pool"]),
    "average, two axes": (lambda x: functional.avg_pool2d(x.unsqueeze(1), 2), ["reshape", "average-pool"]),
    "adaptive average": (lambda x: functional.adaptive_avg_pool1d(x, 3), ["adaptive-pool"]),
    "adaptive maximum": (lambda x: functional.adaptive_max_pool1d(x, 3), ["adaptive-pool"]),
    "adaptive, two axes": (
        lambda x: functional.adaptive_avg_pool2d(x.unsqueeze(1), 2), ["reshape", "adaptive-pool"]
    ),
    "adaptive maximum, two axes": (
        lambda x: functional.adaptive_max_pool2d(x.unsqueeze(1), 2), ["reshape", "adaptive-pool"]
    ),
}  # fmt: skip
REFUSALS = {
    "indices": (
        lambda x: functional.adaptive_max_pool1d(x, 2, return_indices=True)[1].to(x.dtype),
        "adaptive_max_pool1d: the indices of a max pool carry no relevance",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))


def test_equal_winners_of_a_max_pool_leave_all_to_the_first():
    class Pools(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            pooled = functional.max_pool1d(x, 4)
            return (pooled.sum((1, 2)) + x.amax((1, 2)) + functional.adaptive_max_pool1d(x, 1).sum((1, 2)))[
                :, None
            ]

    x = torch.zeros(2, 4, 8, dtype=torch.float64)
    x[:, 1, 2:5] = 1.0
    (explanation,) = Explainer(capture(Pools(), x), [Target("first", (Term(0, 0, None),))]).explain(x)
    expected = torch.zeros(8, dtype=torch.float64)
    expected[2], expected[4] = 3.0, 1.0
    assert torch.equal(explanation.contributions[0].sum(0), expected)
