"""Entries of a tensor that a step of the sequence chooses, such as the places of its largest values."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, axis_of
from sparselrp_cli.graph.operation import At, Lies, Pulled, Transport
from sparselrp_cli.graph.operations.homogeneous import gather as gather_by_constant
from sparselrp_cli.graph.shapes import Dim

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Gather(Transport):
    """Entries along an axis whose numbers are decided by the sequence; the choice gets no relevance."""

    axis: int
    kind: ClassVar[str] = "gather"
    passes: ClassVar[str] = "to what was chosen"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        x, index = inputs
        return x.gather(self.axis, index.long()), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        x, index = at.inputs
        return c.new_zeros(x.shape).scatter_add_(self.axis, index.long(), c), None

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        return (None if axis == self.axis else Lies(axis), None)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def passes_to(self, index: int) -> bool:
        return index == 0

    def describe(self) -> str:
        return f"axis {self.axis}"


def gather(call: Call) -> Converted:
    name = "indices" if "indices" in call.arguments else "index"
    source, index = call["self"], call[name]
    if not isinstance(index, fx.Node):
        return gather_by_constant(call)
    if not call.is_decision(index) or not isinstance(source, fx.Node):
        raise NoRule("its index is neither constant nor a step, as argmax and topk give")
    shape = call.shape_of(source)
    if call["dim"] is None or len(shape) != len(call.shape_of(index)):
        raise NoRule("its tensor and its index have different axes; give both the same")
    axis = axis_of(call["dim"], shape)
    if name == "indices" and any(
        a != axis and d != i for a, (d, i) in enumerate(zip(shape, call.shape_of(index), strict=True))
    ):
        raise NoRule("its tensor or its index is broadcast; expand it first")
    return Chain((Gather(axis),), (source, index))


CONVERTERS: Converters = MappingProxyType({aten.gather.default: gather, aten.take_along_dim.default: gather})
