"""The softmax and its logarithm."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converter, Converters, axis_of, chain
from sparselrp_cli.graph.operation import At, Cropped, Operation, Pulled, position_by_position
from sparselrp_cli.graph.pieces import pieces
from sparselrp_cli.graph.shapes import Dim, Span

aten = torch.ops.aten


def softmax_pull(c: Tensor, s: Tensor, axis: int) -> Tensor:
    """Carry a multiplier through ``s = softmax(x)``: the gradient."""
    found = torch.empty_like(s)
    for part, of_c, of_s in pieces(found, c, s, axis=_across(s, axis)):
        torch.sub(of_c, (of_s * of_c).sum(axis, keepdim=True), out=part).mul_(of_s)
    return found


def softmax_constant(x: Tensor, s: Tensor, axis: int) -> Tensor:
    """Give the constant term of the softmax's expansion at x: ``s - J x``."""
    found = torch.empty_like(s)
    for part, of_x, of_s in pieces(found, x, s, axis=_across(s, axis)):
        linear = of_x.masked_fill(of_s == 0, 0)
        part.copy_(linear.sub_((of_s * linear).sum(axis, keepdim=True)).mul_(of_s).neg_().add_(of_s))
    return found


def _across(s: Tensor, axis: int) -> int:
    """Choose the longest axis that isn't summed over: scores of attention are large, and cut along it."""
    others = [a for a in range(s.dim()) if a != axis % s.dim()]
    return max(others, key=s.shape.__getitem__, default=0)


@dataclass(frozen=True, eq=False)
class Softmax(Operation):
    """``softmax(x)`` over an axis, or its logarithm, at first order; its constant absorbs (prop. 3.1)."""

    axis: int
    logarithm: bool = False
    kind: ClassVar[str] = "softmax"
    passes: ClassVar[str] = "first order; constant absorbs"

    @property
    def reads_output(self) -> bool:  # type: ignore[override]
        return self.logarithm

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        s = inputs[0].softmax(self.axis)
        return (inputs[0].log_softmax(self.axis) if self.logarithm else s), s

    def pull(self, c: Tensor, at: At) -> Pulled:
        if self.logarithm:
            return (c - at.memo * c.sum(self.axis, keepdim=True),)
        return (softmax_pull(c, at.memo, self.axis),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        (x,) = at.inputs
        if self.logarithm:
            constant: Tensor = at.output - x + (at.memo * x).sum(self.axis, keepdim=True)
            return c * constant
        return softmax_constant(x, at.memo, self.axis).mul_(c)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return not self.logarithm

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        return None if span.axis == self.axis % len(output) else position_by_position(self, span)

    def end(self) -> str:
        return "log-softmax" if self.logarithm else "softmax"

    def describe(self) -> str:
        return f"{'logarithm, ' if self.logarithm else ''}axis {self.axis}"


def softmax(logarithm: bool) -> Converter:
    def convert(call: Call) -> Converted:
        return chain(call, Softmax(axis_of(call["dim"], call.shape()), logarithm))

    return convert


CONVERTERS: Converters = MappingProxyType(
    {
        aten.softmax.int: softmax(logarithm=False),
        aten._softmax.default: softmax(logarithm=False),
        aten.log_softmax.int: softmax(logarithm=True),
        aten._log_softmax.default: softmax(logarithm=True),
    }
)
