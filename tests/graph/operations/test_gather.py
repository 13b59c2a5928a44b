# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Entries that a step chooses: relevance goes to them, none to the choice."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Array, Case, check_conversions, check_refusals, check_relevance

from sparselrp_cli.graph.operations.gather import Gather

SHAPE = (2, 3, 6)


def draw(rng: np.random.Generator) -> Case:
    index = rng.integers(0, 6, size=(2, 3, 4))

    def forward(x: Array, index: Array) -> Array:
        return np.take_along_axis(x, index.astype(int), 2)

    def oracle(R: Array, x: Array, index: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for n, c, k in np.ndindex(*R.shape):
            r[n, c, int(index[n, c, k])] += R[n, c, k]
        return [r, np.zeros(index.shape)]

    return Case(Gather(2), [rng.normal(size=SHAPE), index.astype(float)], forward, oracle)


CASES = {"gather": draw}
CONVERSIONS = {
    "the largest": (lambda x: x.gather(2, x.topk(2, 2)[1]), ["decision", "gather"]),
    "the largest of another": (
        lambda x: x.gather(2, x.flip(2).argmax(2, keepdim=True)), ["flip", "decision", "gather"]
    ),
    "the largest, found beside it": (
        lambda x: x.gather(2, x.max(2, keepdim=True)[1]), ["decision", "gather"]
    ),
    "in order": (lambda x: torch.take_along_dim(x, x.argsort(2), 2), ["decision", "gather"]),
}  # fmt: skip
REFUSALS = {
    "along the samples": (
        lambda x: x.gather(0, x.argmax(2, keepdim=True) % 2),
        "gather: it works along the samples, which must stay apart",
    ),
    "broadcast": (
        lambda x: torch.take_along_dim(x, x.argmax(2, keepdim=True)[:, :1], 2),
        "take_along_dim: its tensor or its index is broadcast; expand it first",
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
