"""A part of a graph that is computed block by block, so that what is large in it is never there as a whole.

Attention makes scores of queries by keys, which are many times as large as queries and keys. Of some queries
everything can be computed, and carried back, on its own (Rabe and Staats 2021, arXiv 2112.05682).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph, GraphOutput, Node
from sparselrp_cli.graph.operation import At, Cropped, Operation, Pulled
from sparselrp_cli.graph.passes.cropping import cut
from sparselrp_cli.graph.shapes import BatchDim, Dim, Span, size


@dataclass(frozen=True, eq=False)
class Source(Operation):
    """Stands for a tensor that is made outside of the part; any span of it may be read."""

    kind: ClassVar[str] = "source"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        raise TypeError("a source is given")

    def pull(self, c: Tensor, at: At) -> Pulled:
        return ()

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped:
        return Cropped(self, ())


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A span of the output, and what makes it.

    Attributes
    ----------
    span : Span
    graph : CanonicalGraph
        Its sources are nodes.
    reads : tuple of Span or None
        What it reads of each source; None is all.
    """

    span: Span
    graph: CanonicalGraph
    reads: tuple[Span | None, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What is computed."""
        return tuple(node for node in self.graph.nodes if not isinstance(node.operation, Source))

    def parts(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Take what the block reads of each source."""
        return [part_of(values, span) for values, span in zip(inputs, self.reads, strict=True)]


def part_of(values: Tensor, span: Span | None) -> Tensor:
    """Give a span of a tensor, as a view; None is all of it."""
    return values if span is None else values.narrow(span.axis, span.start, span.stop - span.start)


@dataclass(frozen=True, eq=False)
class InBlocks(Operation):
    """Some nodes of a graph of which one is read outside, computed block by block of its output.

    Relevance is carried back by what the nodes are; see `relevance.nested`.

    Attributes
    ----------
    operations, names, inputs, shapes : tuple
        Of each node, the one that is read outside last.
    sources : tuple of (str, shape)
        The tensors that are made outside, as this operation reads them.
    axis, length : int
        Along which axis of the output blocks lie, and how long they are.
    """

    operations: tuple[Operation, ...]
    names: tuple[str, ...]
    inputs: tuple[tuple[str, ...], ...]
    shapes: tuple[tuple[Dim, ...], ...]
    sources: tuple[tuple[str, tuple[Dim, ...]], ...]
    axis: int
    length: int
    kind: ClassVar[str] = "in blocks"
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "as what is computed in blocks"

    @classmethod
    def of(
        cls, nodes: Sequence[Node], sources: Sequence[tuple[str, tuple[Dim, ...]]], axis: int, length: int
    ) -> "InBlocks":
        """Take nodes together, in the order of the graph."""
        parts = ((n.operation, n.name, n.inputs, n.shape) for n in nodes)
        operations, names, inputs, shapes = zip(*parts, strict=True)
        return cls(operations, names, inputs, shapes, tuple(sources), axis, length)

    @cached_property
    def graph(self) -> CanonicalGraph:
        """What is computed, with a node for each source."""
        given = [Node(name, Source(), (), shape) for name, shape in self.sources]
        nodes = (*given, *map(Node, self.names, self.operations, self.inputs, self.shapes))
        output = GraphOutput("block", self.names[-1], self.shapes[-1])
        return CanonicalGraph("", (BatchDim(),), nodes, (output,), torch.float32, torch.device("cpu"))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks, from the first."""
        whole = size(self.shapes[-1], self.axis)
        spans = [
            Span(self.axis, start, min(start + self.length, whole)) for start in range(0, whole, self.length)
        ]
        return tuple(map(self._block, spans))

    def _block(self, span: Span) -> Block:
        graph, needs = cut(self.graph, span)
        return Block(span, graph, tuple(needs[name] for name, _ in self.sources))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        made = None
        for block in self.blocks:
            values = dict(zip((name for name, _ in self.sources), block.parts(inputs), strict=True))
            for node in block.nodes:
                values[node.name], _ = node.operation.forward(*[values[name] for name in node.inputs])
            part = values[self.names[-1]]
            if made is None:
                shape = list(part.shape)
                shape[self.axis] = size(self.shapes[-1], self.axis)
                made = part.new_empty(shape)
            part_of(made, block.span).copy_(part)
        if made is None:
            raise ValueError("nothing to compute")
        return made, None

    def pull(self, c: Tensor, at: At) -> Pulled:
        raise TypeError("what is computed in blocks is carried back by the rules of its layers")

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        shapes = {**dict(self.sources), **dict(zip(self.names, self.shapes, strict=True))}
        parts = zip(self.operations, self.inputs, self.shapes, strict=True)
        return sum(own.work([shapes[name] for name in read], made) for own, read, made in parts)

    def describe(self) -> str:
        return f"{len(self.names)} operations, {len(self.blocks)} blocks"
