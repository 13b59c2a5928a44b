"""The blocks of a bigWig that hold its values, each of a cell of a grid.

The supplement of Kent et al. 2010 (Bioinformatics 26:2204), tables 12 and 13, describes them. Of its three
kinds two are used: a number for each base where bases follow each other, and intervals of equal values.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.bigwig.stretches import Numbers, Pieces, Stretches, pieces
from sparselrp_cli.outputs.track_runs import Singles

CELL = 1 << 13
"""Bases of a cell: the 32 KiB that zlib looks back."""
SECTION = struct.Struct("<IIIIIBxH")
BEDGRAPH, FIXED_STEP = 1, 3
INTERVAL = np.dtype([("start", "<u4"), ("end", "<u4"), ("value", "<f4")])

LEVEL, WINDOW_BITS, MEMORY_LEVEL = 1, 15, 8
# About what is left of them once packed: of an interval, of a base whose value isn't that of the base before,
# of one whose value is, and of a block with its place in the index.
INTERVAL_BYTES, BASE_BYTES, REPEATED_BYTES, BLOCK_BYTES = 6, 4, 1 / 8, 56


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Values as a block holds them, before it is packed.

    Attributes
    ----------
    chrom : int
        The chromosome's number.
    start, end : int
        The first base, and the one behind the last.
    header : bytes
    content : ndarray
    strategy : int
        One of zlib's.
    """

    chrom: int
    start: int
    end: int
    header: bytes
    content: npt.NDArray[np.generic]
    strategy: int

    @property
    def n_bytes(self) -> int:
        """Count the bytes before packing."""
        return len(self.header) + self.content.nbytes

    def packed(self) -> bytes:
        """Give the bytes of the file."""
        return packed(self.content, self.header, self.strategy)


def packed(
    content: npt.NDArray[np.generic], header: bytes = b"", strategy: int = zlib.Z_DEFAULT_STRATEGY
) -> bytes:
    """Pack what stands in a block."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL, strategy)
    return packer.compress(header) + packer.compress(content.view(np.uint8).data) + packer.flush()


def blocks(found: Stretches) -> Iterator[Block]:
    """Make the blocks of stretches that end where a cell does, of each cell of the kind that is smaller.

    Parameters
    ----------
    found : Stretches
        At least one.

    Yields
    ------
    Block
        In genome order.
    """
    cut = pieces(found, CELL)
    changes = _changes(found.values, cut)
    bounds = np.searchsorted(changes, np.append(cut.at, len(found.values)))
    changed = np.diff(bounds)
    repeated = cut.end - cut.start - changed
    of_bases = np.add.reduceat(BASE_BYTES * changed + REPEATED_BYTES * repeated + BLOCK_BYTES, cut.first)
    of_intervals = INTERVAL_BYTES * np.add.reduceat(changed, cut.first) + BLOCK_BYTES
    kinds = (of_intervals < of_bases).tolist()
    for first, last, as_intervals in zip(cut.first.tolist(), cut.last.tolist(), kinds, strict=True):
        if as_intervals:
            yield _of_intervals(found.values, cut, first, last, changes[bounds[first] : bounds[last + 1]])
        else:
            yield from (_of_bases(found.values, cut, i) for i in range(first, last + 1))


def _changes(values: Singles, cut: Pieces) -> Numbers:
    """Say where a piece begins, or the value is another than that of the base before."""
    changes = np.empty(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    changes[cut.at] = True
    return np.flatnonzero(changes)


def _of_bases(values: Singles, cut: Pieces, i: int) -> Block:
    chrom, start, end, at = (int(column[i]) for column in (cut.chrom, cut.start, cut.end, cut.at))
    header = SECTION.pack(chrom, start, end, 1, 1, FIXED_STEP, end - start)
    # What repeats among them are the bytes of a zero: a search for more takes half as long again.
    return Block(chrom, start, end, header, values[at : at + end - start], zlib.Z_RLE)


def _of_intervals(values: Singles, cut: Pieces, first: int, last: int, changes: Numbers) -> Block:
    """Make a block of intervals that begin at `changes`, of the pieces of a cell."""
    at, start, end = (column[first : last + 1] for column in (cut.at, cut.start, cut.end))
    # How far a base's place on the chromosome is from that of its value.
    ahead = (start - at)[np.searchsorted(at, changes, "right") - 1]
    intervals = np.empty(len(changes), INTERVAL)
    intervals["start"] = changes + ahead
    intervals["end"] = np.append(changes[1:], at[-1] + end[-1] - start[-1]) + ahead
    intervals["value"] = values[changes]
    chrom = int(cut.chrom[first])
    span = int(start[0]), int(end[-1])
    header = SECTION.pack(chrom, *span, 0, 0, BEDGRAPH, len(intervals))
    return Block(chrom, *span, header, intervals, zlib.Z_DEFAULT_STRATEGY)
