"""One value per covered base: the windows of an archive merged in one sweep along the genome."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive.rows import Coordinates, Doubles, Reals, Rows, place
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


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Values of consecutive bases, before they are rounded; else as `Run`."""

    chrom: str
    start: int
    values: Doubles

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
    pieces = _inside(reader.chrom_sizes, _settled(reader, policy, target, spread))
    return _rounded(reader, _joined(pieces))


def _settled(reader: Maps, policy: str, target: int, spread: bool) -> Iterator[Piece]:
    """Sweep over the windows; yield pieces of at most L bp that no later window covers."""
    length, at = reader.window_length, reader.coordinates
    chroms = list(reader.chrom_sizes)
    order = np.lexsort((at.start, at.chrom))
    if policy == "error":
        _refuse_overlap(reader, order)
    pile = POLICIES[policy](length)
    is_open = False
    for i, (row, values) in enumerate(_values(reader, order, target, spread)):
        chrom, start = int(at.chrom[row]), int(at.start[row])
        n = length
        if i + 1 < len(order) and at.chrom[order[i + 1]] == chrom:
            n = min(length, int(at.start[order[i + 1]]) - start)
        if n == length and not is_open:
            yield Piece(chroms[chrom], start, values)  # of no other window
            continue
        pile.add(values)
        if n:
            yield Piece(chroms[chrom], start, pile.take(n))
        is_open = n < length


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


def _inside(chrom_sizes: Mapping[str, int], pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Cut pieces at the chromosome's ends."""
    for piece in pieces:
        first, last = max(0, -piece.start), min(len(piece.values), chrom_sizes[piece.chrom] - piece.start)
        if (first, last) == (0, len(piece.values)):
            yield piece
        elif first < last:
            yield Piece(piece.chrom, piece.start + first, piece.values[first:last])


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join pieces that follow each other without a gap."""
    held: list[Piece] = []
    n = 0
    for piece in pieces:
        if held and (n >= LONGEST or piece.chrom != held[-1].chrom or piece.start != held[-1].end):
            yield _one(held)
            held, n = [], 0
        held.append(piece)
        n += len(piece.values)
    if held:
        yield _one(held)


def _one(pieces: list[Piece]) -> Piece:
    return Piece(pieces[0].chrom, pieces[0].start, np.concatenate([piece.values for piece in pieces]))


def _rounded(reader: Maps, pieces: Iterable[Piece]) -> Iterator[Run]:
    """Round values to float32."""
    for piece in pieces:
        with np.errstate(over="ignore", under="ignore"):
            # Adding 0 turns a -0, which a tiny negative value is rounded to, into 0.
            rounded = piece.values.astype(np.float32) + np.float32(0)
        finite = np.isfinite(rounded)
        if not finite.all():
            where = f"{piece.chrom}:{piece.start + int(np.argmin(finite))}"
            raise OutputError(
                f"{reader.path}: the merged contribution at {where} is too large for float32; "
                "choose another --overlap"
            )
        yield Run(piece.chrom, piece.start, rounded)


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
