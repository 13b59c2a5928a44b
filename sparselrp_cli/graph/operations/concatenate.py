"""Tensors side by side, or stacked."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import (
    Call,
    Chain,
    Converted,
    Converter,
    Converters,
    NoRule,
    Step,
    Steps,
    axis_of,
)
from sparselrp_cli.graph.constants import never_negative
from sparselrp_cli.graph.operation import At, Cropped, Pulled, Transport, position_by_position
from sparselrp_cli.graph.operations.reshape import Reshape, in_batches
from sparselrp_cli.graph.shapes import BatchDim, Dim, Span, sample_axis, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Concatenate(Transport):
    """Tensors side by side along one axis, or stacked along a new one.

    `parts` says for each piece whether it is an activation (None) or a constant, which absorbs its relevance;
    constants have length 1 along `samples`, the sample axis, and are the same for every sample.
    """

    axis: int
    parts: tuple[Tensor | None, ...]
    stack: bool = False
    samples: int = 0
    kind: ClassVar[str] = "concatenate"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        activations = iter(inputs)
        n = inputs[0].shape[self.samples]
        pieces = [
            next(activations)
            if p is None
            else p.expand(*p.shape[: self.samples], n, *p.shape[self.samples + 1 :])
            for p in self.parts
        ]
        return (torch.stack(pieces, self.axis) if self.stack else torch.cat(pieces, self.axis)), None

    def _split(self, values: Tensor, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        if self.stack:
            return list(values.unbind(self.axis))
        activations = iter(inputs)
        pieces = [next(activations) if p is None else p for p in self.parts]
        return list(torch.split(values, [p.shape[self.axis] for p in pieces], self.axis))

    def pull(self, c: Tensor, at: At) -> Pulled:
        pieces = self._split(c, at.inputs)
        return tuple(piece for piece, part in zip(pieces, self.parts, strict=True) if part is None)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        if all(part is None for part in self.parts):
            return None
        constants_only, _ = self.forward(*[torch.zeros_like(x) for x in at.inputs])
        return c * constants_only

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs) and all(p is None or never_negative(p) for p in self.parts)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        side_by_side = not self.stack and self.axis != span.axis and all(part is None for part in self.parts)
        return position_by_position(self, span, len(inputs)) if side_by_side else None

    def describe(self) -> str:
        return f"axis {self.axis}"


def concatenate(call: Call) -> Converted:
    return _along(call, call.get("dim", 0))


def _along(call: Call, dim: int) -> Converted:
    pieces = list(call["tensors"])
    parts = tuple(None if isinstance(p, fx.Node) else p for p in pieces)
    inputs = tuple(p for p in pieces if isinstance(p, fx.Node))
    if isinstance(call.output[dim], BatchDim) and len(call.output) == len(call.shape_of(inputs[0])):
        return _below_each_other(call, inputs)
    axis = axis_of(dim, call.output)
    shape = call.shape_of(inputs[0])
    stacked = len(call.output) > len(shape)
    return Chain((Concatenate(axis, parts, stacked, sample_axis(shape)),), inputs)


def _below_each_other(call: Call, inputs: tuple[fx.Node, ...]) -> Converted:
    """Convert batches below each other, as of both strands: each becomes an entry of a new axis in front.

    Raises
    ------
    NoRule
        If one of them is a constant, or has its samples in another order.
    """
    if len(inputs) < len(call["tensors"]):
        raise NoRule("it puts constants beside the samples, which must stay apart")
    steps, count = list[Step](), 0
    for node in inputs:
        batches = in_batches(call.shape_of(node))
        steps.append((Reshape(call.shape_of(node), batches), (node,)))
        count += size(batches, sample_axis(batches) - 1)
    axis = sample_axis(call.output)
    steps.append((Concatenate(axis, (None,) * len(inputs), samples=axis + 1), tuple(range(len(inputs)))))
    joined = (*call.output[:axis], count, BatchDim(), *call.output[axis + 1 :])
    steps.append((Reshape(joined, call.output), (len(inputs),)))
    return Steps(tuple(steps))


def side_by_side(axis: int) -> Converter:
    """Make the converter of ``hstack`` and its like, for tensors that have such an axis."""

    def convert(call: Call) -> Converted:
        shapes = [call.shape_of(p) if isinstance(p, fx.Node) else p.shape for p in call["tensors"]]
        if any(len(shape) <= axis for shape in shapes):
            raise NoRule("its tensors have too few axes; use torch.cat or torch.stack")
        return _along(call, axis)

    return convert


CONVERTERS: Converters = MappingProxyType(
    {
        aten.cat.default: concatenate,
        aten.concat.default: concatenate,
        aten.concatenate.default: concatenate,
        aten.stack.default: concatenate,
        aten.hstack.default: side_by_side(1),
        aten.column_stack.default: side_by_side(1),
        aten.dstack.default: side_by_side(2),
    }
)
