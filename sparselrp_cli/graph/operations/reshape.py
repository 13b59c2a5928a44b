"""View, flatten, squeeze and their like."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Alias, Call, Converted, Converters, NoRule, chain
from sparselrp_cli.graph.operation import At, Cropped, Lies, Pulled, Transport
from sparselrp_cli.graph.shapes import (
    BatchDim,
    Dim,
    Span,
    numbers,
    resolve,
    sample_axis,
    sample_dim,
    size,
    tracked,
)

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Reshape(Transport):
    """View, flatten, squeeze and their like; shapes may hold the sample axis."""

    shape_in: tuple[Dim, ...]
    shape_out: tuple[Dim, ...]
    kind: ClassVar[str] = "reshape"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        n_samples = x.shape[sample_axis(self.shape_in)] // sample_dim(self.shape_in).multiple
        return x.reshape(resolve(self.shape_out, n_samples)), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c.reshape(at.inputs[0].shape),)

    def laid(self, shape: tuple[Dim, ...], sources: Sequence[tuple[Dim, ...]]) -> tuple[Dim, ...]:
        return tracked(shape, sources[0])

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        """Crop an axis that is there before and after, with as much inside of it."""
        (shape,), inner = inputs, numbers(output[span.axis + 1 :])
        for axis in range(len(shape)):
            if shape[axis] == output[span.axis] and numbers(shape[axis + 1 :]) == inner:
                length = span.stop - span.start
                cut = (*shape[:axis], length, *shape[axis + 1 :])
                made = (*output[: span.axis], length, *output[span.axis + 1 :])
                return Cropped(Reshape(cut, made), (dataclasses.replace(span, axis=axis),))
        return None

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        """Find the axis that is cut into pieces, or is a piece, of what is evenly laid over the other."""
        (shape,), length, before = inputs, size(output, axis), numbers(output[:axis])
        for a in range(1, len(shape)):
            of = size(shape, a) if isinstance(shape[a], int) else 1
            if numbers(shape[:a]) == before and of > 1 and (of % length == 0 or length % of == 0):
                return (Lies.evenly(a, length, of),)
        return (None,)

    def describe(self) -> str:
        return f"to ({', '.join(map(str, self.shape_out))})"


def in_batches(shape: Sequence[Dim]) -> tuple[Dim, ...]:
    """Split the axis of samples into (batches, N), where several whole batches lie below each other.

    Raises
    ------
    NoRule
        If the entries of a sample lie side by side.
    """
    axis, dim = sample_axis(shape), sample_dim(shape)
    if dim.entries != 1:
        raise NoRule("it works along the samples, which must stay apart")
    return (*shape[:axis], dim.multiple, BatchDim(), *shape[axis + 1 :])


def reshape(call: Call) -> Converted:
    node = call.activation("self")
    if call.shape_of(node) == call.output:
        return Alias(node)
    return chain(call, Reshape(call.shape_of(node), call.output))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.view.default: reshape,
        aten.reshape.default: reshape,
        aten._unsafe_view.default: reshape,
        aten.unsqueeze.default: reshape,
        aten.squeeze.default: reshape,
        aten.squeeze.dim: reshape,
        aten.squeeze.dims: reshape,
        aten.flatten.using_ints: reshape,
        aten.unflatten.int: reshape,
    }
)
