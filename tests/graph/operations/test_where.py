# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Choices: relevance goes to what was chosen; constants absorb theirs."""

import numpy as np
import pytest
import torch
from oracles.operations import (
    SEEDS,
    Array,
    Case,
    broadcast,
    check_conversions,
    check_relevance,
    tensor,
)

from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations.where import Where

SHAPE = (2, 3, 6)


def chosen(R: Array, condition: Array, x: Array, y: Array) -> list[Array]:
    r = [np.zeros(condition.shape), np.zeros(x.shape), np.zeros(y.shape)]
    for index in np.ndindex(*R.shape):
        taker = r[1] if condition[index] else r[2]
        taker[broadcast(index, taker.shape)] += R[index]
    return r


def of_activations(rng: np.random.Generator) -> Case:
    condition = (rng.random((2, 3, 4)) < 0.5).astype(float)
    inputs = [condition, rng.normal(size=(2, 3, 1)), rng.normal(size=(2, 3, 4))]
    return Case(Where((None, None, None)), inputs, np.where, chosen)


def of_a_constant(rng: np.random.Generator) -> Case:
    condition, constant = rng.random((1, 3, 4)) < 0.5, rng.normal(size=(1, 3, 1))

    def oracle(R: Array, x: Array) -> list[Array]:
        return [chosen(R, np.broadcast_to(condition, R.shape), constant, x)[2]]

    operation = Where((tensor(condition), tensor(constant), None))
    return Case(operation, [rng.normal(size=(2, 3, 4))], lambda x: np.where(condition, constant, x), oracle)


CASES = {"where": of_activations, "where a constant may be chosen": of_a_constant}
CONVERSIONS = {
    "of two": (lambda x: torch.where(x > 0, x, x.flip(2)), ["decision", "flip", "where"]),
    "of a constant": (lambda x: torch.where(x > 0, 1.5, x), ["decision", "where"]),
    "by a constant": (lambda x: torch.where(torch.arange(6) > 2, x, 0.0), ["where"]),
    "filled": (lambda x: x.masked_fill(x < 0, 2.0), ["decision", "where"]),
    "filled by a constant mask": (lambda x: x.masked_fill(torch.arange(6) > 2, 0.0), ["where"]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


@pytest.mark.parametrize(
    ("value", "absorbing"),
    [(0.0, False), (-torch.inf, False), (torch.nan, False), (2.0, True)],
    ids=["zero", "infinity", "not a number", "number"],
)
def test_what_constants_can_absorb_is_known_before_the_walk(value, absorbing):
    constant = torch.tensor([0.0, value])
    operation = Where.of(torch.tensor([True, False]), None, constant)
    assert operation.absorbing == (False, absorbing)
    x = torch.ones(3, 2)
    absorbed = operation.absorbed(torch.ones(3, 2), At((x,), *operation.forward(x)))
    if absorbing:
        assert absorbed.tolist() == [[0.0, value]] * 3
    else:
        assert absorbed is None
