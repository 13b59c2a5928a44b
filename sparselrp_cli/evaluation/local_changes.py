"""What a change of a few positions changes in a network: less and less local, tensor by tensor.

A convolution passes a change on to its neighbourhood only. So the values of a window are computed once, and
of its changed copies only the spans that differ, up to the first operation that isn't known to work position
by position; from there on all is computed. Exact but for rounding.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operation import Operation, tensors_of
from sparselrp_cli.graph.operations.pooling import AdaptivePool, AveragePool, MaxPool
from sparselrp_cli.graph.shapes import Dim, Span, sample_axis, sample_dim, size

Shape = Sequence[Dim]
Reads = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LocalForm:
    """How a span of an operation's output is made.

    Attributes
    ----------
    compute : callable
        Makes it from the spans that are read.
    inputs : tuple of Span
        What is read of each input.
    padding : tuple of (int, int)
        How many numbers stand before and after them.
    fill : float
        What these are.
    """

    compute: Callable[..., Tensor]
    inputs: tuple[Span, ...]
    padding: tuple[int, int] = (0, 0)
    fill: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A node whose output changes.

    Attributes
    ----------
    node : Node
    local : LocalForm or None
        How what changes is made; None where the whole output is made from whole inputs.
    """

    node: Node
    local: LocalForm | None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What some changed positions change.

    Attributes
    ----------
    steps : tuple of Step
        In graph order.
    changed : mapping of str to Span or None
        What changes of each tensor, None is all of it; others stay as they are.
    last_read : mapping of str to int
        The number of the step after which a tensor isn't read any more.
    """

    steps: tuple[Step, ...]
    changed: Mapping[str, Span | None]
    last_read: Mapping[str, int]


class Planner:
    """Finds out what changed positions of a graph's input change.

    Parameters
    ----------
    graph : CanonicalGraph
    """

    def __init__(self, graph: CanonicalGraph) -> None:
        self.graph = graph
        self.shapes: dict[str, Shape] = {
            graph.input: graph.input_shape,
            **{n.name: n.shape for n in graph.nodes},
        }
        self._reads: dict[tuple[str, int, int], tuple[int, Reads] | None] = {}

    def plan(self, span: Span) -> Plan:
        """Plan for changes inside a span of the input."""
        changed: dict[str, Span | None] = {self.graph.input: span}
        steps: list[Step] = []
        for node in self.graph.nodes:
            step = self._step(node, changed)
            if step is not None:
                steps.append(step)
        last_read = {name: i for i, step in enumerate(steps) for name in step.node.inputs}
        return Plan(tuple(steps), changed, last_read)

    def _step(self, node: Node, changed: dict[str, Span | None]) -> Step | None:
        """Find what of a node's output changes, and note it; None where nothing does."""
        touched = [i for i, name in enumerate(node.inputs) if name in changed]
        # Samples that are merged with another axis can't be repeated later: computed for all from here on.
        merged = any(sample_dim(self.shapes[name]).multiple != 1 for name in (*node.inputs, node.name))
        if merged:
            changed[node.name] = None
            return Step(node, None)
        reached = [self._reached(node, i, changed[node.inputs[i]]) for i in touched]
        reached = [r for r in reached if r is None or r.start < r.stop]
        if not reached:
            return None
        span = functools.reduce(lambda a, b: a.joined(b) if a else None, reached)
        span = None if span is None else span.of(node.shape)
        changed[node.name] = span
        return Step(node, None if span is None else self._local(node, span))

    def _local(self, node: Node, span: Span) -> LocalForm | None:
        return local_form(node.operation, span, [self.shapes[name] for name in node.inputs], node.shape)

    def _reached(self, node: Node, i: int, span: Span | None) -> Span | None:
        """Find what of a node's output reads a span of an input: empty where nothing does, None is all."""
        if span is None:
            return None
        reads = self._reads_of(node, i, span.axis)
        if reads is None:
            return None
        axis, (starts, stops) = reads
        found = np.flatnonzero((starts < span.stop) & (stops > span.start))
        return Span(axis, int(found[0]), int(found[-1]) + 1) if len(found) else Span(axis, 0, 0)

    def _reads_of(self, node: Node, i: int, axis: int) -> tuple[int, Reads] | None:
        """Say along which axis of a node's output positions of an input lie, and what each place reads."""
        key = (node.name, i, axis)
        if key not in self._reads:
            self._reads[key] = self._found_reads(node, i, axis)
        return self._reads[key]

    def _found_reads(self, node: Node, i: int, axis: int) -> tuple[int, Reads] | None:
        for out, length in enumerate(node.shape):
            # The middle, since a place at an end may read nothing but padding.
            if not isinstance(length, int) or not length or self._read(node, i, out, length // 2)[0] != axis:
                continue
            reads = [self._read(node, i, out, place)[1:] for place in range(length)]
            return out, np.array(reads, np.int64).T
        return None

    def _read(self, node: Node, i: int, axis: int, place: int) -> tuple[int, int, int]:
        """Give axis, start and stop of what one place of an output reads of an input; nothing where none."""
        form = self._local(node, Span(axis, place, place + 1))
        return (-1, 0, 0) if form is None else dataclasses.astuple(form.inputs[i])


class Changes:
    """Values of changed copies of a window.

    Parameters
    ----------
    planner : Planner
    reference : dict of str to Tensor
        Every tensor of the graph for the window.
    """

    def __init__(self, planner: Planner, reference: Mapping[str, Tensor]) -> None:
        self.planner, self.reference = planner, reference

    def evaluate(self, plan: Plan, x: Tensor, wanted: Iterable[str]) -> dict[str, Tensor]:
        """Compute whole tensors.

        Parameters
        ----------
        x : Tensor
            The span of the input that changes, of n copies.
        wanted : iterable of str
            Their names.
        """
        names = set(wanted)
        graph_input = self.planner.graph.input
        axis = sample_axis(self.planner.shapes[graph_input])
        values = _Overlaid(self, plan, {graph_input: x}, x.shape[axis])
        for number, step in enumerate(plan.steps):
            values.values[step.node.name] = values.made(step)
            for name in step.node.inputs:
                if plan.last_read[name] == number and name not in names:
                    values.values.pop(name, None)
        return {name: values.part(name, None) for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class _Overlaid:
    """Changed spans over the values of the unchanged window, n copies."""

    changes: Changes
    plan: Plan
    values: dict[str, Tensor]
    n: int

    def made(self, step: Step) -> Tensor:
        """Make what changes of a node's output."""
        if step.local is None:
            return value_of(step.node.operation, *(self.part(name, None) for name in step.node.inputs))
        form = step.local
        parts = [self.part(name, span) for name, span in zip(step.node.inputs, form.inputs, strict=True)]
        if form.padding != (0, 0):
            parts = [
                functional.pad(part, (*[0, 0] * (part.dim() - 1 - span.axis), *form.padding), value=form.fill)
                for part, span in zip(parts, form.inputs, strict=True)
            ]
        return form.compute(*parts)

    def part(self, name: str, wanted: Span | None) -> Tensor:
        """Give a span of a tensor, None is all of it, as the changed copies have it."""
        if name not in self.plan.changed:
            return self._repeated(name, wanted)
        have, value = self.plan.changed[name], self.values[name]
        if have is None:
            return value if wanted is None else _cut(value, wanted)
        if wanted is None:
            wanted = Span(have.axis, 0, size(self.changes.planner.shapes[name], have.axis))
        first, last = max(have.start, wanted.start), min(have.stop, wanted.stop)
        inner = _cut(value, Span(have.axis, first - have.start, max(first, last) - have.start))
        if (first, last) == (wanted.start, wanted.stop):
            return inner
        whole = self._repeated(name, wanted).clone()
        if first < last:
            _cut(whole, Span(have.axis, first - wanted.start, last - wanted.start)).copy_(inner)
        return whole

    def _repeated(self, name: str, wanted: Span | None) -> Tensor:
        value = self.changes.reference[name]
        value = value if wanted is None else _cut(value, wanted)
        copies = [-1] * value.dim()
        copies[sample_axis(self.changes.planner.shapes[name])] = self.n
        return value.expand(copies)


def local_form(operation: Operation, span: Span, inputs: Sequence[Shape], output: Shape) -> LocalForm | None:
    """Say how a span of an operation's output is made; None where it isn't known to be made of spans."""
    if isinstance(operation, MaxPool | AveragePool):
        return _pooled(operation, span, inputs[0])
    if operation.elementwise and not any(True for _ in tensors_of(operation)) and tuple(inputs) == (output,):
        return LocalForm(functools.partial(value_of, operation), (span,))
    cropped = operation.cropped(span, inputs, output)
    if cropped is None:
        return None
    return LocalForm(functools.partial(value_of, cropped.operation), cropped.inputs, cropped.zeros)


def _pooled(operation: MaxPool | AveragePool, span: Span, shape: Shape) -> LocalForm | None:
    """Make a span of a pool's output: padding never wins a maximum; an average counts it, and isn't cut."""
    if len(operation.width) != 1 or span.axis != len(shape) - 1:
        return None
    average = isinstance(operation, AveragePool)
    if average and (operation.padding != (0,) or operation.ceil_mode):
        return None
    (width,), (stride,), (padding,) = operation.width, operation.stride, operation.padding
    dilation = operation.dilation[0] if isinstance(operation, MaxPool) else 1
    start, length = span.start * stride - padding, size(shape, span.axis)
    stop = (span.stop - 1) * stride - padding + dilation * (width - 1) + 1
    around = (max(0, -start), max(0, stop - length))
    whole = dataclasses.replace(operation, padding=(0,), ceil_mode=False)
    inner = Span(span.axis, max(0, start), min(length, stop))
    return LocalForm(functools.partial(value_of, whole), (inner,), around, 0.0 if average else -math.inf)


def value_of(operation: Operation, *inputs: Tensor) -> Tensor:
    """Compute an operation's output alone, without what its `pull` would remember."""
    x = inputs[0]
    if isinstance(operation, MaxPool) and len(operation.width) == 1:
        found: Tensor = functional.max_pool1d(
            x, operation.width, operation.stride, operation.padding, operation.dilation, operation.ceil_mode
        )
        return found
    if isinstance(operation, AdaptivePool) and operation.maximum and len(operation.size) == 1:
        largest: Tensor = functional.adaptive_max_pool1d(x, operation.size[0])
        return largest
    return operation.forward(*inputs)[0]


def _cut(value: Tensor, span: Span) -> Tensor:
    return value.narrow(span.axis, span.start, span.stop - span.start)
