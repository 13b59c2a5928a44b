# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Entries written where a step says: what is written takes its relevance, the choice none."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Array, Case, check_conversions, check_refusals, check_relevance, tensor

from sparselrp_cli.graph.operations.scatter import Scatter

SHAPE = (2, 3, 6)
CONSTANT = np.random.default_rng(9).normal(size=(1, *SHAPE[1:]))


def written(before: Array, index: Array, values: Array) -> Array:
    made = np.broadcast_to(before, (len(index), *before.shape[1:])).copy()
    for n, c, k in np.ndindex(*index.shape):
        made[n, c, int(index[n, c, k])] = values[n, c, k]
    return made


def taken(R: Array, before: Array, index: Array, values: Array) -> list[Array]:
    left, r = R.copy(), np.zeros(values.shape)
    for n, c, k in np.ndindex(*index.shape):
        r[n, c, k] = R[n, c, int(index[n, c, k])]
        left[n, c, int(index[n, c, k])] = 0
    return [left, np.zeros(index.shape), r]


def drawn(rng: np.random.Generator) -> list[Array]:
    """Numbers that differ along the axis, and what is written there."""
    index = np.stack([[rng.permutation(6)[:2] for _ in range(3)] for _ in range(2)])
    return [index.astype(float), rng.normal(size=(2, 3, 2))]


def to_an_activation(rng: np.random.Generator) -> Case:
    return Case(Scatter(2, None), [rng.normal(size=SHAPE), *drawn(rng)], written, taken)


def to_a_constant(rng: np.random.Generator) -> Case:
    return Case(
        Scatter(2, tensor(CONSTANT)),
        drawn(rng),
        lambda index, values: written(CONSTANT, index, values),
        lambda R, index, values: taken(R, CONSTANT, index, values)[1:],
    )


CASES = {"to an activation": to_an_activation, "to a constant": to_a_constant}
CONVERSIONS = {
    "the weights of two experts": (
        lambda x: torch.zeros_like(x).scatter(2, x.topk(2)[1], x.topk(2)[0].softmax(-1)),
        ["decision", "homogeneous", "softmax", "scatter"],
    ),
    "over what was there": (
        lambda x: x.scatter(2, x.argmax(2, keepdim=True), x.mean(2, keepdim=True)),
        ["decision", "mean", "scatter"],
    ),
    "a mask of experts": (
        lambda x: x * torch.zeros_like(x).scatter(2, x.topk(2)[1], 1.0),
        ["decision", "decision", "where", "product"],
    ),
    "without the largest": (
        lambda x: x.scatter(2, x.argmax(2, keepdim=True), 0.0), ["decision", "decision", "where"]
    ),
    "at constant places": (
        lambda x: x.scatter(2, torch.tensor([[[1]]]).expand(len(x), 3, 1), x.flip(2)),
        ["flip", "reshape", "slice", "reshape", "concatenate", "index-select", "reshape"],
    ),
}  # fmt: skip
REFUSALS = {
    "more than is written": (
        lambda x: x.scatter(2, x.topk(2)[1], x.flip(2)),
        "scatter: its index and what it writes have different sizes; cut them to the same first",
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
