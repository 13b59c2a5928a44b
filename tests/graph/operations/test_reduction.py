# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Reductions: sums and means share by term, the first of equal winners takes all."""

from collections.abc import Callable

import numpy as np
import pytest
from oracles.operations import SEEDS, Array, Case, Draw, check_conversions, check_refusals, check_relevance

from sparselrp_cli.graph.operations.reduction import Maximum, Mean, Sum

SHAPE = (2, 3, 6)


def draw(kind: type, reduce: Callable, give: Callable[[Array, float], Array], axes, *, keepdim=False) -> Draw:
    """`give` shares the relevance of one number among the numbers it was made of."""

    def oracle(R: Array, x: Array) -> list[Array]:
        kept = [a for a in range(x.ndim) if a not in {a % x.ndim for a in axes}]
        r, flat = np.zeros(x.shape), R.reshape([x.shape[a] for a in kept])
        for index in np.ndindex(*flat.shape):
            place = tuple(dict(zip(kept, index, strict=True)).get(a, slice(None)) for a in range(x.ndim))
            r[place] = give(x[place], flat[index])
        return [r]

    def forward(x: Array) -> Array:
        return reduce(x, axis=tuple(axes), keepdims=keepdim)

    return lambda rng: Case(kind(tuple(axes), keepdim), [rng.normal(size=(2, 3, 4))], forward, oracle)


def by_term(x: Array, R: float) -> Array:
    return x / x.sum() * R


def to_the_winner(x: Array, R: float) -> Array:
    r = np.zeros(x.shape)
    r.flat[x.argmax()] = R
    return r


CASES = {
    "sum": draw(Sum, np.sum, by_term, [2]),
    "sum, axes kept": draw(Sum, np.sum, by_term, [1, 2], keepdim=True),
    "mean": draw(Mean, np.mean, by_term, [-1]),
    "mean of two axes": draw(Mean, np.mean, by_term, [1, 2]),
    "maximum": draw(Maximum, np.max, to_the_winner, [1]),
    "maximum of two axes, kept": draw(Maximum, np.max, to_the_winner, [1, 2], keepdim=True),
}
CONVERSIONS = {
    "sum": (lambda x: x.sum(2), ["sum"]),
    "mean": (lambda x: x.mean((1, 2)), ["mean"]),
    "maximum": (lambda x: x.amax((1, -1), keepdim=True), ["max"]),
    "maximum with its index": (lambda x: x.max(2)[0], ["max"]),
    "the index": (lambda x: x * x.max(2, keepdim=True)[1], ["decision", "product"]),
}
REFUSALS = {
    "over samples": (lambda x: x.mean(0) + x, "mean: it mixes samples or drops the sample axis"),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
