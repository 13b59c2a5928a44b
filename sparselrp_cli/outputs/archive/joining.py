"""Blocks of several archives, one behind the other: chunks are copied as they are packed where they fit."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Block
from sparselrp_cli.outputs.archive.layout import Column
from sparselrp_cli.outputs.archive.packing import packed, pieces
from sparselrp_cli.outputs.archive.reader import ArchiveReader

# It counts chromosomes in the order of their first window, which joining changes.
NUMBERED = "coords_chrom"


def joined_blocks(readers: Sequence[ArchiveReader], shape: ArchiveShape, threads: int = 1) -> Iterator[Block]:
    """Give the blocks of one archive that has the windows of several, in their order.

    The bytes are those of packing all rows again, as long as every archive was packed as it would be now.
    What copied chunks hold isn't looked at.

    Parameters
    ----------
    readers : sequence of ArchiveReader
        Of archives of this shape.
    shape : ArchiveShape
    threads : int
        That pack what can't be copied.

    Raises
    ------
    OutputError
        If an archive is damaged.
    """
    joined = _Joined(readers, shape, threads)
    for start in range(0, joined.ends[-1], shape.block_rows):
        yield joined.block(start, min(start + shape.block_rows, joined.ends[-1]))


class _Joined:
    """Archives as if they were one.

    Attributes
    ----------
    ends : list of int
        The row behind the last one of each archive.
    """

    def __init__(self, readers: Sequence[ArchiveReader], shape: ArchiveShape, threads: int) -> None:
        self.readers = readers
        self.shape = shape
        self.threads = threads
        self.ends = list(accumulate(reader.n_windows for reader in readers))
        self._chroms: dict[str, int] = {}

    def block(self, start: int, stop: int) -> Block:
        """Give the rows of a block."""
        n_known = len(self._chroms)
        found = {c.name: self._chunks(c, start, stop) for c in self.shape.columns.values() if c.gzip}
        names = self._rows(self.shape.columns["names"], start, stop)
        return Block(
            self.shape,
            stop - start,
            names=tuple(name.decode(errors="surrogateescape") for name in names),
            new_chroms=tuple(islice(self._chroms, n_known, None)),
            chunks=found,
        )

    def _chunks(self, column: Column, start: int, stop: int) -> Sequence[bytes]:
        copied = None if column.name == NUMBERED else self._copied(column, start, stop)
        if copied is not None:
            return copied
        return packed(list(pieces(column, self._rows(column, start, stop))), self.threads)

    def _copied(self, column: Column, start: int, stop: int) -> list[bytes] | None:
        """Copy chunks where all rows are of one archive and fall on its chunks."""
        for reader, rows in self._parts(start, stop):
            fits = (stop - start) % column.chunk == 0 or stop == self.ends[-1]
            return reader.packed(column.name, rows) if fits and _length(rows) == stop - start else None
        return None

    def _rows(self, column: Column, start: int, stop: int) -> npt.NDArray[Any]:
        """Read rows: shape (T, n, ...) if the column is kept per target, else (n, ...)."""
        parts = [
            self._numbered(reader, rows) if column.name == NUMBERED else reader.stored(column.name, rows)
            for reader, rows in self._parts(start, stop)
        ]
        return np.concatenate(parts, axis=int(column.per_target))

    def _numbered(self, reader: ArchiveReader, rows: slice) -> npt.NDArray[np.int32]:
        found = reader.coordinates.chrom[rows]
        numbers = [self._chroms.setdefault(reader.chroms[c], len(self._chroms)) for c in found]
        return np.array(numbers, np.int32)

    def _parts(self, start: int, stop: int) -> Iterator[tuple[ArchiveReader, slice]]:
        """Say which rows of which archives some rows are."""
        for reader, end in zip(self.readers, self.ends, strict=True):
            first = end - reader.n_windows
            if max(start, first) < min(stop, end):
                yield reader, slice(max(start, first) - first, min(stop, end) - first)


def _length(rows: slice) -> int:
    return int(rows.stop - rows.start)
