"""Chosen indices of an axis."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, axis_of, chain
from sparselrp_cli.graph.operation import At, Pulled, Transport
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.shapes import BatchDim, numbers, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class IndexSelect(Transport):
    """Chosen indices of one axis (a fixed reordering of channels, for example)."""

    axis: int
    index: Tensor
    kind: ClassVar[str] = "index-select"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].index_select(self.axis, self.index), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c.new_zeros(at.inputs[0].shape).index_add_(self.axis, self.index, c),)


def index_select(call: Call) -> Converted:
    return chain(call, IndexSelect(axis_of(call["dim"], call.shape()), call.weight("index")))


def index(call: Call) -> Converted:
    indices = call["indices"]
    used = [i for i, index in enumerate(indices) if index is not None]
    if len(used) != 1 or not isinstance(indices[used[0]], Tensor):
        raise NoRule("only a constant list of indices along one axis has a rule")
    index = indices[used[0]]
    if index.dim() != 1 or index.dtype == torch.bool:
        raise NoRule("only a constant list of indices along one axis has a rule")
    axis = axis_of(used[0], call.shape())
    return chain(call, IndexSelect(axis, index % size(call.shape(), axis)))


def strided(call: Call) -> Converted:
    """Convert a view by strides of contiguous memory: entries chosen within each row of the first axis."""
    shape, stride = call.shape(), call["stride"]
    rows, offset = shape[0], int(call.get("storage_offset", 0))
    if not isinstance(rows, BatchDim) or rows != call.output[0]:
        raise NoRule("it mixes samples")
    length = numbers(shape[1:])
    if stride[0] != length:
        raise NoRule("it mixes samples")
    sizes = [size(call.output, axis) for axis in range(1, len(call.output))]
    index = torch.arange(length).as_strided(sizes, list(stride[1:]), offset).flatten()
    return chain(
        call,
        Reshape(shape, (rows, length)),
        IndexSelect(1, index),
        Reshape((rows, index.numel()), call.output),
    )


CONVERTERS: Converters = MappingProxyType(
    {
        aten.index_select.default: index_select,
        aten.index.Tensor: index,
        aten.as_strided.default: strided,
    }
)
