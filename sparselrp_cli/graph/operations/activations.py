"""Element-wise functions: relevance passes unchanged, so the multiplier is scaled by a quotient."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.operations.base import At, Operation


@dataclass(frozen=True, slots=True)
class Function:
    """An element-wise function with its slope and value at 0."""

    call: Callable[..., Tensor]
    slope: float = 0.0
    at_zero: float = 0.0


def _power(x: Tensor, exponent: float) -> Tensor:
    return x.pow(exponent)


def _gelu(x: Tensor, approximate: str = "none") -> Tensor:
    return functional.gelu(x, approximate=approximate)


FUNCTIONS = MappingProxyType(
    {
        "relu": Function(torch.relu),
        "leaky_relu": Function(functional.leaky_relu),
        "prelu": Function(torch.relu),
        "relu6": Function(functional.relu6),
        "elu": Function(functional.elu, 1.0),
        "celu": Function(functional.celu, 1.0),
        "selu": Function(functional.selu, 1.0507009873554805),
        "gelu": Function(_gelu, 0.5),
        "silu": Function(functional.silu, 0.5),
        "mish": Function(functional.mish, 0.6),
        "hardswish": Function(functional.hardswish, 0.5),
        "hardtanh": Function(functional.hardtanh, 1.0),
        "tanh": Function(torch.tanh, 1.0),
        "softsign": Function(functional.softsign, 1.0),
        "sin": Function(torch.sin, 1.0),
        "erf": Function(torch.erf, 2 / math.sqrt(math.pi)),
        "expm1": Function(torch.expm1, 1.0),
        "log1p": Function(torch.log1p, 1.0),
        "atan": Function(torch.atan, 1.0),
        "abs": Function(torch.abs),
        "sqrt": Function(torch.sqrt),
        "power": Function(_power),
        "softshrink": Function(functional.softshrink),
        "sigmoid": Function(torch.sigmoid, 0.25, 0.5),
        "hardsigmoid": Function(functional.hardsigmoid, 1 / 6, 0.5),
        "exp": Function(torch.exp, 1.0, 1.0),
        "softplus": Function(functional.softplus, 0.5, math.log(2.0)),
        "log_sigmoid": Function(functional.logsigmoid, 0.5, -math.log(2.0)),
        "cos": Function(torch.cos, 0.0, 1.0),
        "log": Function(torch.log),
        "log2": Function(torch.log2),
        "log10": Function(torch.log10),
        "rsqrt": Function(torch.rsqrt),
        "reciprocal": Function(torch.reciprocal),
    }
)
_NON_NEGATIVE = frozenset(
    {"relu", "relu6", "abs", "sqrt", "sigmoid", "hardsigmoid", "exp", "softplus", "rsqrt"}
)
_KEEPING_SIGN = frozenset(FUNCTIONS) - {"cos", "sin", "log", "log2", "log10", "log_sigmoid"}
GATES = frozenset({"sigmoid", "hardsigmoid", "rsqrt", "reciprocal"})
"""Functions whose product with a signal scales the signal."""
_NEAR_ZERO = 1e-12


@dataclass(frozen=True, eq=False)
class Activation(Operation):
    """An element-wise function ``f``.

    Relevance passes through unchanged (Bach et al. 2015): ``c_in = c_out * f(x) / x``. Where ``f(0)`` isn't 0
    it is a constant, which absorbs its share as a bias does: ``c_in = c_out * (f(x) - f(0)) / x`` [ours].
    """

    function: str
    arguments: tuple[Any, ...] = ()
    slope: Tensor | None = None
    kind: ClassVar[str] = "activation"
    passes: ClassVar[str] = "passed on"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        if self.slope is not None:
            return torch.where(x > 0, x, self.slope * x), None
        return FUNCTIONS[self.function].call(x, *self.arguments), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        (x,) = at.inputs
        if self.is_relu:
            return (torch.ops.aten.threshold_backward(c, at.output, 0),)
        if self.slope is not None:
            return (torch.where(x > 0, c, self.slope * c),)
        if self.function == "leaky_relu":
            return (torch.where(x > 0, c, self._leak * c),)
        value, slope = self._at_zero
        small = x.abs() < (math.sqrt(torch.finfo(x.dtype).eps) if value else _NEAR_ZERO)
        ratio = torch.where(small, slope, (at.output - value) / torch.where(small, 1.0, x))
        return (c * ratio,)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        value, _ = self._at_zero
        return c * value if value else None

    @property
    def is_relu(self) -> bool:
        """Whether negative values become 0 and the others stay."""
        return self.function == "relu"

    @property
    def _leak(self) -> float:
        return float(self.arguments[0]) if self.arguments else 0.01

    @property
    def _at_zero(self) -> tuple[float, float]:
        """Give value and slope at 0."""
        function = FUNCTIONS[self.function]
        if self.function == "hardtanh":
            low, high = (*self.arguments, -1.0, 1.0)[:2]
            return min(max(0.0, low), high), 1.0 if low < 0 < high else 0.0
        if self.function == "elu" and self.arguments:
            scale, input_scale = (*self.arguments, 1.0, 1.0)[1:3]
            return 0.0, float(self.arguments[0]) * float(scale) * float(input_scale)
        if self.function == "softplus" and self.arguments:
            return math.log(2.0) / float(self.arguments[0]), 0.5
        return function.at_zero, function.slope

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        if self.function == "hardtanh":
            return bool(self.arguments and self.arguments[0] >= 0) or inputs[0]
        if self.function == "power":
            return inputs[0] or float(self.arguments[0]) % 2 == 0
        return self.function in _NON_NEGATIVE or (self.function in _KEEPING_SIGN and inputs[0])

    def describe(self) -> str:
        if self.function == "power":
            return f"power {self.arguments[0]:g}"
        return self.function
