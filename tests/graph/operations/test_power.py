# ruff: noqa: N803 -- R is the symbol of the papers for the relevance of what lies above
"""Powers entry by entry: relevance passes unchanged, and an exponent of 0 absorbs."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Case, check_conversions, check_refusals, check_relevance, tensor

from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations.power import Power, Raised

SHAPE = (2, 3, 6)


def passed(exponent):
    """All relevance to the base, none where the exponent is 0; summed where the base is broadcast."""

    def relevance(R, x):
        kept = R * (exponent != 0) * np.ones_like(R)
        axes = tuple(a for a in range(R.ndim) if x.shape[a] < R.shape[a])
        return [kept.sum(axes, keepdims=True)]

    return relevance


def case(exponent, shape, *, signed=False):
    def draw(rng):
        x = rng.normal(size=shape) if signed else 0.2 + rng.random(shape)
        return Case(Power(tensor(exponent)), [x], lambda v: v**exponent, passed(exponent))

    return draw


def raised(base, exponent):
    """All relevance to the base, none to the exponent."""

    def relevance(R, x, y):
        axes = tuple(a for a in range(R.ndim) if x.shape[a] < R.shape[a])
        return [R.sum(axes, keepdims=True), np.zeros_like(y)]

    def draw(rng):
        inputs = [0.2 + rng.random(base), rng.normal(size=exponent)]
        return Case(Raised(), inputs, lambda x, y: x**y, relevance)

    return draw


CASES = {
    "exponents": case(np.array([[0.5], [2.0], [-1.5]]), SHAPE),
    "exponents with 0 and 1": case(np.array([0.0, 1, 2, 0, 3, 0.5]), SHAPE),
    "whole exponents of both signs": case(np.array([[1.0], [2.0], [3.0]]), SHAPE, signed=True),
    "of two activations": raised((2, 3, 4), (2, 3, 4)),
    "of two activations, a broadcast base": raised((2, 1, 4), (2, 3, 4)),
    "of two activations, a broadcast exponent": raised((2, 3, 4), (2, 1, 4)),
    "a broadcast base": case(np.array([[0.5, 2.0, 0.0, 1.0, -1.0, 3.0]]), (2, 3, 1)),
}
EXPONENT, BASE = torch.tensor([[0.5], [2.0], [3.0]]).double(), torch.tensor([[0.5], [2.0], [3.0]]).double()
CONVERSIONS = {
    "an exponent for each row": (lambda x: x.exp() ** EXPONENT, ["activation", "power"]),
    "one exponent": (lambda x: x ** torch.tensor(2.0).double(), ["activation"]),
    "a base for each row": (lambda x: BASE**x, ["scale", "activation"]),
    "a base of whole numbers": (lambda x: torch.arange(1, 7) ** x, ["scale", "activation"]),
    "of two activations": (lambda x: x.exp() ** x, ["activation", "raised"]),
    "by torch.pow": (lambda x: torch.pow(x.exp(), EXPONENT), ["activation", "power"]),
}
REFUSALS = {
    "of negative bases": (lambda x: (-BASE) ** x, "pow: powers of 0 and of negative numbers have no rule"),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))


def test_at_0_only_the_exponent_1_lets_a_multiplier_through():
    x, exponent = torch.zeros(1, 4).double(), torch.tensor([1.0, 2.0, 0.5, 0.0]).double()
    operation = Power(exponent)
    y, _ = operation.forward(x)
    (found,) = operation.pull(torch.ones_like(y), At((x,), y))
    assert found.tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert operation.absorbed(torch.ones_like(y), At((x,), y)).tolist() == [[0.0, 0.0, 0.0, 1.0]]


def test_a_base_of_0_takes_the_slope_and_an_exponent_of_0_absorbs():
    x, y = torch.tensor([0.0, 0.0, 0.0, 3.0]).double(), torch.tensor([1.0, 2.0, 0.0, 0.0]).double()
    operation = Raised()
    z, _ = operation.forward(x, y)
    on_x, on_y = operation.pull(torch.ones_like(z), At((x, y), z))
    assert on_x.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert on_y is None
    assert operation.absorbed(torch.ones_like(z), At((x, y), z)).tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("exponent", "never_negative", "gate"),
    [([2.0, 4.0], True, False), ([1.0, 2.0], False, False), ([-0.5, -1.0], False, True)],
)
def test_what_is_known_of_the_sign_and_of_gates(exponent, never_negative, gate):
    operation = Power(tensor(np.array(exponent)))
    assert operation.keeps_non_negative([False]) == never_negative
    assert operation.keeps_non_negative([True])
    assert operation.is_gate([False]) == gate
