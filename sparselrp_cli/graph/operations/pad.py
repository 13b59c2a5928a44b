"""Padding and cropping of axes."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.call import Call, Converted, Converters, axis_of, chain
from sparselrp_cli.graph.operation import At, Cropped, Pulled, Transport
from sparselrp_cli.graph.operations.homogeneous import homogeneous
from sparselrp_cli.graph.shapes import Dim, Span, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Pad(Transport):
    """Padding with a constant; negative amounts crop. `amounts` as in `torch.nn.functional.pad`."""

    amounts: tuple[int, ...]
    value: float = 0.0
    kind: ClassVar[str] = "pad"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return functional.pad(inputs[0], self.amounts, value=self.value), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (functional.pad(c, [-a for a in self.amounts]),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        if self.value == 0:
            return None
        border_only, _ = self.forward(torch.zeros_like(at.inputs[0]))
        return c * border_only

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] and self.value >= 0

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        if self.value != 0:
            return None
        (shape,) = inputs
        place = 2 * (len(shape) - 1 - span.axis)
        amounts = list(self.amounts) + [0] * (2 * len(shape) - len(self.amounts))
        length = size(shape, span.axis)
        start, stop = span.start - amounts[place], span.stop - amounts[place]
        if start >= length or stop <= 0:
            return None  # nothing but padding, which there is no tensor of
        amounts[place : place + 2] = [max(0, -start), max(0, stop - length)]
        inner = Span(span.axis, max(0, start), min(length, stop))
        return Cropped(dataclasses.replace(self, amounts=tuple(amounts)), (inner,))

    def describe(self) -> str:
        return "by " + ", ".join(map(str, self.amounts))


def pad(call: Call) -> Converted:
    amounts = tuple(call["pad"])
    for i in range(0, len(amounts), 2):
        if any(amounts[i : i + 2]):
            axis_of(-1 - i // 2, call.shape())
    if call.get("mode", "constant") != "constant":
        return homogeneous(f"{call['mode']} padding", sign=True)(call)
    return chain(call, Pad(amounts, float(call.get("value") or 0.0)))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.pad.default: pad,
        aten.constant_pad_nd.default: pad,
    }
)
