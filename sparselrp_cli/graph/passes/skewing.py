"""Write the shift of relative positions in attention as one operation, which works row by row.

Models write it as a view by strides of scores laid in a row (Borzoi), or as a column of padding, two reshapes
and two slices (Transformer-XL, Dai et al. 2019; Enformer). Both read ``x[..., i, offset + j - i]``.
"""

import dataclasses
from collections.abc import Mapping

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operations.concatenate import Concatenate
from sparselrp_cli.graph.operations.pad import Pad
from sparselrp_cli.graph.operations.permute import Permute
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.operations.slice import Slice
from sparselrp_cli.graph.operations.strided import Strided
from sparselrp_cli.graph.shapes import Dim, numbers
from sparselrp_cli.graph.skew import Skew


def write_skews(graph: CanonicalGraph) -> CanonicalGraph:
    """Put a skew in the place of what makes one; a node keeps its name, those before it go if unread."""
    nodes, shapes = (
        graph.by_name(),
        {graph.input: graph.input_shape, **{n.name: n.shape for n in graph.nodes}},
    )
    found = {}
    for node in graph.nodes:
        for skewed in (_of_strides, _of_padding):
            if (made := skewed(node, nodes, shapes)) is not None:
                source, skew = made
                found[node.name] = dataclasses.replace(node, operation=skew, inputs=(source,))
    if not found:
        return graph
    rewritten = dataclasses.replace(graph, nodes=tuple(found.get(n.name, n) for n in graph.nodes))
    return rewritten.restricted(tuple(i for i, o in enumerate(graph.outputs) if o.node in nodes))


def _of_strides(
    node: Node, nodes: Mapping[str, Node], shapes: Mapping[str, tuple[Dim, ...]]
) -> tuple[str, Skew] | None:
    """Read a view by strides of a tensor of rows and columns, which lies in memory as it is."""
    view = node.operation
    if not isinstance(view, Strided) or len(view.sizes) < 2:
        return None
    *_, rows, keys = view.sizes
    name = node.inputs[0]
    while name in nodes and (before := _as_it_lies(nodes[name])) is not None:
        name = before
        shape = shapes[name]
        columns = shape[-1]
        if not isinstance(columns, int) or shape[-2:-1] != (rows,):
            continue
        strides = tuple(numbers(shape[axis + 1 :]) for axis in range(1, len(shape) - 2))
        if shape[1:-2] == view.sizes[:-2] and view.strides == (*strides, columns - 1, 1):
            return _fitting(name, shape, keys, view.offset)
    return None


def _as_it_lies(node: Node) -> str | None:
    """Give what a node reads if it makes the same numbers in the same order of it."""
    operation = node.operation
    if isinstance(operation, Reshape):
        return node.inputs[0]
    if isinstance(operation, Permute):
        # The order of axes that have more than one place is the same.
        kept = [axis for axis, length in zip(operation.order, node.shape, strict=True) if length != 1]
        return node.inputs[0] if kept == sorted(kept) else None
    return None


def _of_padding(
    node: Node, nodes: Mapping[str, Node], shapes: Mapping[str, tuple[Dim, ...]]
) -> tuple[str, Skew] | None:
    """Read a column put before all others, reshapes and slices that drop the first ``rows`` numbers.

    Of (..., rows, columns) they make (..., columns + 1, rows), (..., columns, rows), (..., rows, columns) and
    (..., rows, keys).
    """
    chain = [node]
    for kind in (Reshape, Slice, Reshape):
        before = nodes.get(chain[-1].inputs[0])
        if before is None or not isinstance(before.operation, kind):
            return None
        chain.append(before)
    last, columns_cut = node.operation, chain[2].operation
    name, padded = chain[3].inputs[0], nodes.get(chain[3].inputs[0])
    if padded is None or not isinstance(last, Slice) or not isinstance(columns_cut, Slice):
        return None
    source = _before_a_column(padded, shapes)
    if source is None:
        return None
    shape = shapes[source]
    rows, columns = shape[-2:]
    if not isinstance(rows, int) or not isinstance(columns, int):
        return None
    rest, axis = shape[:-2], len(shape) - 1
    wanted = [(*rest, rows, columns), (*rest, columns, rows), (*rest, columns + 1, rows)]
    if [shapes[n.name] for n in chain[1:]] != wanted or shapes[name] != (*rest, rows, columns + 1):
        return None
    if (columns_cut.axis, columns_cut.start, columns_cut.step) != (axis - 1, 1, 1) or columns_cut.drop:
        return None
    if (last.axis, last.start, last.step) != (axis, 0, 1) or last.drop:
        return None
    keys = node.shape[-1]
    return _fitting(source, shape, keys, rows - 1) if isinstance(keys, int) else None


def _before_a_column(node: Node, shapes: Mapping[str, tuple[Dim, ...]]) -> str | None:
    """Give what a column was put before: by padding, or by joining a constant one to it."""
    operation, (source, *others) = node.operation, node.inputs
    if isinstance(operation, Pad):
        return source if tuple(operation.amounts[:2]) == (1, 0) and not any(operation.amounts[2:]) else None
    if not isinstance(operation, Concatenate) or others or operation.stack:
        return None
    along_last = operation.axis % len(node.shape) == len(node.shape) - 1
    return source if along_last and [part is None for part in operation.parts] == [False, True] else None


def _fitting(source: str, shape: tuple[Dim, ...], keys: int, offset: int) -> tuple[str, Skew] | None:
    """Give a skew that stays within the rows; numbers of the column of padding would be read otherwise."""
    rows, columns = shape[-2:]
    if not isinstance(rows, int) or not isinstance(columns, int):
        return None
    if offset < rows - 1 or offset + keys > columns:
        return None
    return source, Skew(len(shape) - 1, rows, keys, offset)
