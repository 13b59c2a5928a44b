"""Crop a graph to what some positions of its outputs depend on: their receptive field, tensor by tensor.

Exact: what is left out can't reach the explained positions, so that its relevance is 0. Operations that are
not known to work position by position need, and get, all of what they read.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operations import (
    Activation,
    Add,
    ChannelAffine,
    Concatenate,
    Convolution,
    Dense,
    Dim,
    Negate,
    Operation,
    Pad,
    Permute,
    Slice,
    Subtract,
)

WORTH = 0.95
"""A graph is cropped if that leaves at most this share of its multiply-adds."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of one axis of a tensor."""

    axis: int
    start: int
    stop: int

    def joined(self, other: "Span | None") -> "Span | None":
        """Give the smallest range that holds both; None, everything, where axes differ."""
        if other is None or other.axis != self.axis:
            return None
        return Span(self.axis, min(self.start, other.start), max(self.stop, other.stop))

    def of(self, shape: tuple[Dim, ...]) -> "Span | None":
        """Give None where the range is all of a tensor."""
        return None if self.start <= 0 and self.stop >= _length(shape, self.axis) else self


@dataclass(frozen=True, slots=True)
class _Reading:
    """What an operation reads of its inputs to make a span of its output, and what it then is."""

    inputs: tuple[Span, ...]
    operation: Operation
    deficit: tuple[int, int] = (0, 0)
    """Zeros to put before and after what is read."""


def crop(graph: CanonicalGraph, outputs: Mapping[int, Span | None]) -> CanonicalGraph:
    """Leave out what the given spans of outputs (None is all of one) don't depend on.

    Outputs keep their shape and hold zeros outside their span. Nodes that make tensors keep their names.
    Where little would be left out the graph is returned as it is.
    """
    field = _Field(graph)
    needs = field.needs(outputs)
    cropped = _Cropping(graph, field, needs).run()
    return cropped if _work(cropped) <= WORTH * _work(graph) else graph


def _length(shape: tuple[Dim, ...], axis: int) -> int:
    size = shape[axis]
    if not isinstance(size, int):
        raise TypeError("samples aren't cropped")
    return size


def _work(graph: CanonicalGraph) -> int:
    shapes = {graph.input: graph.input_shape, **{n.name: n.shape for n in graph.nodes}}
    return sum(
        n.operation.work([shapes[i] for i in n.inputs], n.shape)
        for n in graph.nodes
        if not n.operation.transport
    )


class _Field:
    """Finds what of a graph's tensors is read to make a span of an output."""

    def __init__(self, graph: CanonicalGraph) -> None:
        self.graph = graph
        self.shapes = {graph.input: graph.input_shape, **{n.name: n.shape for n in graph.nodes}}
        self.moved_input = {graph.input}
        for node in graph.nodes:
            if node.operation.transport and self.moved_input.issuperset(node.inputs):
                self.moved_input.add(node.name)

    def needs(self, outputs: Mapping[int, Span | None]) -> dict[str, Span | None]:
        """Find the span of each tensor that is read, from the outputs back."""
        needs: dict[str, Span | None] = {}

        def need(name: str, span: Span | None) -> None:
            part = None if span is None else span.of(self.shapes[name])
            known = needs.get(name, part)
            needs[name] = None if known is None or part is None else known.joined(part)

        for index, span in outputs.items():
            need(self.graph.outputs[index].node, span)
        for node in reversed(self.graph.nodes):
            if node.name not in needs:
                continue
            reading = self.reading(node, needs[node.name])
            if reading is None:
                needs[node.name] = None
            for i, name in enumerate(node.inputs):
                need(name, None if reading is None else reading.inputs[i])
        return needs

    def reading(self, node: Node, span: Span | None) -> _Reading | None:
        """Say what a node reads to make a span of its output; None where it makes and reads everything."""
        operation, inputs = node.operation, [self.shapes[name] for name in node.inputs]
        if span is None:
            return _of_slice_alone(operation) if isinstance(operation, Slice) else None
        match operation:
            case Activation() if operation.slope is None:
                return _Reading((span,), operation)
            case Negate():
                return _Reading((span,), operation)
            case Add() | Subtract() if all(shape == node.shape for shape in inputs):
                return _Reading((span,) * len(inputs), operation)
            case ChannelAffine() if span.axis > 1:
                return _Reading((span,), operation)
            case Dense() if span.axis < len(node.shape) - 1:
                return _Reading((span,), operation)
            case Permute():
                return _Reading((dataclasses.replace(span, axis=operation.order[span.axis]),), operation)
            case Concatenate() if _side_by_side(operation, span):
                return _Reading((span,) * len(inputs), operation)
            case Slice() if operation.step == 1:
                return _of_slice(operation, span)
            case Convolution() if operation.weight.dim() == 3 and span.axis == 2:
                reading = _of_convolution(operation, span, _length(inputs[0], 2))
                # Rules for the input tell its padding, which gets nothing, from bases.
                at_input = node.inputs[0] in self.moved_input
                return None if at_input and reading.deficit != (0, 0) else reading
            case Pad() if operation.value == 0:
                return _of_pad(operation, span, inputs[0])
        return None


def _of_slice_alone(operation: Slice) -> _Reading | None:
    """Say what a slice reads of which everything is needed."""
    if operation.step != 1 or operation.axis < 1:
        return None
    taken = Span(operation.axis, operation.start, operation.stop)
    return _Reading((taken,), dataclasses.replace(operation, start=0, stop=taken.stop - taken.start))


