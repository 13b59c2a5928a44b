"""Quotients: the numerator takes all."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Case, check_conversions, check_refusals, check_relevance, shares

from sparselrp_cli.graph.operations.quotient import Quotient

SHAPE = (2, 3, 6)
CASES = {
    "quotient": lambda rng: Case(
        Quotient(), [rng.normal(size=(2, 3, 4)), 0.5 + rng.random((2, 1, 4))], lambda x, y: x / y,
        shares(1.0, 0.0),
    ),
    "quotient of a smaller numerator": lambda rng: Case(
        Quotient(), [rng.normal(size=(2, 1, 4)), 0.5 + rng.random((2, 3, 4))], lambda x, y: x / y,
        shares(1.0, 0.0),
    ),
}  # fmt: skip
CONVERSIONS = {
    "quotient": (lambda x: x / x.exp(), ["activation", "quotient"]),
    "by a number": (lambda x: x / 4, ["scale"]),
    "by whole numbers": (lambda x: x / torch.arange(1, 7), ["scale"]),
    "of a number": (lambda x: 4 / x, ["activation", "scale"]),
}
REFUSALS = {
    "rounded": (
        lambda x: torch.div(x, x.exp(), rounding_mode="floor"), "div: divisions with rounding have no rule"
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
