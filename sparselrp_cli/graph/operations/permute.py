"""Changes of the order of axes."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, chain
from sparselrp_cli.graph.operation import At, Cropped, Pulled, Transport
from sparselrp_cli.graph.shapes import Dim, Span

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Permute(Transport):
    """A change of the order of axes."""

    order: tuple[int, ...]
    kind: ClassVar[str] = "permute"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].permute(self.order), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c.permute([self.order.index(a) for a in range(len(self.order))]),)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        return Cropped(self, (dataclasses.replace(span, axis=self.order[span.axis]),))

    def describe(self) -> str:
        return "to " + ", ".join(map(str, self.order))


def permute(call: Call) -> Converted:
    n_axes = len(call.shape())
    return chain(call, Permute(tuple(a % n_axes for a in call["dims"])))


def transpose(call: Call) -> Converted:
    n_axes = len(call.shape())
    order = list(range(n_axes))
    first, second = call.get("dim0", 0) % n_axes, call.get("dim1", n_axes - 1) % n_axes
    order[first], order[second] = order[second], order[first]
    return chain(call, Permute(tuple(order)))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.permute.default: permute,
        aten.transpose.int: transpose,
        aten.t.default: transpose,
    }
)
