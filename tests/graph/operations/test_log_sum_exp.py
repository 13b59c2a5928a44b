# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""The logarithm of a sum of exponentials at first order, where its constant absorbs."""

import math

import numpy as np
import pytest
from oracles.operations import SEEDS, Array, Case, check_conversions, check_relevance

from sparselrp_cli.graph.operations.log_sum_exp import LogSumExp

SHAPE, A = (2, 3, 6), (2, 3, 4)


def log_sum_exp(R: Array, x: Array) -> list[Array]:
    """Over channels and positions of (N, C, L): ``r_j = x_j s_j R / y``."""
    r = np.zeros(x.shape)
    for n in range(len(x)):
        y = math.log(sum(math.exp(v) for v in x[n].ravel()))
        for c, p in np.ndindex(*x.shape[1:]):
            r[n, c, p] = x[n, c, p] * math.exp(x[n, c, p] - y) * R[n].sum() / y
    return [r]


CASES = {
    "log sum exp": lambda rng: Case(
        LogSumExp((1, 2), keepdim=False), [rng.normal(size=A)], lambda x: np.log(np.exp(x).sum((1, 2))),
        log_sum_exp,
    ),
    "log sum exp, axes kept": lambda rng: Case(
        LogSumExp((-1, 1), keepdim=True), [rng.normal(size=A)],
        lambda x: np.log(np.exp(x).sum((1, 2), keepdims=True)), log_sum_exp,
    ),
}  # fmt: skip
CONVERSIONS = {
    "one axis": (lambda x: x.logsumexp(1), ["log-sum-exp"]),
    "two axes": (lambda x: x.logsumexp((1, -1), keepdim=True), ["log-sum-exp"]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))
