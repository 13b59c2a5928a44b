# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Gated linear units: the signal takes all."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Array, Case, check_conversions, check_relevance, sigmoid

from sparselrp_cli.graph.operations.gated_linear import GatedLinear

SHAPE = (2, 4, 6)


def gated_linear(R: Array, x: Array) -> list[Array]:
    r = np.zeros(x.shape)
    half = x.shape[1] // 2
    for n, c, p in np.ndindex(*R.shape):
        r[n, c, p] = R[n, c, p]
        assert r[n, c + half, p] == 0, "the gate gets nothing"
    return [r]


CASES = {
    "gated linear": lambda rng: Case(
        GatedLinear(1), [rng.normal(size=(2, 6, 4))], lambda x: x[:, :3] * sigmoid(x[:, 3:]), gated_linear
    ),
}
CONVERSIONS = {
    "of channels": (lambda x: torch.nn.functional.glu(x, 1), ["gated-linear"]),
    "of positions": (lambda x: torch.nn.functional.glu(x), ["gated-linear"]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))
