"""Sums and differences of activations, with each other and with constants.

A sum splits relevance in proportion to its terms, which in multiplier form is the plain gradient.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, chain
from sparselrp_cli.graph.constants import finite, never_negative
from sparselrp_cli.graph.operation import (
    At,
    Cropped,
    Operation,
    Pulled,
    narrowed,
    position_by_position,
)
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.shapes import Dim, Span

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Add(Operation):
    """``x + alpha * y`` of two activations (residual additions, skip connections)."""

    alpha: float = 1.0
    kind: ClassVar[str] = "add"
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "in proportion to the terms"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        x, y = inputs
        return (x + y if self.alpha == 1 else x + self.alpha * y), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        x, y = at.inputs
        scaled = c if self.alpha == 1 else self.alpha * c
        return c.sum_to_size(x.shape), scaled.sum_to_size(y.shape)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs) and self.alpha >= 0

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        return position_by_position(self, span, 2) if _alike(inputs, output) else None


@dataclass(frozen=True, eq=False)
class Subtract(Operation):
    """``x - y`` of two activations."""

    kind: ClassVar[str] = "subtract"
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "in proportion to the terms"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] - inputs[1], None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return c.sum_to_size(at.inputs[0].shape), -c.sum_to_size(at.inputs[1].shape)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        return position_by_position(self, span, 2) if _alike(inputs, output) else None


def _alike(inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> bool:
    """Whether nothing is broadcast."""
    return all(shape == output for shape in inputs)


@dataclass(frozen=True, eq=False)
class Negate(Operation):
    """``-x``."""

    kind: ClassVar[str] = "negate"
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    elementwise: ClassVar[bool] = True
    passes: ClassVar[str] = "passed on"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return -inputs[0], None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (-c,)

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        return position_by_position(self, span)


@dataclass(frozen=True, eq=False)
class Shift(Operation):
    """``x + constant``, broadcast; the constant absorbs its share of relevance."""

    constant: Tensor
    kind: ClassVar[str] = "shift"
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    elementwise: ClassVar[bool] = True

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] + self.constant, None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c.sum_to_size(at.inputs[0].shape),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * finite(self.constant)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] and never_negative(self.constant)

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        part = dataclasses.replace(self, constant=narrowed(self.constant, span, output))
        return position_by_position(part, span) if _alike(inputs, output) else None


def add(call: Call) -> Converted:
    alpha = float(call.get("alpha", 1))
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        return Chain((Add(alpha),), (first, second))
    if isinstance(first, fx.Node):
        return chain(call, Shift(alpha * call.weight("other")))
    scale = () if alpha == 1 else (Scale(torch.tensor(alpha, dtype=call.dtype)),)
    return chain(call, *scale, Shift(call.weight("self")), name="other")


def subtract(call: Call) -> Converted:
    return _difference(call, "self", "other")


def reversed_subtract(call: Call) -> Converted:
    return _difference(call, "other", "self")


def _difference(call: Call, name: str, taken_off: str) -> Converted:
    """Convert ``first - alpha * second``."""
    alpha = float(call.get("alpha", 1))
    first, second = call[name], call[taken_off]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        return Chain((Subtract() if alpha == 1 else Add(-alpha),), (first, second))
    if isinstance(first, fx.Node):
        return chain(call, Shift(-alpha * call.weight(taken_off)), name=name)
    scale = Negate() if alpha == 1 else Scale(torch.tensor(-alpha, dtype=call.dtype))
    return chain(call, scale, Shift(call.weight(name)), name=taken_off)


def negate(call: Call) -> Converted:
    return chain(call, Negate())


CONVERTERS: Converters = MappingProxyType(
    {
        aten.add.Tensor: add,
        aten.add.Scalar: add,
        aten.sub.Tensor: subtract,
        aten.sub.Scalar: subtract,
        aten.rsub.Tensor: reversed_subtract,
        aten.rsub.Scalar: reversed_subtract,
        aten.neg.default: negate,
    }
)
