"""Element-wise activations: relevance passes unchanged, so the multiplier is scaled by f(x) / x."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.model.operations.base import Operation

# Functions with f(0) = 0, each with its slope at 0.
FUNCTIONS = MappingProxyType(
    {
        "relu": (torch.relu, 0.0),
        "leaky_relu": (functional.leaky_relu, None),
        "relu6": (functional.relu6, 0.0),
        "elu": (functional.elu, 1.0),
        "celu": (functional.celu, 1.0),
        "selu": (functional.selu, 1.0507009873554805),
        "gelu": (functional.gelu, 0.5),
        "silu": (functional.silu, 0.5),
        "mish": (functional.mish, 0.6),
        "hardswish": (functional.hardswish, 0.5),
        "tanh": (torch.tanh, 1.0),
    }
)
_NON_NEGATIVE = frozenset({"relu", "relu6"})
# Below this the quotient f(x) / x is replaced by its limit, f'(0).
_NEAR_ZERO = 1e-12


@dataclass(frozen=True, eq=False)
class Activation(Operation):
    """An element-wise function with ``f(0) = 0``.

    Relevance passes through unchanged (Bach et al. 2015): ``c_in = c_out * f(x) / x``.
    """

    function: str
    arguments: tuple[Any, ...] = ()
    slope: Tensor | None = None
    kind: ClassVar[str] = "activation"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        if self.slope is not None:
            return torch.where(x > 0, x, self.slope * x), None
        if self.function == "hardtanh":
            return functional.hardtanh(x, *self.arguments), None
        if self.function == "gelu":
            return functional.gelu(x, approximate=self.arguments[0] if self.arguments else "none"), None
        return FUNCTIONS[self.function][0](x, *self.arguments), None

    def pull(
        self, multiplier: Tensor, inputs: tuple[Tensor, ...], output: Tensor, memo: Any
    ) -> tuple[Tensor, ...]:
        (x,) = inputs
        if self.function == "relu":
            return (multiplier * (output > 0),)
        if self.slope is not None:
            return (torch.where(x > 0, multiplier, self.slope * multiplier),)
        if self.function == "leaky_relu":
            return (torch.where(x > 0, multiplier, self._leak * multiplier),)
        small = x.abs() < _NEAR_ZERO
        ratio = torch.where(small, self._slope_at_zero, output / torch.where(small, 1.0, x))
        return (multiplier * ratio,)

    @property
    def _leak(self) -> float:
        return float(self.arguments[0]) if self.arguments else 0.01

    @property
    def _slope_at_zero(self) -> float:
        if self.function == "hardtanh":
            low, high = (*self.arguments, -1.0, 1.0)[:2]
            return 1.0 if low < 0 < high else 0.0
        if self.function == "elu" and self.arguments:
            return float(self.arguments[0]) * float((*self.arguments, 1.0, 1.0)[2])
        return float(FUNCTIONS[self.function][1] or 0.0)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        if self.function == "hardtanh":
            return bool(self.arguments and self.arguments[0] >= 0) or inputs[0]
        return self.function in _NON_NEGATIVE or inputs[0]

    def describe(self) -> str:
        return self.function
