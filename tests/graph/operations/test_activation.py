# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Element-wise functions: relevance passes; a value at 0 absorbs as a bias does."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from oracles.operations import (
    SEEDS,
    Array,
    Case,
    Draw,
    check_conversions,
    check_refusals,
    check_relevance,
    tensor,
)
from torch.nn import functional

from sparselrp_cli.graph.functions import FUNCTIONS
from sparselrp_cli.graph.operations.activation import Activation

SHAPE = (2, 3, 6)
AT_ZERO: dict[str, tuple[tuple[float, ...], Callable[[float], float]]] = {
    "sigmoid": ((), lambda v: 1 / (1 + math.exp(-v))),
    "exp": ((), math.exp),
    "softplus": ((), lambda v: math.log1p(math.exp(v))),
    "cos": ((), math.cos),
    "log_sigmoid": ((), lambda v: -math.log1p(math.exp(-v))),
    "cosh": ((), math.cosh),
    "erfc": ((), math.erfc),
    "hardsigmoid": ((), lambda v: min(max(v / 6 + 0.5, 0.0), 1.0)),
}
OTHERS: dict[str, tuple[tuple[float, ...], Callable[[float], float]]] = {
    "relu": ((), lambda v: max(v, 0.0)),
    "leaky_relu": ((0.1,), lambda v: v if v > 0 else 0.1 * v),
    "elu": ((1.5,), lambda v: v if v > 0 else 1.5 * math.expm1(v)),
    "hardtanh": ((-1.0, 0.5), lambda v: min(max(v, -1.0), 0.5)),
    "tanh": ((), math.tanh),
    "sin": ((), math.sin),
    "power": ((2.0,), lambda v: v * v),
    "threshold": ((-0.5, -1.5), lambda v: v if v > -0.5 else -1.5),
    "asinh": ((), math.asinh),
    "sinh": ((), math.sinh),
}
SOFTPLUS_OF_TWO = ((2.0, 20.0), lambda v: math.log1p(math.exp(2 * v)) / 2)
THRESHOLD_ABOVE_ZERO = ((0.5, 3.0), lambda v: v if v > 0.5 else 3.0)
CLAMPED_ABOVE_ZERO = ((0.5, 2.0), lambda v: min(max(v, 0.5), 2.0))
SLOPES = np.random.default_rng(9).random((3, 1))


def draw(name: str, arguments: tuple[float, ...], function: Callable[[float], float]) -> Draw:
    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for index in np.ndindex(*x.shape):
            y = function(x[index])
            r[index] = (y - function(0.0)) / y * R[index] if y else 0.0
        return [r]

    def case(rng: np.random.Generator) -> Case:
        x = np.clip(2 * rng.normal(size=(2, 3, 4)), -2.5, 2.5)
        x[0, 0, :2] = 0.0
        return Case(Activation(name, arguments), [x], np.vectorize(function), oracle)

    return case


def of_prelu(rng: np.random.Generator) -> Case:
    return Case(
        Activation("prelu", (), tensor(SLOPES)), [rng.normal(size=(2, 3, 4))],
        lambda x: np.where(x > 0, x, SLOPES * x), lambda R, x: [R],
    )  # fmt: skip


CASES = {
    **{name: draw(name, *given) for name, given in (AT_ZERO | OTHERS).items()},
    "softplus of twice": draw("softplus", *SOFTPLUS_OF_TWO),
    "clamped above zero": draw("hardtanh", *CLAMPED_ABOVE_ZERO),
    "threshold above zero": draw("threshold", *THRESHOLD_ABOVE_ZERO),
    "prelu": of_prelu,
}
ONE = ["activation"]
# What takes a negative number to nan is given a positive one.
POSITIVE = ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "entr")
TORCHS = {
    name: getattr(torch, name, None) or getattr(functional, name, None) or getattr(torch.special, name, None)
    for name in [*FUNCTIONS, "logsigmoid"]
    if name not in ("power", "prelu", "hardtanh", "log_sigmoid", "threshold")
}
CONVERSIONS = {
    **{name: (lambda x, f=f: f(x), ONE) for name, f in TORCHS.items() if name not in POSITIVE},
    **{name: (lambda x, f=TORCHS[name]: f(x.exp()), ["activation", "activation"]) for name in POSITIVE},
    "clamped": (lambda x: x.clamp(-1, 0.5), ONE),
    "clamped below": (lambda x: x.clamp(min=-0.5), ONE),
    "clamped to a tensor of one number": (lambda x: x.clamp(min=torch.tensor(-0.5, dtype=x.dtype)), ONE),
    "clamped above": (lambda x: x.clamp_max(0.5), ONE),
    "hardtanh": (lambda x: functional.hardtanh(x, -0.5, 2), ONE),
    "threshold": (lambda x: functional.threshold(x, 0, 0), ONE),
    "one slope": (lambda x: functional.prelu(x, torch.full((1,), 0.1, dtype=x.dtype)), ONE),
    "slopes": (lambda x: functional.prelu(x, torch.rand(3).to(x.dtype) * 0 + 0.1), ONE),
    "threshold elsewhere": (lambda x: functional.threshold(x, 0.1, 20), ONE),
    "a random slope, which is the mean of its bounds": (functional.rrelu, ONE),
    "a power of 2": (lambda x: 2**x, ["scale", "activation"]),
    "logit within bounds": (lambda x: torch.logit(x, 0.1), ONE),
    "square": (lambda x: x**2, ONE),
    "no power": (lambda x: x**1, ["scale"]),
    "softsign, which is a quotient": (functional.softsign, ["activation", "shift", "quotient"]),
}
REFUSALS = {
    "scaled ELU": (
        lambda x: torch.ops.aten.elu(x, 1.0, 2.0), "elu: a scaled ELU has no rule; use selu, elu or celu"
    ),
    "powers of a negative number": (
        lambda x: (-2.0) ** x, "pow: powers of 0 and of negative numbers have no rule"
    ),
    "power 0": (lambda x: x**0, "pow: only powers with a constant exponent other than 0 have a rule"),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
