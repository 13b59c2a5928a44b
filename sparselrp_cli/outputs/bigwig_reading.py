"""A bigWig read back: whether it holds, interval by interval, what it was made of.

The supplement of Kent et al. 2010 (Bioinformatics 26:2204), tables 5 and 12 to 19, describes the bytes.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyBigWig

HEADER = struct.Struct("<IHHQQQHHQQIQ")
ZOOM_HEADER = struct.Struct("<IIQQ")
SUMMARY = struct.Struct("<Qdddd")
COUNT = struct.Struct("<Q")
INDEX = struct.Struct("<IIQIIIIQII")
NODE = struct.Struct("<BxH")
LEAF_ITEM, BRANCH_ITEM = struct.Struct("<IIIIQQ"), struct.Struct("<IIIIQ")
SECTION = struct.Struct("<IIIIIBxH")
FILE_MAGIC, INDEX_MAGIC = 0x888FFC26, 0x2468ACE0
BEDGRAPH = 1
DEEPEST = 16

INTERVAL = np.dtype([("start", "<u4"), ("end", "<u4"), ("value", "<f4")])
ZOOM_RECORD = 32
Intervals = npt.NDArray[Any]


class DamagedError(OSError):
    """What is in the file isn't what was written to it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"read back, {what}")


class Digest:
    """What is known of a track's intervals without keeping them: number, bases, SHA-256 in their order."""

    def __init__(self) -> None:
        self.intervals = self.bases = 0
        self._chrom = -1
        self._hash = hashlib.sha256()

    def add(self, chrom: int, intervals: Intervals) -> None:
        """Add intervals of a chromosome, given by its number."""
        if chrom != self._chrom:
            self._chrom = chrom
            self._hash.update(b"chromosome %d" % chrom)
        self.intervals += len(intervals)
        first, last = (int(intervals[name].sum(dtype=np.int64)) for name in ("start", "end"))
        self.bases += last - first
        self._hash.update(np.ascontiguousarray(intervals).view(np.uint8).data)

    def as_tuple(self) -> tuple[int, int, str]:
        """Give number of intervals, number of bases, and the hash."""
        return self.intervals, self.bases, self._hash.hexdigest()


def require_read_back(path: Path, chrom_sizes: Mapping[str, int], written: Digest) -> None:
    """Read a bigWig and compare it with what was given to its writer.

    Compared are the names and sizes of the chromosomes, in their order, as pyBigWig reads them; the SHA-256
    of all intervals, which are found by the index; and the bases covered that the header says. Of every zoom
    level the blocks are unpacked and the records counted, but what they say of the values isn't compared.
    The file is read once, with one block in memory at a time and one node for each level of the index; that
    takes about a tenth of the time that writing takes.

    Parameters
    ----------
    path : Path
    chrom_sizes : mapping of str to int
        In bp, in the order of their numbers.
    written : Digest
        Of the intervals given to the writer.

    Raises
    ------
    OSError
        If the file can't be read.
    DamagedError
        If it isn't what was written.
    """
    try:
        with path.open("rb") as file:
            _compare(file, written)
    except (struct.error, zlib.error, ValueError) as error:
        raise DamagedError(f"it is damaged ({error})") from error
    if list(_chroms(path).items()) != list(chrom_sizes.items()):
        raise DamagedError("its chromosomes are others")


def _compare(file: IO[bytes], written: Digest) -> None:
    header = HEADER.unpack(file.read(HEADER.size))
    magic, n_levels, data, index, summary, largest = (header[i] for i in (0, 2, 4, 5, 9, 10))
    if magic != FILE_MAGIC:
        raise DamagedError("it doesn't begin as a bigWig does")
    levels = [ZOOM_HEADER.unpack(file.read(ZOOM_HEADER.size)) for _ in range(n_levels)]
    found, n_sections = Digest(), 0
    for chrom, intervals in _sections(file, index, largest) if written.intervals else ():
        found.add(chrom, intervals)
        n_sections += 1
    if found.as_tuple() != written.as_tuple():
        raise DamagedError(f"it has {found.intervals} of {written.intervals} intervals, or other values")
    file.seek(data)
    if COUNT.unpack(file.read(COUNT.size))[0] != n_sections:
        raise DamagedError("it says that it has another number of blocks")
    file.seek(summary)
    if SUMMARY.unpack(file.read(SUMMARY.size))[0] != written.bases:
        raise DamagedError("its summary covers other bases")
    for *_, zoom_index in levels:
        if not sum(len(block) // ZOOM_RECORD for block in _blocks(file, zoom_index, largest, ZOOM_RECORD)):
            raise DamagedError("a zoom level is empty")


def _sections(file: IO[bytes], index: int, largest: int) -> Iterator[tuple[int, Intervals]]:
    """Read the intervals of every block, with the number of their chromosome."""
    for block in _blocks(file, index, largest):
        chrom, _, _, _, _, kind, count = SECTION.unpack_from(block)
        if kind != BEDGRAPH or len(block) != SECTION.size + count * INTERVAL.itemsize:
            raise DamagedError("a block of it has another form")
        yield chrom, np.frombuffer(block, INTERVAL, count, SECTION.size)


def _blocks(file: IO[bytes], index: int, largest: int, unit: int = 1) -> Iterator[bytes]:
    """Unpack the blocks that an index names, in its order; each has records of so many bytes."""
    file.seek(index)
    if INDEX.unpack(file.read(INDEX.size))[0] != INDEX_MAGIC:
        raise DamagedError("an index is missing")
    for at, size in _leaves(file, index + INDEX.size, 0):
        file.seek(at)
        block = zlib.decompress(file.read(size))
        if len(block) > largest or len(block) % unit:
            raise DamagedError("a block of it has another size")
        yield block


def _leaves(file: IO[bytes], at: int, depth: int) -> Iterator[tuple[int, int]]:
    """Go through an index; give where each block is, and its size in bytes."""
    if depth > DEEPEST:
        raise DamagedError("an index has no end")
    file.seek(at)
    is_leaf, count = NODE.unpack(file.read(NODE.size))
    item = LEAF_ITEM if is_leaf else BRANCH_ITEM
    for entry in item.iter_unpack(file.read(count * item.size)):
        if is_leaf:
            yield entry[4], entry[5]
        else:
            yield from _leaves(file, entry[4], depth + 1)


def _chroms(path: Path) -> dict[str, int]:
    try:
        with pyBigWig.open(str(path)) as file:
            return dict(file.chroms())
    except RuntimeError as error:
        raise DamagedError("no reader opens it") from error
