"""The track of a run from those of its shards: where one shard alone has windows, its blocks are copied.

A block depends on the values of one cell of a grid alone. So where no other shard has a window in a cell the
shard's block is that of the run. Other cells are made of the contributions of windows there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from sparselrp_cli.outputs.archive.rows import Coordinates, Reals, Rows
from sparselrp_cli.outputs.bigwig.blocks import CELL
from sparselrp_cli.outputs.bigwig.packing import Packed, pack
from sparselrp_cli.outputs.bigwig.reading import ForeignTrackError, PackedTrack
from sparselrp_cli.outputs.bigwig.stretches import Numbers, beginnings, ends, numbers_of, stretches
from sparselrp_cli.outputs.bigwig.writer import write_batches
from sparselrp_cli.outputs.track_runs import Maps, Run, track_runs
from sparselrp_cli.sequences.windows import Window

IN_CHROM = 1 << 20
"""More cells than a chromosome has."""
IN_BATCH = 64
SHARED = -1


@dataclass(frozen=True, slots=True)
class ShardTrack:
    """The track of a shard, and how many windows it has."""

    path: Path
    n_windows: int


def write_joined(
    path: Path,
    reader: Maps,
    shards: Sequence[ShardTrack],
    policy: str,
    target: int,
    *,
    spread: bool,
    threads: int,
) -> None:
    """Write the track of a run that has the windows of several shards, in their order.

    The bytes are those of `write_runs`, as long as each shard's track was written by it under the policy.

    Parameters
    ----------
    path : Path
    reader : Maps
        Of all windows.
    shards : sequence of ShardTrack
    policy, target, spread
        As for `track_runs`.
    threads : int

    Raises
    ------
    OSError
        If a file can't be read or written.
    ForeignTrackError
        If a shard's track isn't of the writer's making.
    OutputError
        As for `track_runs`.
    """
    with ExitStack() as stack:
        tracks = [stack.enter_context(PackedTrack(shard.path)) for shard in shards]
        cells = _Cells.of(reader, [shard.n_windows for shard in shards])
        shared = _shared_runs(reader, cells, policy, target, spread)
        write_batches(path, reader.chrom_sizes, _batches(cells, tracks, shared, reader.chrom_sizes), threads)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """The cells in which there are windows.

    Attributes
    ----------
    keys : ndarray of int64, shape (c,)
        Chromosome and cell as one number, sorted.
    owner : ndarray of int64, shape (c,)
        The shard that alone has windows there, or SHARED.
    shared_rows : ndarray of int64
        The windows that reach into a shared cell.
    """

    keys: Numbers
    owner: Numbers
    shared_rows: Numbers

    @classmethod
    def of(cls, reader: Maps, n_windows: Sequence[int]) -> "_Cells":
        at, sizes = reader.coordinates, np.array(list(reader.chrom_sizes.values()), np.int64)
        start, end = np.maximum(at.start, 0), np.minimum(at.end, sizes[at.chrom])
        count = np.where(start < end, (end - 1) // CELL - start // CELL + 1, 0)
        row = np.repeat(np.arange(len(count)), count)
        cell = start[row] // CELL + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        keys = at.chrom[row].astype(np.int64) * IN_CHROM + cell
        order = np.argsort(keys, kind="stable")
        keys, row = keys[order], row[order]
        if not len(keys):
            return cls(keys, keys, keys)
        shard = np.repeat(np.arange(len(n_windows)), n_windows)[row]
        first = beginnings(keys)
        lowest, highest = np.minimum.reduceat(shard, first), np.maximum.reduceat(shard, first)
        owner = np.where(lowest == highest, lowest, SHARED)
        is_shared = np.repeat(owner == SHARED, ends(first, len(keys)) - first)
        return cls(keys[first], owner, np.unique(row[is_shared]))


class _Some:
    """Some windows of a run, in its order."""

    def __init__(self, reader: Maps, rows: Numbers) -> None:
        self._reader, self._rows = reader, rows
        at = reader.coordinates
        self.coordinates = Coordinates(at.chrom[rows], at.start[rows], at.end[rows])
        self.path, self.window_length = reader.path, reader.window_length
        self.chrom_sizes = reader.chrom_sizes

    def windows(self, rows: Rows) -> list[Window]:
        return self._reader.windows(self._rows[rows])

    def contributions(self, rows: Rows, target: int = 0) -> Reals:
        return self._reader.contributions(self._rows[rows], target)

    def contribution_sd(self, rows: Rows, target: int = 0) -> Reals:
        return self._reader.contribution_sd(self._rows[rows], target)


def _batches(
    cells: _Cells, tracks: Sequence[PackedTrack], shared: Iterator[tuple[int, Run]], sizes: Mapping[str, int]
) -> Iterator[Callable[[], Packed]]:
    """Go along the genome; give what is copied and what is made, each as something that does it."""
    if not len(cells.keys):
        return
    first = beginnings(cells.owner)
    begin, end = cells.keys[first], cells.keys[ends(first, len(cells.keys)) - 1]
    # Runs of shared cells, by the stretch of cells that they lie in.
    made = groupby(shared, lambda each: int(np.searchsorted(begin, each[0], "right")))
    of_track = [_keys_of(track) for track in tracks]
    for owner, low, high in zip(cells.owner[first].tolist(), begin, end, strict=True):
        if owner == SHARED:
            _, runs = next(made)
            yield from (partial(pack, each) for each in stretches((run for _, run in runs), sizes, CELL))
        else:
            keys = of_track[owner]
            yield from _copies(tracks[owner], keys, *np.searchsorted(keys, [low, high + 1]).tolist())


def _keys_of(track: PackedTrack) -> Numbers:
    keys: Numbers = track.places["chrom"].astype(np.int64) * IN_CHROM + track.places["start"] // CELL
    return keys


def _copies(track: PackedTrack, keys: Numbers, first: int, last: int) -> Iterator[Callable[[], Packed]]:
    """Copy blocks, those of so many cells at a time."""
    if first == last:
        raise ForeignTrackError(f"{track.path} lacks what its windows cover")
    cells = first + beginnings(keys[first:last])[::IN_BATCH]
    for begin, end in zip(cells.tolist(), ends(cells, last).tolist(), strict=True):
        yield partial(track.copied, begin, end)


def _shared_runs(
    reader: Maps, cells: _Cells, policy: str, target: int, spread: bool
) -> Iterator[tuple[int, Run]]:
    """Make the values of shared cells; each run lies in one, and comes with its key."""
    shared = set(cells.keys[cells.owner == SHARED].tolist())
    if not shared:
        return
    numbers = numbers_of(reader.chrom_sizes)
    for run in track_runs(_Some(reader, cells.shared_rows), policy, target, spread=spread):
        for cell in range(run.start // CELL, (run.end - 1) // CELL + 1):
            key = numbers[run.chrom] * IN_CHROM + cell
            if key in shared:
                start, end = max(run.start, cell * CELL), min(run.end, (cell + 1) * CELL)
                yield key, Run(run.chrom, start, run.values[start - run.start : end - run.start])
