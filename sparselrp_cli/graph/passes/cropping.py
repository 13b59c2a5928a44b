"""Crop a graph to what some positions of its outputs depend on: their receptive field, tensor by tensor.

Exact: what is left out can't reach the explained positions, so that its relevance is 0. Operations that are
not known to work position by position need, and get, all of what they read.
"""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operation import Cropped
from sparselrp_cli.graph.operations.pad import Pad
from sparselrp_cli.graph.operations.slice import Slice
from sparselrp_cli.graph.shapes import Dim, Span, size

WORTH = 0.95
"""A graph is cropped if that leaves at most this share of its multiply-adds."""


def crop(graph: CanonicalGraph, outputs: Mapping[int, Span | None]) -> CanonicalGraph:
    """Leave out what the given spans of outputs (None is all of one) don't depend on.

    Outputs keep their shape and hold zeros outside their span. Nodes that make tensors keep their names.
    Where little would be left out the graph is returned as it is.
    """
    field = _Field(graph)
    needs = field.needs(outputs)
    cropped = _Cropping(graph, field, needs).run()
    return cropped if _work(cropped) <= WORTH * _work(graph) else graph


def cut(graph: CanonicalGraph, span: Span) -> tuple[CanonicalGraph, dict[str, Span | None]]:
    """Make only a span of the one output, which isn't made whole again, whatever that saves.

    Returns
    -------
    graph : CanonicalGraph
    needs : dict of str to Span or None
        Of each tensor that is read, what is made of it; None is all.
    """
    (output,) = graph.outputs
    field = _Field(graph)
    needs = field.needs({0: span})
    part = dataclasses.replace(_Cropping(graph, field, needs).run(), outputs=graph.outputs).restricted((0,))
    # What is then made in vain of axes that the span doesn't lie along.
    field = _Field(part)
    return _Cropping(part, field, field.needs({0: None})).run(), {**needs, output.node: span}


def cropping_error(
    whole: CanonicalGraph, cropped: CanonicalGraph, outputs: Mapping[int, Span | None], x: Tensor
) -> float:
    """Give the largest difference that cropping makes where an output is explained.

    Relative to the largest magnitude of that output; 0 if all is well, but for rounding.

    Parameters
    ----------
    outputs : mapping of int to Span or None
        As for `crop`.
    x : Tensor
        An input of the graphs.
    """
    values, parts = whole.outputs_for(x), cropped.outputs_for(x)
    errors = [0.0]
    for index, span in outputs.items():
        y, part = values[whole.outputs[index].node], parts[cropped.outputs[index].node]
        scale = y.abs().max()
        if span is not None:
            y, part = (v.narrow(span.axis, span.start, span.stop - span.start) for v in (y, part))
        # Equal infinities, and NaN, are no difference.
        difference = torch.where(y == part, 0, (y - part).abs() / scale).nan_to_num(0.0)
        errors.append(float(difference.max()))
    return max(errors)


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
            cropped = self.cropped(node, needs[node.name])
            if cropped is None:
                needs[node.name] = None
            for i, name in enumerate(node.inputs):
                need(name, None if cropped is None else cropped.inputs[i])
        return needs

    def cropped(self, node: Node, span: Span | None) -> Cropped | None:
        """Say what a node reads to make a span of its output; None where it makes and reads everything."""
        if span is None:
            return node.operation.cropped_whole()
        found = node.operation.cropped(span, [self.shapes[name] for name in node.inputs], node.shape)
        # Rules for the input tell its padding, which gets nothing, from bases: zeros can't stand for it.
        at_input = self.moved_input.issuperset(node.inputs)
        return None if found is not None and found.zeros != (0, 0) and at_input else found


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
        cropped = self.field.cropped(node, span)
        if cropped is None:
            self.nodes.append(node)
            return
        inputs = tuple(
            self._part(name, wanted, cropped.zeros, f"{node.name}.reads{i}")
            for i, (name, wanted) in enumerate(zip(node.inputs, cropped.inputs, strict=True))
        )
        shape = node.shape if span is None else _resized(node.shape, span.axis, span.stop - span.start)
        self.nodes.append(dataclasses.replace(node, operation=cropped.operation, inputs=inputs, shape=shape))

    def _part(self, name: str, wanted: Span, zeros: tuple[int, int], label: str) -> str:
        """Give the name of a span of a tensor, between zeros."""
        have = self.spans[name] or Span(wanted.axis, 0, size(self.shapes[name], wanted.axis))
        shape = _resized(self.shapes[name], wanted.axis, wanted.stop - wanted.start)
        if (have.start, have.stop) != (wanted.start, wanted.stop):
            cut = Slice(wanted.axis, wanted.start - have.start, wanted.stop - have.start)
            self.nodes.append(Node(f"{label}.part", cut, (name,), shape))
            name = f"{label}.part"
        if zeros != (0, 0):
            self.nodes.append(_padded(f"{label}.padded", name, shape, wanted.axis, zeros))
            name = f"{label}.padded"
        return name

    def _whole(self, name: str) -> str:
        """Give the name of an output between zeros, as long as it was."""
        whole = f"{name}.whole"
        span = self.spans[name]
        if span is not None and all(node.name != whole for node in self.nodes):
            length = size(self.shapes[name], span.axis)
            shape = _resized(self.shapes[name], span.axis, span.stop - span.start)
            zeros = (span.start, length - span.stop)
            self.nodes.append(_padded(whole, name, shape, span.axis, zeros))
        return whole


def _resized(shape: tuple[Dim, ...], axis: int, length: int) -> tuple[Dim, ...]:
    return (*shape[:axis], length, *shape[axis + 1 :])


def _padded(name: str, source: str, shape: tuple[Dim, ...], axis: int, zeros: tuple[int, int]) -> Node:
    """Make a node that puts zeros before and after a tensor."""
    amounts = (*[0] * (2 * (len(shape) - 1 - axis)), *zeros)
    return Node(name, Pad(amounts), (source,), _resized(shape, axis, size(shape, axis) + sum(zeros)))
