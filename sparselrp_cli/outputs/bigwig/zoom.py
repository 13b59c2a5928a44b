"""The zoom levels of a bigWig: what the values in each bin of a grid are together, from 128 bp on.

A level's bins are four times as long as those of the one before, and made of these in float64. The supplement
of Kent et al. 2010 (Bioinformatics 26:2204), table 19, describes how a bin is kept.
"""

import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.bigwig.blocks import packed
from sparselrp_cli.outputs.bigwig.index import PLACE, Places
from sparselrp_cli.outputs.bigwig.stretches import Numbers, Stretches, beginnings, ends, pieces

FINEST, FACTOR, MOST_LEVELS = 128, 4, 10
PER_BLOCK = 1024
IN_MEMORY = 8 << 20
"""Bytes of a level that stay in memory while values are written; what is more goes to the disk."""

_EXTENT = [("chrom", "<u4"), ("start", "<u4"), ("end", "<u4"), ("count", "<u4")]
_EXTREMES = [("min", "<f4"), ("max", "<f4")]
BIN = np.dtype([*_EXTENT, *_EXTREMES, ("sum", "<f8"), ("squares", "<f8")])
"""From the first base with a value to the one behind the last: their number, and what they are together."""
RECORD = np.dtype([*_EXTENT, *_EXTREMES, ("sum", "<f4"), ("squares", "<f4")])

Bins = npt.NDArray[Any]


class Summary(NamedTuple):
    """What all values are together."""

    n_bases: int = 0
    minimum: float = 0.0
    maximum: float = 0.0
    sum: float = 0.0
    squares: float = 0.0


class ZoomLevels:
    """The levels, finest first, while values come.

    Parameters
    ----------
    folder : Path
        For what doesn't stay in memory.
    longest : int
        The longest chromosome: only bins of the finest level may be longer.
    """

    def __init__(self, folder: Path, longest: int) -> None:
        sizes = [FINEST * FACTOR**i for i in range(MOST_LEVELS)]
        self._files = ExitStack()
        self._levels = [
            ZoomLevel(size, self._files.enter_context(_file_aside(folder)))
            for size in sizes
            if size == FINEST or size < longest
        ]
        self._coarsest: list[Bins] = []

    def __enter__(self) -> "ZoomLevels":
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def add(self, bins: Bins) -> None:
        """Add bins of the finest level, see `bins_of`."""
        for level in self._levels:
            bins = level.add(bins)
        self._coarsest.append(bins)

    def finish(self) -> Summary:
        """Close what is open; give what all values are together."""
        bins = np.empty(0, BIN)
        for level in self._levels:
            bins = np.concatenate([level.add(bins), level.close()])
        bins = np.concatenate([*self._coarsest, bins])
        if not len(bins):
            return Summary()
        return Summary(
            int(bins["count"].sum(dtype=np.int64)), float(bins["min"].min()), float(bins["max"].max()),
            math.fsum(bins["sum"]), math.fsum(bins["squares"]),
        )  # fmt: skip

    @property
    def largest(self) -> int:
        """The bytes of the largest block before packing."""
        return min(self._levels[0].n_bins, PER_BLOCK) * RECORD.itemsize

    def kept(self) -> "Iterator[ZoomLevel]":
        """Give the finest level, if it has a bin, and each that has fewer than the one given before it."""
        n = math.inf
        for level in self._levels:
            if 0 < level.n_bins < n:
                n = level.n_bins
                yield level


class ZoomLevel:
    """Bins of one size.

    Parameters
    ----------
    size : int
        In bp.
    file : file
        For its blocks, until they can be copied.

    Attributes
    ----------
    size : int
    n_bins : int
        That hold a value.
    """

    def __init__(self, size: int, file: IO[bytes]) -> None:
        self.size = size
        self.n_bins = 0
        self._file = file
        self._open = np.empty(0, BIN)
        self._waiting = np.empty(0, RECORD)
        self._places: list[Places] = []

    @property
    def places(self) -> Places:
        """Where on the genome the blocks lie, and how large they are."""
        return np.concatenate(self._places)

    def add(self, finer: Bins) -> Bins:
        """Add bins of the level before; give those of this level that are whole by now."""
        bins = np.concatenate([self._open, finer])
        first = _first(bins, self.size)
        whole = first[-1] if len(first) else 0
        self._open = bins[whole:]
        return self._kept(_joined(bins[:whole], first[:-1]))

    def close(self) -> Bins:
        """Give the bin that is open, if any, and write what waits."""
        last = self._kept(_joined(self._open, _first(self._open, self.size)))
        self._write(len(self._waiting))
        return last

    def copy_to(self, file: IO[bytes]) -> None:
        """Write the blocks to a file, once all are there."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, file)

    def _kept(self, bins: Bins) -> Bins:
        self.n_bins += len(bins)
        with np.errstate(over="ignore", under="ignore"):
            self._waiting = np.concatenate([self._waiting, bins.astype(RECORD)])
        self._write(len(self._waiting) // PER_BLOCK * PER_BLOCK)
        return bins

    def _write(self, n: int) -> None:
        """Write so many records of those that wait."""
        for start in range(0, n, PER_BLOCK):
            records = self._waiting[start : min(start + PER_BLOCK, n)]
            content = packed(records)
            self._file.write(content)
            (chrom, begin, *_), (last_chrom, _, end, *_) = records[0], records[-1]
            self._places.append(np.array([(chrom, begin, last_chrom, end, len(content))], PLACE))
        self._waiting = self._waiting[n:]


def _file_aside(folder: Path) -> "tempfile.SpooledTemporaryFile[bytes]":
    """Make a file that is in memory while it is small; then in a folder, without a name."""
    return tempfile.SpooledTemporaryFile(IN_MEMORY, prefix=".sparselrp-", dir=str(folder))


def bins_of(found: Stretches) -> Bins:
    """Make the bins of the finest level, of values that end where one of them does."""
    cut = pieces(found, FINEST)
    at = cut.at[cut.first]
    wide = found.values.astype(np.float64)
    bins = np.empty(len(at), BIN)
    bins["chrom"], bins["start"], bins["end"] = cut.chrom[cut.first], cut.start[cut.first], cut.end[cut.last]
    bins["count"] = ends(at, len(wide)) - at
    bins["min"], bins["max"] = np.minimum.reduceat(found.values, at), np.maximum.reduceat(found.values, at)
    bins["sum"], bins["squares"] = np.add.reduceat(wide, at), np.add.reduceat(wide * wide, at)
    return bins


def _first(bins: Bins, size: int) -> Numbers:
    """Say which bins are the first in one of another size."""
    return beginnings(bins["chrom"], bins["start"] // size) if len(bins) else np.empty(0, np.int64)


def _joined(bins: Bins, first: Numbers) -> Bins:
    """Make one of all bins from each of `first` to the next."""
    joined = np.empty(len(first), BIN)
    if len(first):
        joined["end"] = bins["end"][ends(first, len(bins)) - 1]
        for name in ("chrom", "start"):
            joined[name] = bins[name][first]
        for name in ("count", "sum", "squares"):
            joined[name] = np.add.reduceat(bins[name], first)
        for name, take in (("min", np.minimum), ("max", np.maximum)):
            joined[name] = take.reduceat(bins[name], first)
    return joined
