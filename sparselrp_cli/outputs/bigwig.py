"""What pyBigWig leaves to its caller: room on the disk, and a right summary in the header."""

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.room import require_room
from sparselrp_cli.outputs.track_runs import Run

LONGEST_CHROM = (1 << 32) - 1
ROOM = 16 << 20
# The zoom levels, written on closing, take less than one part in so many of the track (44 % were seen).
ZOOMS = 2
# The frame of a block and its place in the index.
RUN_BYTES = 128
SUMMARY_POINTER = 44
SUMMARY_COVERED = 8


@dataclass(slots=True)
class BigWig:
    """A bigWig under construction.

    Attributes
    ----------
    path : Path
    file : pyBigWig file
    low, high : float
        The smallest and the largest value so far.
    room : int
        Bytes that can be written before the disk is asked again.
    """

    path: Path
    file: Any
    low: float = field(default=np.inf)
    high: float = field(default=-np.inf)
    room: int = 0

    def add(self, run: Run) -> None:
        """Add a run; runs come in genome order.

        Raises
        ------
        OSError
            If the disk is full.
        """
        self._reserve(RUN_BYTES + 4 * len(run.values))
        self.file.addEntries(run.chrom, run.start, values=run.values, span=1, step=1)
        self.low = min(self.low, float(run.values.min()))
        self.high = max(self.high, float(run.values.max()))

    def _reserve(self, n_bytes: int) -> None:
        if n_bytes > self.room:
            zooms = self.path.stat().st_size // ZOOMS
            self.room = max(ROOM, n_bytes, zooms)
            require_room(self.path, self.room + zooms)
        self.room -= n_bytes


@contextmanager
def bigwig(path: Path, chrom_sizes: Mapping[str, int]) -> Iterator[BigWig]:
    """Open a bigWig for writing; it is closed and its header put right at the end of the block.

    Parameters
    ----------
    path : Path
    chrom_sizes : mapping of str to int
        In bp, in genome order.

    Raises
    ------
    OSError
        If the disk is full.
    OutputError
        If a chromosome is too long for the format, or there is none.
    """
    _refuse_what_does_not_fit(path, chrom_sizes)
    require_room(path, 64 * len(chrom_sizes) + sum(len(chrom) for chrom in chrom_sizes))
    file = pyBigWig.open(str(path), "w")
    try:
        file.addHeader(list(chrom_sizes.items()))
        track = BigWig(path, file)
        yield track
        require_room(path, path.stat().st_size // ZOOMS)
    finally:
        # This writes, also after an error; the room for it has been asked for with that of the last runs.
        file.close()
    _put_extremes_right(path, track)


def _refuse_what_does_not_fit(path: Path, chrom_sizes: Mapping[str, int]) -> None:
    if not chrom_sizes:
        raise OutputError("a bigWig needs at least one chromosome; the archive names none")
    for chrom, size in chrom_sizes.items():
        if size > LONGEST_CHROM:
            raise OutputError(
                f"chromosome '{chrom}' of {size} bp is too long for a bigWig; write bedgraph instead"
            )


def _put_extremes_right(path: Path, track: BigWig) -> None:
    """Write minimum and maximum into the summary, where pyBigWig counts a 0 that the track may not have."""
    low, high = (track.low, track.high) if track.low <= track.high else (0.0, 0.0)
    with path.open("r+b") as file:
        file.seek(SUMMARY_POINTER)
        (summary,) = struct.unpack("<Q", file.read(8))
        file.seek(summary + SUMMARY_COVERED)
        file.write(struct.pack("<dd", low, high))
