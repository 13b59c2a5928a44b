"""Gated linear units."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, axis_of, chain
from sparselrp_cli.graph.operation import At, Operation, Pulled


@dataclass(frozen=True, eq=False)
class GatedLinear(Operation):
    """``a * sigmoid(b)`` of the halves of one axis (GLU): the signal a takes all (Arras et al. 2017)."""

    axis: int
    kind: ClassVar[str] = "gated-linear"
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "signal takes all"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        signal, gate = inputs[0].chunk(2, self.axis)
        gate = gate.sigmoid()
        return signal * gate, gate

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (torch.cat([c * at.memo, torch.zeros_like(at.memo)], self.axis),)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]


def gated_linear(call: Call) -> Converted:
    return chain(call, GatedLinear(axis_of(call.get("dim", -1), call.shape())))


CONVERTERS: Converters = MappingProxyType({torch.ops.aten.glu.default: gated_linear})
