"""Over which bases of a window the positions of an output lie, from the layers that make them."""

import math
from dataclasses import dataclass

from torch import Tensor

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operation import Lies
from sparselrp_cli.graph.shapes import Dim, size

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Bins:
    """Positions of an output as bins side by side.

    Attributes
    ----------
    start : int
        Of the first bin, in bp from the begin of the window as the model reads it.
    width : int
        Of a bin, in bp.
    count : int
    """

    start: int
    width: int
    count: int

    @property
    def end(self) -> int:
        """Where the last bin ends."""
        return self.start + self.width * self.count

    def within(self, length: int) -> tuple[int, int]:
        """Give the part of a window of so many bp that they lie over."""
        return max(self.start, 0), min(self.end, length)

    def touched(self, marked: Tensor) -> Tensor:
        """Say in which bins a base is marked.

        Parameters
        ----------
        marked : Tensor of bool, shape (N, L)
            Bases of windows as the model reads them.

        Returns
        -------
        Tensor of bool, shape (N, count)
        """
        first, last = self.within(marked.shape[1])
        padded = marked.new_zeros(len(marked), self.width * self.count)
        padded[:, first - self.start : last - self.start] = marked[:, first:last]
        return padded.reshape(len(marked), self.count, self.width).any(2)

    def describe(self) -> str:
        """Say where they lie."""
        what = f"bins of {self.width} bp" if self.width > 1 else "positions of one base"
        return f"{self.count} {what} over bases {self.start} to {self.end} of the window"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why it isn't known where the positions of an output lie."""

    why: str


Grid = tuple[float, float]
"""The centre of position p of a tensor is base ``step * p + offset``."""


def find_bins(graph: CanonicalGraph, output: int, axis: int, sequence_axis: int) -> Bins | Unknown:
    """Find the bases that the positions of an output lie over.

    Each position is centred on what it is computed from, by the strides, paddings, crops and upsamplings on
    its way. Where branches meet, such as attention and the residual beside it, the one that is known counts.

    Parameters
    ----------
    output : int
    axis : int
        That of the output's positions.
    sequence_axis : int
        That of the bases' positions, of the input.

    Returns
    -------
    Bins or Unknown
        The latter with the operation that hides them.
    """
    node = graph.outputs[output].node
    found = _Tracing(graph, sequence_axis).grid(node, axis)
    if isinstance(found, str):
        return Unknown(found)
    step, offset = found
    width = round(step)
    if width < 1 or abs(width - step) > _ROUNDING:
        return Unknown(f"its positions are {step:g} bp apart")
    start = math.floor(offset - (width - 1) / 2 + 0.5)
    return Bins(start, width, size(graph.outputs[output].shape, axis))


def given_bins(width: int, start: int | None, count: int, length: int, name: str) -> Bins:
    """Lay bins of a given width over a window of so many bp, in its middle unless a start is given.

    Raises
    ------
    TargetError
        If they don't fit.
    """
    first = (length - width * count) // 2 if start is None else start
    bins = Bins(first, width, count)
    if first < 0 or bins.end > length:
        where = "" if start is None else f" from base {start} on"
        raise TargetError(
            f"output '{name}': {count} positions of {width} bp{where} don't fit into a window of {length} bp;"
            " correct --bins WIDTH[:START]"
        )
    return bins


class _Tracing:
    """Goes back from an output to the input, axis by axis."""

    def __init__(self, graph: CanonicalGraph, sequence_axis: int) -> None:
        self.graph = graph
        self.sequence_axis = sequence_axis
        self.nodes = {node.name: node for node in graph.nodes}
        self.shapes: dict[str, tuple[Dim, ...]] = {
            graph.input: graph.input_shape,
            **{n.name: n.shape for n in graph.nodes},
        }

    def grid(self, output: str, axis: int) -> Grid | str:
        """Give the grid of an output's positions, or say why it isn't known."""
        links = self._links(output, axis)
        grids: dict[tuple[str, int], Grid | str] = {
            (self.graph.input, a): (1.0, 0.0)
            if a == self.sequence_axis
            else "its positions come from the axis of the bases"
            for a in range(len(self.graph.input_shape))
        }
        for node in self.graph.nodes:
            for a in range(len(node.shape)):
                if (node.name, a) in links:
                    grids[node.name, a] = self._joined(node, links[node.name, a], grids)
        return grids[output, axis]

    def _links(self, output: str, axis: int) -> dict[tuple[str, int], tuple[tuple[str, Lies], ...]]:
        """Say of all tensors on the way which positions of which tensors theirs lie on."""
        links: dict[tuple[str, int], tuple[tuple[str, Lies], ...]] = {}
        wanted = {(output, axis)}
        for node in reversed(self.graph.nodes):
            for a in range(len(node.shape)):
                if (node.name, a) not in wanted:
                    continue
                inputs = [self.shapes[name] for name in node.inputs]
                found = node.operation.positions(a, inputs, node.shape)
                known = zip(node.inputs, found, strict=True)
                links[node.name, a] = tuple((name, lies) for name, lies in known if lies is not None)
                wanted |= {(name, lies.axis) for name, lies in links[node.name, a]}
        return links

    def _joined(
        self,
        node: Node,
        links: tuple[tuple[str, Lies], ...],
        grids: dict[tuple[str, int], Grid | str],
    ) -> Grid | str:
        """Give the grid that all inputs which are known agree on."""
        here = f"'{node.operation.kind}'" + (f" of {node.module}" if node.module else "")
        why = f"positions can't be followed through {here}"
        known: list[Grid] = []
        for name, lies in links:
            grid = grids[name, lies.axis]
            if isinstance(grid, str):
                why = grid
            else:
                known.append((grid[0] * lies.step, grid[0] * lies.offset + grid[1]))
        if not known:
            return why
        step, offset = known[0]
        for other, at in known[1:]:
            if abs(other - step) > _ROUNDING or abs(at - offset) > abs(step) / 2 + _ROUNDING:
                return f"branches that meet in {here} lie on different bases"
        return step, offset
