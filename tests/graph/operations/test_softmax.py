# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""The softmax at first order, where its constant absorbs (AttnLRP, prop. 3.1)."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from oracles.operations import (
    SEEDS,
    Array,
    Case,
    Oracle,
    check_conversions,
    check_refusals,
    check_relevance,
    lines,
    softmax,
)

from sparselrp_cli.graph.operations.softmax import Softmax

SHAPE, A = (2, 3, 6), (2, 3, 4)


def of_line(R: Array, x: Array) -> Array:
    s = softmax(x)
    return np.array([x[i] * (R[i] - s[i] * sum(R)) for i in range(len(x))])


def of_logarithms_line(R: Array, x: Array) -> Array:
    """First order: ``d log s_i / d x_j = [i = j] - s_j``."""
    s = softmax(x)
    r = np.zeros(len(x))
    for i in range(len(x)):
        for j in range(len(x)):
            r[j] += x[j] * ((i == j) - s[j]) / math.log(s[i]) * R[i]
    return r


def along(line: Callable[[Array, Array], Array], axis: int) -> Oracle:
    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for index in lines(x.shape, axis):
            r[index] = line(R[index], x[index])
        return [r]

    return oracle


CASES = {
    "softmax": lambda rng: Case(
        Softmax(1), [rng.normal(size=A)], lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
        along(of_line, 1),
    ),
    "log softmax": lambda rng: Case(
        Softmax(2, logarithm=True), [rng.normal(size=A)],
        lambda x: x - np.log(np.exp(x).sum(2, keepdims=True)), along(of_logarithms_line, 2),
    ),
}  # fmt: skip
CONVERSIONS = {
    "softmax": (lambda x: x.softmax(1), ["softmax"]),
    "log softmax": (lambda x: x.log_softmax(-1), ["softmax"]),
}
REFUSALS = {
    "over samples": (lambda x: x.softmax(0), "softmax: it works along the samples, which must stay apart")
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
