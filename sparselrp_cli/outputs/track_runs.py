"""One value per covered base: the windows of an archive merged in one sweep along the genome."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive.reader import Coordinates, Rows
from sparselrp_cli.outputs.archive.rows import Doubles, Reals, place
from sparselrp_cli.outputs.overlap import POLICIES
from sparselrp_cli.sequences.windows import Window

Singles = npt.NDArray[np.float32]

BATCH_BYTES = 8 << 20
LONGEST = 1 << 16


class Maps(Protocol):
    """What a track is made from: an archive, or something that is read like one."""

    @property
    def path(self) -> Path: ...
    @property
    def window_length(self) -> int: ...
    @property
    def chrom_sizes(self) -> dict[str, int]: ...
    @property
    def coordinates(self) -> Coordinates: ...
    def windows(self, rows: Rows) -> list[Window]: ...
    def contributions(self, rows: Rows, target: int = 0) -> Reals: ...
    def contribution_sd(self, rows: Rows, target: int = 0) -> Reals: ...


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Values of consecutive bases.

    Attributes
    ----------
    chrom : str
    start : int
        The first base, 0-based.
    values : ndarray of float32, shape (n,)
    """

    chrom: str
    start: int
    values: Singles

    @property
    def end(self) -> int:
        return self.start + len(self.values)


def track_runs(reader: Maps, policy: str, target: int = 0, *, spread: bool = False) -> Iterator[Run]:
    """Merge the contributions of all windows, or their spread over the models.

    Runs come in genome order, are as long as bases are covered without a gap (but no longer than 65,536 and a
    window), and end at the chromosome's ends. In memory are the coordinates of the windows, a batch of maps
    and one window of open bases.

    Parameters
    ----------
    reader : Maps
    policy : str
        One of `overlap.POLICIES`.
    target : int
    spread : bool
        Merge the standard deviations of an archive of several models.

    Yields
    ------
    Run

    Raises
    ------
    OutputError
        If a contribution isn't finite, or under ``error`` if two windows share a base.
    """
    if policy not in POLICIES:
        raise ValueError(f"unknown overlap policy '{policy}'; there are {', '.join(POLICIES)}")
    return _joined(_checked(reader, _settled(reader, policy, target, spread)))


def _settled(reader: Maps, policy: str, target: int, spread: bool) -> Iterator[tuple[str, int, Doubles]]:
    """Sweep over the windows; yield pieces of at most L bp that no later window covers."""
    length, at = reader.window_length, reader.coordinates
    chroms = list(reader.chrom_sizes)
    order = np.lexsort((at.start, at.chrom))
    if policy == "error":
        _refuse_overlap(reader, order)
    pile = POLICIES[policy](length)
    for i, (row, values) in enumerate(_values(reader, order, target, spread)):
        pile.add(values)
        chrom, start = at.chrom[row], int(at.start[row])
        n = length
        if i + 1 < len(order) and at.chrom[order[i + 1]] == chrom:
            n = min(length, int(at.start[order[i + 1]]) - start)
        if n:
            yield chroms[chrom], start, pile.take(n)


def _values(
    reader: Maps, order: npt.NDArray[np.intp], target: int, spread: bool
) -> Iterator[tuple[int, Doubles]]:
    """Read contributions, or their spread, in the order of the sweep, a batch of windows at a time."""
    read = reader.contribution_sd if spread else reader.contributions
    size = max(1, BATCH_BYTES // (16 * reader.window_length))
    for first in range(0, len(order), size):
        rows = order[first : first + size]
        batch = read(rows, target).astype(np.float64)
        finite = np.isfinite(batch).all(axis=1)
        if not finite.all():
            _refuse_value(reader, int(rows[np.argmin(finite)]))
        yield from zip(rows.tolist(), batch, strict=True)


def _checked(reader: Maps, pieces: Iterable[tuple[str, int, Doubles]]) -> Iterator[Run]:
    """Cut pieces at the chromosome's ends, and round them to float32."""
    for chrom, start, values in pieces:
        first, last = max(0, -start), min(len(values), reader.chrom_sizes[chrom] - start)
        if first >= last:
            continue
        with np.errstate(over="ignore", under="ignore"):
            # Adding 0 turns a -0, which a tiny negative value is rounded to, into 0.
            rounded = values[first:last].astype(np.float32) + np.float32(0)
        if not np.isfinite(rounded).all():
            where = f"{chrom}:{start + first + int(np.argmin(np.isfinite(rounded)))}"
            raise OutputError(
                f"{reader.path}: the merged contribution at {where} is too large for float32; "
                "choose another --overlap"
            )
        yield Run(chrom, start + first, rounded)


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Join runs that follow each other without a gap."""
    held: list[Run] = []
    n = 0
    for run in runs:
        if held and (n >= LONGEST or run.chrom != held[-1].chrom or run.start != held[-1].end):
            yield _one(held)
            held, n = [], 0
        held.append(run)
        n += len(run.values)
    if held:
        yield _one(held)


def _one(runs: list[Run]) -> Run:
    return Run(runs[0].chrom, runs[0].start, np.concatenate([run.values for run in runs]))


def _refuse_value(reader: Maps, row: int) -> None:
    window = reader.windows(slice(row, row + 1))[0]
    raise OutputError(
        f"{reader.path}: the contributions of {place(window)} hold NaN or infinity; "
        "make the archive again with `sparselrp attribute`"
    )


def _refuse_overlap(reader: Maps, order: npt.NDArray[np.intp]) -> None:
    """Windows of one length that share a base have, in order, neighbours that do."""
    at = reader.coordinates
    sizes = np.array(list(reader.chrom_sizes.values()), np.int64)
    start = np.maximum(at.start, 0)[order]
    end = np.minimum(at.end, sizes[at.chrom])[order]
    same_chrom = np.diff(at.chrom[order]) == 0
    shared = np.flatnonzero(same_chrom & (start[1:] < end[:-1]))
    if len(shared):
        first, second = reader.windows(order[shared[0] : shared[0] + 2])
        raise OutputError(
            f"{reader.path}: windows {place(first)} and {place(second)} overlap; "
            "thin the regions out, or choose another --overlap"
        )
