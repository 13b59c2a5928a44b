"""Comparisons and other step functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.aten_call import AtenCall, places
from sparselrp_cli.graph.call import Call, Chain, Converted, Converter, Converters
from sparselrp_cli.graph.operation import At, Pulled

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Decision(AtenCall):
    """A comparison or another step function: it decides, and carries no relevance.

    Where one is a factor among gates, what it is given it absorbs.
    """

    kind: ClassVar[str] = "decision"
    passes: ClassVar[str] = "decides; carries none"
    takes_decisions: ClassVar[bool] = True

    def pull(self, c: Tensor, at: At) -> Pulled:
        return tuple(None for _ in at.inputs)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * at.output

    def is_decision(self, inputs: Sequence[bool]) -> bool:
        return True

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return True


def decision(name: str) -> Converter:
    """Make a converter for a function that decides and carries no relevance."""

    def convert(call: Call) -> Converted:
        arguments, inputs = places(call)
        return Chain((Decision(call.function, arguments, name, call.item),), inputs)

    return convert


_COMPARING = (
    aten.gt.Scalar, aten.gt.Tensor, aten.ge.Scalar, aten.ge.Tensor, aten.lt.Scalar, aten.lt.Tensor,
    aten.le.Scalar, aten.le.Tensor, aten.eq.Scalar, aten.eq.Tensor, aten.ne.Scalar, aten.ne.Tensor,
    aten.logical_and.default, aten.logical_or.default, aten.logical_not.default,
    aten.bitwise_and.Tensor, aten.bitwise_or.Tensor, aten.bitwise_not.default,
    aten.argmax.default, aten.argmin.default, aten.sign.default, aten.floor.default, aten.ceil.default,
    aten.round.default, aten.isnan.default, aten.any.dim, aten.all.dim,
)  # fmt: skip
CONVERTERS: Converters = MappingProxyType(dict.fromkeys(_COMPARING, decision("comparison")))
