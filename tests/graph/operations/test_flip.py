"""Flips move neurons."""

import numpy as np
import pytest
from oracles.operations import SEEDS, Case, check_conversions, check_refusals, check_relevance, moved

from sparselrp_cli.graph.operations.flip import Flip

SHAPE = (2, 3, 6)
CASES = {
    "flipped": lambda rng: Case(
        Flip((1, 2)), [rng.normal(size=(2, 3, 4))], lambda x: x[:, ::-1, ::-1],
        moved(lambda x: x[:, ::-1, ::-1]),
    ),
}  # fmt: skip
CONVERSIONS = {"flip": (lambda x: x.flip((1, -1)), ["flip"])}
REFUSALS = {"of samples": (lambda x: x.flip(0), "flip: it works along the samples, which must stay apart")}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
