"""What a graph of a stranger would take, found out without memory first, and whether it can be computed."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import At, map_tensors
from sparselrp_cli.graph.operations.recurrent import Recurrent
from sparselrp_cli.graph.packed.values import PackedError, shown
from sparselrp_cli.graph.shapes import resolve
from sparselrp_cli.model.prints import without_noise
from sparselrp_cli.model.sizes import memory

MOST_TURNS = 1_000_000
"""Of the loops of all operations together, such as a step of a recurrent cell."""
MOST_WORK = 10**14
"""Multiply-adds for a window: minutes on a fast machine."""
_SHARE_OF_MEMORY = 16
_TRIED = 2


def require_computable(graph: CanonicalGraph, example: Tensor) -> None:
    """Make sure that a graph can be computed and explained, and that its shapes are those it says.

    Every operation is tried without memory for its numbers, forward and back, then computed for one window.

    Parameters
    ----------
    graph : CanonicalGraph
    example : Tensor, shape (1, ...)
        A window as the model takes it.

    Raises
    ------
    PackedError
        With the node that is at fault.
    """
    _require_finite(graph)
    _require_bounded(graph)
    with torch.no_grad(), without_noise():
        nothing = torch.empty(_TRIED, *example.shape[1:], dtype=example.dtype, device="meta")
        _each(graph, nothing, _tried)
        _each(graph, example, _computed)


def _require_finite(graph: CanonicalGraph) -> None:
    """Refuse infinite weights; masks may hold -inf."""
    for node in graph.nodes:
        if isinstance(node.operation, (Layer, Recurrent)):
            for field in dataclasses.fields(node.operation):
                value = getattr(node.operation, field.name)
                if isinstance(value, Tensor) and not bool(value.isfinite().all()):
                    raise PackedError(f"node {shown(node.name)}: its '{field.name}' holds infinities")


def _require_bounded(graph: CanonicalGraph) -> None:
    """Refuse a graph that would be computed for ever, and one that mixes samples.

    It goes by the shapes that nodes say they have; one that lies is found out before another reads it.
    """
    shapes = {graph.input: graph.input_shape, **{node.name: node.shape for node in graph.nodes}}
    turns = work = 0
    for node in graph.nodes:
        sources = [shapes[name] for name in node.inputs]
        with _at(node):
            turns += node.operation.turns(sources)
            work += node.operation.work(sources, node.shape)
            laid = node.operation.laid(node.shape, sources)
        if laid != node.shape:
            raise PackedError(f"node {shown(node.name)}: its samples don't lie as its shape says")
    if turns > MOST_TURNS or work > MOST_WORK:
        raise PackedError(
            f"computing it takes {turns:,} turns of loops and {work:.1e} multiply-adds a window; at most"
            f" {MOST_TURNS:,} and {MOST_WORK:.0e} are allowed"
        )


@contextmanager
def _at(node: Node) -> Iterator[None]:
    """Turn whatever torch says of an operation into the node that is at fault."""
    try:
        yield
    except PackedError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        what = lines[0] if lines else type(error).__name__
        what = f"unknown {what}" if isinstance(error, KeyError) else what
        which = f"node {shown(node.name)}: {node.operation.kind}"
        raise PackedError(f"{which} can't be computed ({what})") from error


def _each(graph: CanonicalGraph, x: Tensor, compute: Callable[[Node, tuple[Tensor, ...]], Tensor]) -> None:
    """Compute every node; what is read no more is forgotten."""
    left = graph.reads()
    values = {graph.input: x}
    obstacles = {output.node: output.obstacle for output in graph.outputs}
    for node in graph.nodes:
        with _at(node):
            y = compute(node, tuple(values[name] for name in node.inputs))
        _require_shape(node, y, len(x))
        if obstacles.get(node.name) == "" and not y.is_floating_point():
            raise PackedError(f"node {shown(node.name)}: an output must hold floating-point numbers")
        values[node.name] = y
        for name in node.inputs:
            left[name] -= 1
            if left[name] <= 0:
                values.pop(name, None)


def _require_shape(node: Node, y: Tensor, n_samples: int) -> None:
    expected = resolve(node.shape, n_samples)
    if list(y.shape) != expected:
        raise PackedError(
            f"node {shown(node.name)}: says that its shape is {expected} for {n_samples} samples, and gives"
            f" {list(y.shape)}"
        )


def _computed(node: Node, inputs: tuple[Tensor, ...]) -> Tensor:
    return node.operation.forward(*inputs)[0]


def _tried(node: Node, inputs: tuple[Tensor, ...]) -> Tensor:
    """Compute an operation without memory, and carry a multiplier back through it."""
    operation = map_tensors(node.operation, lambda tensor: tensor.to("meta"))
    y, memo = operation.forward(*inputs)
    if not isinstance(y, Tensor):
        raise PackedError(f"node {shown(node.name)}: doesn't give a tensor")
    _require_room(node, y)
    at = At(inputs, y, memo)
    floating = next(
        (x.dtype for x in (y, *inputs) if x.is_floating_point() or x.is_complex()), torch.get_default_dtype()
    )
    c = torch.empty(y.shape, dtype=floating, device="meta")
    pulled = operation.pull(c, at)
    if len(pulled) != len(inputs) or any(
        p is not None and p.shape != x.shape for p, x in zip(pulled, inputs, strict=True)
    ):
        raise PackedError(f"node {shown(node.name)}: {operation.kind} doesn't take such inputs")
    operation.absorbed(c, at)
    return y


def _require_room(node: Node, y: Tensor) -> None:
    if y.numel() * y.element_size() > memory() * _TRIED // _SHARE_OF_MEMORY:
        raise PackedError(
            f"node {shown(node.name)}: computes a tensor of {y.numel() // _TRIED:,} numbers a window; this"
            " machine's memory doesn't hold that"
        )
