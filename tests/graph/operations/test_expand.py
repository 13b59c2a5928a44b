"""Copies move neurons; one that is copied gets what its copies got."""

import numpy as np
import pytest
from oracles.operations import SEEDS, Case, check_conversions, check_relevance, moved

from sparselrp_cli.graph.operations.expand import Expand
from sparselrp_cli.graph.shapes import BatchDim

SHAPE = (2, 1, 6)
CASES = {
    "copied": lambda rng: Case(
        Expand((BatchDim(), 3, 4)), [rng.normal(size=(2, 1, 4))], lambda x: x.repeat(3, 1),
        moved(lambda x: x.repeat(3, 1)),
    ),
}  # fmt: skip
CONVERSIONS = {"expand": (lambda x: x.expand(-1, 3, -1), ["expand"])}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))
