"""Ranges and single entries of an axis."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Alias, Call, Converted, Converters, NoRule, axis_of, chain
from sparselrp_cli.graph.operation import At, Cropped, Pulled, Transport, position_by_position
from sparselrp_cli.graph.operations.reshape import Reshape, in_batches
from sparselrp_cli.graph.shapes import BatchDim, Dim, Span, sample_dim, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Slice(Transport):
    """A range of one axis with a step; `drop` removes the axis (a selected index)."""

    axis: int
    start: int
    stop: int
    step: int = 1
    drop: bool = False
    kind: ClassVar[str] = "slice"

    def _index(self, x: Tensor) -> tuple[slice, ...]:
        index = [slice(None)] * x.dim()
        index[self.axis] = slice(self.start, self.stop, self.step)
        return tuple(index)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        y = inputs[0][self._index(inputs[0])]
        return (y.squeeze(self.axis) if self.drop else y), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        grad = c.new_zeros(at.inputs[0].shape)  # what is sliced may be the outcome of a comparison
        grad[self._index(grad)] = c.unsqueeze(self.axis) if self.drop else c
        return (grad,)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        if self.step != 1 or self.axis < 0 or self.drop:
            return None
        if self.axis != span.axis:
            return position_by_position(self, span)
        moved = Span(span.axis, span.start + self.start, span.stop + self.start)
        return Cropped(dataclasses.replace(self, start=0, stop=span.stop - span.start), (moved,))

    def cropped_whole(self) -> Cropped | None:
        # All of a slice is less than all of what it is cut from.
        if self.step != 1 or self.axis < 1:
            return None
        taken = Span(self.axis, self.start, self.stop)
        return Cropped(dataclasses.replace(self, start=0, stop=taken.stop - taken.start), (taken,))

    def describe(self) -> str:
        step = f":{self.step}" if self.step != 1 else ""
        return f"axis {self.axis}, {self.start}:{self.stop}{step}"


def slice_axis(call: Call) -> Converted:
    node = call.activation("self")
    shape = call.shape_of(node)
    if shape == call.output:
        return Alias(node)
    axis = call.get("dim", 0) % len(shape)
    length = shape[axis]
    if isinstance(length, BatchDim):
        return _of_batches(call, axis, call.arguments.get("start"), call.arguments.get("end"))
    start, stop, step = slice(call.get("start"), call.get("end"), call.get("step", 1)).indices(length)
    return chain(call, Slice(axis, start, stop, step))


def _of_batches(call: Call, axis: int, start: Any, stop: Any) -> Converted:
    """Convert a slice of whole batches that lie below each other, as of both strands."""
    shape = call.shape()
    batches = in_batches(shape)
    count = size(batches, axis)
    begin, end = 0 if start in (0, None) else start, BatchDim(count) if _is_end(stop) else stop
    first, last = (d.multiple % count if isinstance(d, BatchDim) else d for d in (begin, end))
    last = last or count
    whole = all(d == 0 or isinstance(d, BatchDim) for d in (begin, end))
    if not whole or first >= last or call.get("step", 1) != 1:
        raise NoRule("it takes part of the samples; keep them all")
    taken = (*batches[:axis], last - first, *batches[axis + 1 :])
    return chain(call, Reshape(shape, batches), Slice(axis, first, last), Reshape(taken, call.output))


def _is_end(stop: Any) -> bool:
    """Whether a slice goes on to the last entry, however many there are."""
    return stop is None or (isinstance(stop, int) and stop >= 2**31)


def select(call: Call) -> Converted:
    shape = call.shape_of(call.activation("self"))
    axis = call["dim"] % len(shape)
    length = shape[axis]
    if isinstance(length, BatchDim):
        raise NoRule("it takes one of the samples; keep them all")
    index = call["index"] % length
    return chain(call, Slice(axis, index, index + 1, drop=True))


def split(call: Call) -> Converted:
    axis = call.get("dim", 0) % len(call.shape())
    if isinstance(call.shape()[axis], BatchDim):
        counts = [sample_dim(shape).multiple for shape in call.output_shapes]
        begin = sum(counts[: call.item])
        return _of_batches(call, axis, BatchDim(begin) if begin else 0, BatchDim(begin + counts[call.item]))
    lengths = [size(shape, axis) for shape in call.output_shapes]
    start = sum(lengths[: call.item])
    return chain(call, Slice(axis, start, start + lengths[call.item]))


def unbind(call: Call) -> Converted:
    axis = axis_of(call.get("dim", 0), call.shape())
    return chain(call, Slice(axis, call.item, call.item + 1, drop=True))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.slice.Tensor: slice_axis,
        aten.select.int: select,
        aten.split.Tensor: split,
        aten.split_with_sizes.default: split,
        aten.chunk.default: split,
        aten.unsafe_split.Tensor: split,
        aten.unsafe_chunk.default: split,
        aten.unbind.int: unbind,
    }
)
