"""Permutations move neurons."""

import numpy as np
import pytest
from oracles.operations import SEEDS, Case, check_conversions, check_relevance, moved

from sparselrp_cli.graph.operations.permute import Permute

SHAPE = (2, 3, 6)
CASES = {
    "permuted": lambda rng: Case(
        Permute((1, 2, 0)), [rng.normal(size=(2, 3, 4))], lambda x: x.transpose(1, 2, 0),
        moved(lambda x: x.transpose(1, 2, 0)),
    ),
}  # fmt: skip
CONVERSIONS = {
    "permute": (lambda x: x.permute(0, -1, 1), ["permute"]),
    "transpose": (lambda x: x.transpose(1, -1), ["permute"]),
    "t": (lambda x: x[:, 0].t(), ["slice", "permute"]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))
