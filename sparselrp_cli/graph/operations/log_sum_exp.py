"""The logarithm of a sum of exponentials."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, axis_of, chain
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.operations.concatenate import Concatenate
from sparselrp_cli.graph.shapes import sample_axis

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class LogSumExp(Operation):
    """``log sum exp(x)`` over axes, at first order; the constant term absorbs."""

    axes: tuple[int, ...]
    keepdim: bool
    kind: ClassVar[str] = "log-sum-exp"
    passes: ClassVar[str] = "first order; constant absorbs"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        kept = inputs[0].logsumexp(self.axes, keepdim=True)
        shares = (inputs[0] - kept).exp()
        return (kept if self.keepdim else inputs[0].logsumexp(self.axes)), shares

    def _kept(self, values: Tensor, like: Tensor) -> Tensor:
        for axis in () if self.keepdim else sorted(a % like.dim() for a in self.axes):
            values = values.unsqueeze(axis)
        return values

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (at.memo * self._kept(c, at.inputs[0]),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        constant: Tensor = at.output - (at.memo * at.inputs[0]).sum(self.axes, keepdim=self.keepdim)
        return c * constant


def log_sum_exp(call: Call) -> Converted:
    shape = call.shape()
    axes = tuple(axis_of(a, shape) for a in call["dim"])
    return chain(call, LogSumExp(axes, bool(call.get("keepdim", False))))


def log_add_exp(call: Call) -> Converted:
    """Convert the log-sum-exp of two tensors, put side by side."""
    parts = call["self"], call["other"]
    if not all(isinstance(part, fx.Node) and call.shape_of(part) == call.output for part in parts):
        raise NoRule("it has a rule for two activations of one shape; use torch.logsumexp")
    axis = sample_axis(call.output) + 1
    side_by_side = Concatenate(axis, (None, None), stack=True, samples=axis - 1)
    return Chain((side_by_side, LogSumExp((axis,), keepdim=False)), parts)


CONVERTERS: Converters = MappingProxyType(
    {
        aten.logsumexp.default: log_sum_exp,
        aten.logaddexp.default: log_add_exp,
    }
)
