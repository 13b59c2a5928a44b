"""Chosen indices of an axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, axis_of, chain
from sparselrp_cli.graph.operation import At, Lies, Operation, Pulled, Transport
from sparselrp_cli.graph.operations.permute import Permute
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.shapes import Dim, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class IndexSelect(Transport):
    """Chosen indices of one axis (a fixed reordering of channels, for example)."""

    axis: int
    index: Tensor
    kind: ClassVar[str] = "index-select"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].index_select(self.axis, self.index), None

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        if axis != self.axis:
            return (Lies(axis),)
        # Neighbours stay neighbours, or each is there several times.
        length, of, chosen = size(output, axis), size(inputs[0], axis), self.index.tolist()
        first = chosen[0] if chosen else 0
        if chosen == list(range(first, first + length)):
            return (Lies(axis, 1, first),)
        repeated = length % of == 0 and chosen == [i // (length // of) for i in range(length)]
        return (Lies.evenly(axis, length, of) if repeated else None,)

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c.new_zeros(at.inputs[0].shape).index_add_(self.axis, self.index, c),)


def index_select(call: Call) -> Converted:
    return chain(call, IndexSelect(axis_of(call["dim"], call.shape()), call.weight("index")))


def numbered(indices: Sequence[Any]) -> list[Any]:
    """Put the numbers of the entries that a constant mask chooses in its place, a tensor for each axis."""
    found: list[Any] = []
    for index in indices:
        is_mask = isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)
        found += index.nonzero().unbind(1) if is_mask else [index]
    return found


def index(call: Call) -> Converted:
    """Convert constant indices of one axis, or of several together: entries of these axes side by side."""
    indices, shape = numbered(call["indices"]), call.shape()
    used = [i for i, index in enumerate(indices) if index is not None]
    if not used or not all(isinstance(indices[i], Tensor) for i in used):
        raise NoRule("only constant indices have a rule")
    axes = [axis_of(i, shape) for i in used]
    lengths = [size(shape, axis) for axis in axes]
    counted = [indices[a] % n for a, n in zip(axes, lengths, strict=True)]
    common = sum(counted).shape
    each = [number.expand(common) for number in counted]
    if len(axes) == 1 and each[0].dim() == 1:
        return chain(call, IndexSelect(axes[0], each[0]))
    # As numpy does: the new axes stand where the indexed ones stood, or first where those stand apart.
    first = axes[0] if axes == list(range(axes[0], axes[-1] + 1)) else 0
    others = [a for a in range(len(shape)) if a not in axes]
    order = (*others[:first], *axes, *others[first:])
    moved = tuple(shape[a] for a in order)
    before, behind = moved[:first], moved[first + len(axes) :]
    flat = torch.zeros_like(each[0])
    for number, length in zip(each, lengths, strict=True):
        flat = flat * length + number
    operations: list[Operation] = [] if order == tuple(range(len(shape))) else [Permute(order)]
    merged, chosen = (*before, math.prod(lengths), *behind), (*before, flat.numel(), *behind)
    if merged != moved:
        operations.append(Reshape(moved, merged))
    operations.append(IndexSelect(first, flat.flatten()))
    result = (*before, *flat.shape, *behind)
    if result != chosen:
        operations.append(Reshape(chosen, result))
    return chain(call, *operations)


CONVERTERS: Converters = MappingProxyType(
    {
        aten.index_select.default: index_select,
        aten.index.Tensor: index,
        aten._unsafe_index.Tensor: index,
    }
)
