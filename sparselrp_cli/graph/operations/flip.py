"""The reversal of axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, axis_of, chain
from sparselrp_cli.graph.operation import At, Lies, Pulled, Transport
from sparselrp_cli.graph.shapes import Dim, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Flip(Transport):
    """The reversal of axes."""

    axes: tuple[int, ...]
    kind: ClassVar[str] = "flip"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].flip(self.axes), None

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        flipped = axis in {a % len(output) for a in self.axes}
        return (Lies(axis, -1, size(output, axis) - 1) if flipped else Lies(axis),)

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c.flip(self.axes),)


def flip(call: Call) -> Converted:
    axes = tuple(axis_of(a, call.output) for a in call["dims"])
    return chain(call, Flip(axes))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.flip.default: flip,
    }
)
