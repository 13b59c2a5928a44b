"""Sums and differences: in proportion to the terms; constants absorb their share."""

import numpy as np
import pytest
import torch
from oracles.operations import (
    SEEDS,
    Case,
    check_conversions,
    check_relevance,
    passed_on,
    tensor,
    terms,
)

from sparselrp_cli.graph.operations.addition import Add, Negate, Shift, Subtract

SHAPE, A, B = (2, 3, 6), (2, 3, 4), (2, 1, 4)
CONSTANT = np.random.default_rng(9).normal(size=(1, 3, 1))


def draw(operation, forward, oracle, *shapes):
    return lambda rng: Case(operation, [rng.normal(size=s) for s in shapes], forward, oracle)


CASES = {
    "add": draw(Add(), lambda x, y: x + y, terms(1, 1), A, A),
    "add what is broadcast": draw(Add(), lambda x, y: x + y, terms(1, 1), A, B),
    "add a multiple": draw(Add(-2.0), lambda x, y: x - 2 * y, terms(1, -2), A, A),
    "subtract": draw(Subtract(), lambda x, y: x - y, terms(1, -1), B, A),
    "negate": draw(Negate(), lambda x: -x, passed_on, A),
    "shift": draw(Shift(tensor(CONSTANT)), lambda x: x + CONSTANT, terms(1, constant=CONSTANT), A),
    "shift what is broadcast": draw(
        Shift(tensor(CONSTANT)), lambda x: x + CONSTANT, terms(1, constant=CONSTANT), B
    ),
}
ROW = np.random.default_rng(8).normal(size=6)
CONVERSIONS = {
    "sum": (lambda x: x + x.flip(2), ["flip", "add"]),
    "sum with a multiple": (lambda x: torch.add(x, x.flip(2), alpha=3), ["flip", "add"]),
    "constant added": (lambda x: x + 2, ["shift"]),
    "to a constant": (lambda x: torch.add(torch.ones(6, dtype=x.dtype), x, alpha=3), ["scale", "shift"]),
    "difference": (lambda x: x - x.flip(2), ["flip", "subtract"]),
    "constant subtracted": (lambda x: x - 2, ["shift"]),
    "from a constant": (lambda x: torch.ones(6, dtype=x.dtype) - x, ["negate", "shift"]),
    "from a number": (lambda x: 1 - x, ["negate", "shift"]),
    "a multiple subtracted": (lambda x: torch.sub(x, x.flip(2), alpha=3), ["flip", "add"]),
    "a multiple of a constant subtracted": (lambda x: torch.sub(x, tensor(ROW), alpha=3), ["shift"]),
    "a multiple subtracted from a constant": (
        lambda x: torch.sub(tensor(ROW), x, alpha=3), ["scale", "shift"]
    ),
    "the other way round": (lambda x: torch.rsub(x, x.flip(2)), ["flip", "subtract"]),
    "a multiple, the other way round": (lambda x: torch.rsub(x, x.flip(2), alpha=3), ["flip", "add"]),
    "a multiple from a number": (lambda x: torch.rsub(x, 2, alpha=3), ["scale", "shift"]),
    "a multiple from a row": (lambda x: torch.rsub(x, tensor(ROW), alpha=3), ["scale", "shift"]),
    "negated": (lambda x: -x, ["negate"]),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))
