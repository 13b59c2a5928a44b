"""Element-wise functions: relevance passes unchanged, so the multiplier is scaled by a quotient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Converted, Converter, Converters, NoRule, chain
from sparselrp_cli.graph.functions import FUNCTIONS, Function
from sparselrp_cli.graph.operation import At, Cropped, Operation, Pulled, position_by_position
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.shapes import Dim, Span

aten = torch.ops.aten
_NEAR_ZERO = 1e-12


@dataclass(frozen=True, eq=False)
class Activation(Operation):
    """An element-wise function ``f``.

    Relevance passes through unchanged (Bach et al. 2015): ``c_in = c_out * f(x) / x``. Where ``f(0)`` isn't 0
    it is a constant, which absorbs its share as a bias does: ``c_in = c_out * (f(x) - f(0)) / x`` [ours].

    Attributes
    ----------
    function : str
        A name in `graph.functions`.
    arguments : tuple
        What its row calls `arguments`.
    slope : Tensor or None
        Of a PReLU: the factor below 0, broadcast.
    """

    function: str
    arguments: tuple[Any, ...] = ()
    slope: Tensor | None = None
    kind: ClassVar[str] = "activation"
    elementwise: ClassVar[bool] = True
    passes: ClassVar[str] = "passed on"

    @cached_property
    def row(self) -> Function:
        """What is known of the function with its arguments."""
        return FUNCTIONS[self.function].given(self.arguments)

    @property
    def is_relu(self) -> bool:
        """Whether negative values become 0 and the others stay."""
        return self.slope is None and self.row.below == 0

    @property
    def _share_below(self) -> float | Tensor | None:
        """The factor below 0 of a function that is a line on either side of it."""
        return self.row.below if self.slope is None else self.slope

    @property
    def reads_output(self) -> bool:  # type: ignore[override]
        return self.is_relu or self._share_below is None

    def reads_input(self, index: int) -> bool:
        return not self.is_relu

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        arguments = self.arguments if self.slope is None else (self.slope,)
        return self.row.call(inputs[0], *arguments), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        (x,) = at.inputs
        if self.is_relu:
            return (aten.threshold_backward(c, at.output, 0),)
        if (below := self._share_below) is not None:
            return (torch.where(x > 0, c, below * c),)
        # Near 0 the quotient loses its digits; a difference f(x) - f(0) loses half of them sooner.
        value = self.row.value
        small = x.abs() < (math.sqrt(torch.finfo(x.dtype).eps) if value else _NEAR_ZERO)
        ratio = (at.output - value).div_(torch.where(small, 1.0, x)).masked_fill_(small, self.row.slope)
        return (ratio.mul_(c),)

    def gradient(self, c: Tensor, at: At) -> Pulled:
        with torch.inference_mode(False), torch.enable_grad():
            x = at.inputs[0].detach().clone().requires_grad_()
            y, _ = self.forward(x)
            return torch.autograd.grad(y, x, c.detach().clone())

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * self.row.value if self.row.value else None

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return self.row.non_negative or (self.row.keeps_sign and inputs[0])

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return self.row.gate or (self.row.keeps_gate and all(inputs))

    def end(self) -> str:
        return self.row.name if self.row.end else ""

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        return None if self.slope is not None else position_by_position(self, span)

    def describe(self) -> str:
        return self.row.name


def _of_row(row: Function) -> Converter:
    """Make the converter of a function that one overload stands for."""

    def convert(call: Call) -> Converted:
        return chain(call, Activation(row.name, tuple(call[name] for name in row.arguments)))

    return convert


def elu(call: Call) -> Converted:
    if call.get("scale", 1) != 1 or call.get("input_scale", 1) != 1:
        raise NoRule("a scaled ELU has no rule; use selu, elu or celu")
    return chain(call, Activation("elu", (call.get("alpha", 1.0),)))


def clamp(call: Call) -> Converted:
    low = _bound(call.get("min", call.get("min_val", -math.inf)))
    high = _bound(call.get("max", call.get("max_val", math.inf)))
    if low == 0 and high == math.inf:
        return chain(call, Activation("relu"))
    return chain(call, Activation("hardtanh", (low, high)))


def _bound(value: Any) -> float:
    """Give a bound as a number; a tensor of one number is one."""
    return float(value)


def threshold(call: Call) -> Converted:
    limits = float(call["threshold"]), float(call["value"])
    return chain(call, Activation("relu") if limits == (0, 0) else Activation("threshold", limits))


def random_leaky_relu(call: Call) -> Converted:
    """Convert a randomised leaky ReLU, which in evaluation mode has the mean of its slopes."""
    if call.item:
        raise NoRule("its random slopes carry no relevance")
    slope = (float(call["lower"]) + float(call["upper"])) / 2
    return chain(call, Activation("leaky_relu", (slope,)))


def prelu(call: Call) -> Converted:
    slope = call.weight("weight")
    if slope.dim() == 1 and slope.numel() > 1:
        slope = slope.reshape(-1, *[1] * (len(call.shape()) - 2))
    return chain(call, Activation("prelu", (), slope))


def power(call: Call) -> Converted:
    exponent = float(call["exponent"]) if not isinstance(call["exponent"], fx.Node) else 0.0
    if exponent == 0:
        raise NoRule("only powers with a constant exponent other than 0 have a rule")
    if exponent == 1:
        return chain(call, Scale(torch.tensor(1.0, dtype=call.dtype)))
    return chain(call, Activation("power", (exponent,)))


def power_of_a_number(call: Call) -> Converted:
    """Convert ``base ** x``, which is ``exp(x log base)``."""
    base = float(call["self"])
    if base <= 0:
        raise NoRule("powers of 0 and of negative numbers have no rule")
    factor = Scale(torch.tensor(math.log(base), dtype=call.dtype))
    return chain(call, factor, Activation("exp"), name="exponent")


CONVERTERS: Converters = MappingProxyType(
    {
        **{row.overload: _of_row(row) for row in FUNCTIONS.values() if row.overload is not None},
        aten.elu.default: elu,
        aten.clamp.default: clamp,
        aten.clamp_min.default: clamp,
        aten.clamp_max.default: clamp,
        aten.hardtanh.default: clamp,
        aten.rrelu.default: random_leaky_relu,
        aten.rrelu_with_noise_functional.default: random_leaky_relu,
        aten.threshold.default: threshold,
        aten.prelu.default: prelu,
        aten._prelu_kernel.default: prelu,
        aten.pow.Tensor_Scalar: power,
        aten.pow.Scalar: power_of_a_number,
    }
)
