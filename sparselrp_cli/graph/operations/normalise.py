"""Normalisations whose statistics come from the activations themselves: layer, group, instance, RMS."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, chain
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.operations.batch_norm import batch_norm
from sparselrp_cli.graph.shapes import BatchDim, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Normalise(Operation):
    """``(x - mean) / sd * weight + bias`` over rows of neurons; RMS normalisation has no mean.

    The standard deviation is a scale that gets no relevance, the rest is linear (AttnLRP, Achtibat et al.
    2024, prop. 3.4): the multiplier is the gradient with the deviation held constant.

    Attributes
    ----------
    name : str
    row : int
        How many of the last axes one row spans, or 0 for groups of channels with all positions.
    groups : int
        Groups of channels, where `row` is 0.
    centred : bool
    epsilon : float
    weight, bias : Tensor or None
        Broadcast against the input.
    """

    name: str
    row: int
    groups: int
    centred: bool
    epsilon: float
    weight: Tensor | None
    bias: Tensor | None
    kind: ClassVar[str] = "normalise"
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "deviation is a scale; bias absorbs"

    def _rows(self, x: Tensor) -> Tensor:
        if self.row:
            return x.flatten(-self.row)
        return x.reshape(x.shape[0], self.groups, -1)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        rows = self._rows(x)
        if self.centred:
            rows = rows - rows.mean(-1, keepdim=True)
        scale = torch.rsqrt(rows.square().mean(-1, keepdim=True) + self.epsilon)
        y = (rows * scale).reshape(x.shape)
        y = y if self.weight is None else y * self.weight
        return (y if self.bias is None else y + self.bias), scale

    def pull(self, c: Tensor, at: At) -> Pulled:
        c = c if self.weight is None else c * self.weight
        rows = self._rows(c) * at.memo
        if self.centred:
            rows = rows - rows.mean(-1, keepdim=True)
        return (rows.reshape(at.inputs[0].shape),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return None if self.bias is None else c * self.bias

    def describe(self) -> str:
        return self.name


def layer_norm(call: Call) -> Converted:
    rows = len(call["normalized_shape"])
    weight, bias = call.constant("weight"), call.constant("bias")
    _check_rows(call, rows)
    return chain(call, Normalise("layer", rows, 0, True, call.get("eps", 1e-5), weight, bias), name="input")


def rms_norm(call: Call) -> Converted:
    rows = len(call["normalized_shape"])
    _check_rows(call, rows)
    epsilon = call.get("eps", torch.finfo(call.dtype).eps)
    return chain(call, Normalise("RMS", rows, 0, False, epsilon, call.constant("weight"), None), name="input")


def _check_rows(call: Call, rows: int) -> None:
    if any(isinstance(d, BatchDim) for d in call.shape("input")[-rows:]):
        raise NoRule("it works along the samples, which must stay apart")


def group_norm(call: Call) -> Converted:
    return _grouped(call, "group", int(call["num_groups"]))


def instance_norm(call: Call) -> Converted:
    """Convert an instance norm; one that tracked its statistics uses those, as a batch norm does."""
    if not call["use_input_stats"]:
        return batch_norm(call)
    return _grouped(call, "instance", size(call.shape("input"), 1))


def _grouped(call: Call, name: str, groups: int) -> Converted:
    shape = call.shape("input")
    if not isinstance(shape[0], BatchDim):
        raise NoRule("samples must be its first axis")

    def spread(vector: Tensor | None) -> Tensor | None:
        return None if vector is None else vector.reshape(-1, *[1] * (len(shape) - 2))

    weight, bias = spread(call.constant("weight")), spread(call.constant("bias"))
    return chain(call, Normalise(name, 0, groups, True, call.get("eps", 1e-5), weight, bias), name="input")


CONVERTERS: Converters = MappingProxyType(
    {
        aten.layer_norm.default: layer_norm,
        aten.rms_norm.default: rms_norm,
        aten.group_norm.default: group_norm,
        aten.instance_norm.default: instance_norm,
    }
)