def _side_by_side(operation: Concatenate, span: Span) -> bool:
    return (
        not operation.stack and operation.axis != span.axis and all(part is None for part in operation.parts)
    )


def _of_slice(operation: Slice, span: Span) -> _Reading | None:
    if operation.axis < 0 or operation.drop:
        return None
    if operation.axis != span.axis:
        return _Reading((span,), operation)
    moved = Span(span.axis, span.start + operation.start, span.stop + operation.start)
    whole = dataclasses.replace(operation, start=0, stop=span.stop - span.start)
    return _Reading((moved,), whole)


def _of_convolution(operation: Convolution, span: Span, length: int) -> _Reading:
    """Read the receptive field; where it hangs over the border, zeros stand for the padding."""
    (stride,), (padding,), (dilation,) = operation.stride, operation.padding, operation.dilation
    reach = dilation * (operation.weight.shape[2] - 1) + 1
    start, stop = span.start * stride - padding, (span.stop - 1) * stride - padding + reach
    left, right = max(0, -start), max(0, stop - length)
    inner = Span(2, min(max(0, start), length), max(0, min(length, stop)))
    if left == right:
        return _Reading((inner,), dataclasses.replace(operation, padding=(left,)))
    return _Reading((inner,), dataclasses.replace(operation, padding=(0,)), (left, right))


def _of_pad(operation: Pad, span: Span, shape: tuple[Dim, ...]) -> _Reading | None:
    place = 2 * (len(shape) - 1 - span.axis)
    amounts = list(operation.amounts) + [0] * (2 * len(shape) - len(operation.amounts))
    length = _length(shape, span.axis)
    start, stop = span.start - amounts[place], span.stop - amounts[place]
    left, right = max(0, -start), max(0, stop - length)
    if start >= length or stop <= 0:
        return None
    amounts[place : place + 2] = [left, right]
    inner = Span(span.axis, max(0, start), min(length, stop))
    return _Reading((inner,), dataclasses.replace(operation, amounts=tuple(amounts)))


class _Cropping:
    """Rewrites the nodes of a graph, each to make only the span that is needed of it."""

    def __init__(self, graph: CanonicalGraph, field: _Field, needs: Mapping[str, Span | None]) -> None:
        self.graph = graph
        self.field = field
        self.shapes = field.shapes
        # The input is there whole.
        self.spans = {**needs, graph.input: None}
        self.nodes: list[Node] = []

    def run(self) -> CanonicalGraph:
        for node in self.graph.nodes:
            if node.name in self.spans:
                self._rewrite(node, self.spans[node.name])
        outputs = []
        for output in self.graph.outputs:
            span = self.spans.get(output.node)
            outputs.append(
                output if span is None else dataclasses.replace(output, node=self._whole(output.node))
            )
        return dataclasses.replace(self.graph, nodes=tuple(self.nodes), outputs=tuple(outputs))

    def _rewrite(self, node: Node, span: Span | None) -> None:
        reading = self.field.reading(node, span)
        if reading is None:
            self.nodes.append(node)
            return
        inputs = tuple(
            self._part(name, wanted, reading.deficit, f"{node.name}.reads{i}")
            for i, (name, wanted) in enumerate(zip(node.inputs, reading.inputs, strict=True))
        )
        shape = node.shape if span is None else _resized(node.shape, span.axis, span.stop - span.start)
        self.nodes.append(dataclasses.replace(node, operation=reading.operation, inputs=inputs, shape=shape))

    def _part(self, name: str, wanted: Span, deficit: tuple[int, int], label: str) -> str:
        """Give the name of a span of a tensor, between zeros."""
        have = self.spans[name] or Span(wanted.axis, 0, _length(self.shapes[name], wanted.axis))
        shape = _resized(self.shapes[name], wanted.axis, wanted.stop - wanted.start)
        if (have.start, have.stop) != (wanted.start, wanted.stop):
            cut = Slice(wanted.axis, wanted.start - have.start, wanted.stop - have.start)
            self.nodes.append(Node(f"{label}.part", cut, (name,), shape))
            name = f"{label}.part"
        if deficit != (0, 0):
            self.nodes.append(_padded(f"{label}.padded", name, shape, wanted.axis, deficit))
            name = f"{label}.padded"
        return name

    def _whole(self, name: str) -> str:
        """Give the name of an output between zeros, as long as it was."""
        whole = f"{name}.whole"
        span = self.spans[name]
        if span is not None and all(node.name != whole for node in self.nodes):
            length = _length(self.shapes[name], span.axis)
            shape = _resized(self.shapes[name], span.axis, span.stop - span.start)
            zeros = (span.start, length - span.stop)
            self.nodes.append(_padded(whole, name, shape, span.axis, zeros))
        return whole


def _resized(shape: tuple[Dim, ...], axis: int, length: int) -> tuple[Dim, ...]:
    return (*shape[:axis], length, *shape[axis + 1 :])


def _padded(name: str, source: str, shape: tuple[Dim, ...], axis: int, zeros: tuple[int, int]) -> Node:
    """Make a node that puts zeros before and after a tensor."""
    amounts = (*[0] * (2 * (len(shape) - 1 - axis)), *zeros)
    return Node(name, Pad(amounts), (source,), _resized(shape, axis, _length(shape, axis) + sum(zeros)))
