"""The shift of relative positions in attention, row by row.

Models don't write it so: `graph.passes.skewing` makes it of what they write. No file of ours holds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from sparselrp_cli.graph.operation import Cropped, position_by_position
from sparselrp_cli.graph.operations.strided import MemoryView
from sparselrp_cli.graph.shapes import Dim, Span


@dataclass(frozen=True, eq=False)
class Skew(MemoryView):
    """The shift of relative positions in attention: ``y[..., i, j] = x[..., i, offset + j - i]``.

    Attributes
    ----------
    axis : int
        The last.
    rows, keys : int
        How many ``i`` and ``j`` there are.
    offset : int
    """

    axis: int
    rows: int
    keys: int
    offset: int
    kind: ClassVar[str] = "skew"

    def view(self, x: Tensor) -> Tensor:
        columns = x.shape[-1]
        if x.shape[-2] != self.rows or self.offset < self.rows - 1 or self.offset + self.keys > columns:
            raise ValueError(f"a skew {self.describe()} doesn't fit {tuple(x.shape)}")
        strides = (*x.stride()[:-2], columns - 1, 1)
        return x.as_strided((*x.shape[:-1], self.keys), strides, x.storage_offset() + self.offset)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        if span.axis == self.axis:
            return None
        if span.axis != self.axis - 1:
            return position_by_position(self, span)
        part = replace(self, rows=span.stop - span.start, offset=self.offset - span.start)
        return position_by_position(part, span)

    def cropped_whole(self) -> Cropped | None:
        first = self.offset - self.rows + 1
        part = replace(self, offset=self.rows - 1)
        return Cropped(part, (Span(self.axis, first, self.offset + self.keys),))

    def describe(self) -> str:
        return f"of {self.rows} rows and {self.keys} keys from {self.offset}"
