# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Products of matrices: half to each factor (AttnLRP, prop. 3.3)."""

import numpy as np
import pytest
import torch
from oracles.attention import matrix_product
from oracles.operations import (
    SEEDS,
    Array,
    Case,
    broadcast,
    check_conversions,
    check_refusals,
    check_relevance,
)

from sparselrp_cli.graph.operations.matrix_product import MatrixProduct

SHAPE = (2, 3, 6)


def batched(R: Array, x: Array, y: Array) -> list[Array]:
    relevance = [np.zeros(x.shape), np.zeros(y.shape)]
    for index in np.ndindex(*R.shape[:-2]):
        places = [broadcast(index, v.shape[:-2]) for v in (x, y)]
        for r, place, part in zip(
            relevance, places, matrix_product(R[index], x[places[0]], y[places[1]]), strict=True
        ):
            r[place] += part
    return relevance


CASES = {
    "matrix product": lambda rng: Case(
        MatrixProduct(), [rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 1, 5, 2))], np.matmul, batched
    ),
}


def weights(*shape: int) -> torch.Tensor:
    return torch.arange(float(np.prod(shape)), dtype=torch.float64).reshape(shape).sin()


CONVERSIONS = {
    "of two": (lambda x: x @ x.transpose(1, 2), ["permute", "matrix-product"]),
    "batched": (lambda x: torch.bmm(x, x.transpose(1, 2)), ["permute", "matrix-product"]),
    "batched and added to a constant": (
        lambda x: torch.baddbmm(weights(1, 3, 3), x, x.transpose(1, 2), alpha=2),
        ["permute", "matrix-product", "scale", "shift"],
    ),
    "with a constant": (lambda x: x @ weights(6, 2), ["dense"]),
    "of a constant": (lambda x: weights(2, 3) @ x, ["dense"]),
    "with a constant vector": (lambda x: x @ weights(6), ["homogeneous"]),
}  # fmt: skip
REFUSALS = {
    "scaled": (
        lambda x: torch.baddbmm(x @ x.transpose(1, 2), x, x.transpose(1, 2)),
        "baddbmm: baddbmm with beta or an added activation has no rule",
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
