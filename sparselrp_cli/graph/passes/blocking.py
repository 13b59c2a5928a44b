"""Find what attention makes of queries and keys, and compute it block by block where it is large."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Sequence

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.in_blocks import InBlocks
from sparselrp_cli.graph.operations.attention import Attention
from sparselrp_cli.graph.passes.cropping import cut
from sparselrp_cli.graph.shapes import Dim, Span, numbers, size

LARGE = 1 << 22
"""Numbers of one window from which on a tensor isn't made as a whole, where that can be."""
BLOCK = 1 << 21
"""Numbers of one window in the largest tensor of a block, or as many as it reads, if these are more.

Each block adds to what all of what it reads is given, so that many small ones would do nothing else.
"""


def compute_in_blocks(graph: CanonicalGraph, apart: Collection[str]) -> CanonicalGraph:
    """Take together what is large between tensors that aren't.

    What is taken together reads and makes small tensors, and each of its own is cut along one axis. It stands
    in the graph under the name of what it makes. What is large is so beside what is read: of a long window
    queries and values are more than `LARGE` numbers too, so that more is tried.

    Parameters
    ----------
    apart : collection of str
        Tensors that are needed as a whole, as those that are pruned.
    """
    graph = _with_parts(graph, _attentions(graph))
    largest = max((numbers(node.shape) for node in graph.nodes), default=0)
    least = LARGE
    while least <= largest:
        components = _components(graph, least)
        parts = (_part(graph, members, apart, least) for members in components)
        graph = _with_parts(graph, (part for part in parts if part is not None))
        least *= 2
    return graph


def _with_parts(graph: CanonicalGraph, parts: Iterable[tuple[Node, frozenset[str]]]) -> CanonicalGraph:
    """Put nodes in the place of those that they stand for."""
    found = [*parts]
    made = {node.name: node for node, _ in found}
    inside = {name for _, members in found for name in members}
    nodes = tuple(made.get(node.name, node) for node in graph.nodes if node.name not in inside)
    return dataclasses.replace(graph, nodes=nodes) if found else graph


def _attentions(graph: CanonicalGraph) -> Iterator[tuple[Node, frozenset[str]]]:
    """Give what stands for each operation of attention whose scores are large."""
    shapes = _shapes(graph)
    for node in graph.nodes:
        if not isinstance(node.operation, Attention):
            continue
        sources = [(name, shapes[name]) for name in dict.fromkeys(node.inputs)]
        scores = node.operation.scores([shapes[name] for name in node.inputs])
        axis = len(node.shape) - 2
        queries = size(node.shape, axis)
        length = _length(queries, scores, sources)
        if scores >= LARGE and length < queries:
            part = InBlocks.of((node,), sources, axis, length)
            inputs = tuple(name for name, _ in sources)
            yield dataclasses.replace(node, operation=part, inputs=inputs), frozenset()


def _shapes(graph: CanonicalGraph) -> dict[str, tuple[Dim, ...]]:
    return {graph.input: graph.input_shape, **{node.name: node.shape for node in graph.nodes}}


def _components(graph: CanonicalGraph, least: int) -> Iterator[list[Node]]:
    """Give tensors of `least` numbers or more that are made of one another."""
    groups: dict[str, list[str]] = {}
    for node in graph.nodes:
        if numbers(node.shape) < least:
            continue
        joined = {id(groups[name]): groups[name] for name in node.inputs if name in groups}
        group = [*(name for names in joined.values() for name in names), node.name]
        groups |= dict.fromkeys(group, group)
    for group in {id(names): names for names in groups.values()}.values():
        yield [node for node in graph.nodes if node.name in set(group)]


def _part(
    graph: CanonicalGraph, members: Sequence[Node], apart: Collection[str], least: int
) -> tuple[Node, frozenset[str]] | None:
    """Give the node that stands for large tensors and for what is made of them, and their names.

    `least` is what makes a tensor large.
    """
    names = frozenset(node.name for node in members)
    if names.intersection(apart) or names.intersection(output.node for output in graph.outputs):
        return None
    readers = {n.name: n for n in graph.nodes if n.name not in names and names.intersection(n.inputs)}
    if len(readers) != 1:
        return None
    (last,) = readers.values()
    shapes, nodes = _shapes(graph), (*members, last)
    read = dict.fromkeys(name for node in nodes for name in node.inputs if name not in names)
    if any(numbers(shapes[name]) >= least for name in read):
        return None
    sources = [(name, shapes[name]) for name in read]
    axes = [axis for axis, dim in enumerate(last.shape) if isinstance(dim, int) and dim > 1]
    for axis in sorted(axes, key=lambda axis: -size(last.shape, axis)):
        whole = size(last.shape, axis)
        length = _length(whole, max(numbers(node.shape) for node in members), sources)
        part = InBlocks.of(nodes, sources, axis, length)
        if length < whole and _is_cut(part, names):
            return dataclasses.replace(last, operation=part, inputs=tuple(read)), names
    return None


def _length(whole: int, largest: int, sources: Sequence[tuple[str, tuple[Dim, ...]]]) -> int:
    """Say how long blocks are of an axis of length `whole`, along which a tensor has `largest` numbers."""
    read = sum(numbers(shape) for _, shape in sources)
    return max(1, whole * max(BLOCK, read) // largest)


def _is_cut(part: InBlocks, names: Collection[str]) -> bool:
    """Whether a block makes no more of each large tensor than of the output."""
    whole = size(part.shapes[-1], part.axis)
    middle = Span(part.axis, whole // 2, min(whole, whole // 2 + part.length))
    _, needs = cut(part.graph, middle)
    shapes = dict(zip(part.names, part.shapes, strict=True))
    return all(_share(needs[name], shapes[name]) <= part.length / whole for name in names)


def _share(span: Span | None, shape: Sequence[Dim]) -> float:
    return 1.0 if span is None else (span.stop - span.start) / size(shape, span.axis)
