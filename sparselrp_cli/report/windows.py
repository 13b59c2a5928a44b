"""The windows as the page carries them: a row each for its table, and letters for as many as fit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import printable
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Doubles
from sparselrp_cli.outputs.choices import WARN_ABOVE
from sparselrp_cli.report.embedding import codes, packed, packed_bytes, quantised, rounded
from sparselrp_cli.report.hits import WindowHits

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LETTER_BYTES = 11 << 20
"""Of letters in a page; with the table of 10,000 windows it stays below 15 MB."""

WORST = 10
"""Windows of each kind of doubt that are listed."""

COLUMNS = (
    "score", "relevance", "background", "absorbed", "lost", "conservation_error", "zero_share",
    "n_bases_unknown",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Accounts:
    """Columns of all windows, shape (N,).

    Attributes
    ----------
    explained : ndarray of float64
        Share of the parts of the score that lies on single bases: the magnitude of relevance by the sum of
        the magnitudes of relevance, background, absorbed and lost.
    unknown : ndarray of float64
        Share of unknown bases.
    """

    score: Doubles
    explained: Doubles
    conservation_error: Doubles
    zero_share: Doubles
    unknown: Doubles


@dataclass(frozen=True, eq=False)
class Doubt:
    """Windows that can't be trusted for one reason.

    Attributes
    ----------
    kind : str
        ``conservation``, ``unknown`` or ``silent``.
    rows : ndarray of int
        At most `WORST`, the worst first.
    count : int
        How many there are.
    """

    kind: str
    rows: Integers
    count: int


@dataclass(frozen=True, eq=False)
class Maps:
    """What one reading of all maps gives.

    Attributes
    ----------
    profile : ndarray of float64, shape (L,)
        Mean magnitude of the contributions at each position.
    letters : list of list
        Of each wanted window in order: its row, what a step is worth, values, bases; see `embedding`.
    """

    profile: Doubles
    letters: list[list[Any]]


def read_accounts(reader: ArchiveReader, target: int) -> Accounts:
    """Read what the table and the distributions are of."""
    of = {name: reader.column(name, target).astype(np.float64) for name in COLUMNS}
    parts = sum(np.abs(of[name]) for name in ("relevance", "background", "absorbed", "lost"))
    explained = np.abs(of["relevance"]) / np.maximum(parts, 1e-300)
    unknown = of["n_bases_unknown"] / max(reader.window_length, 1)
    return Accounts(of["score"], explained, of["conservation_error"], of["zero_share"], unknown)


def doubts(accounts: Accounts) -> list[Doubt]:
    """List the windows that can't be trusted, by reason."""
    measures = {
        "conservation": (accounts.conservation_error, accounts.conservation_error > WARN_ABOVE),
        "unknown": (accounts.unknown, accounts.unknown > 0),
        "silent": (accounts.score, accounts.zero_share >= 1),
    }
    found = []
    for kind, (measure, is_doubtful) in measures.items():
        order = np.argsort(-measure, kind="stable")
        rows = order[is_doubtful[order]]
        found.append(Doubt(kind, rows[:WORST], len(rows)))
    return found


def lettered(accounts: Accounts, length: int, n_tracks: int, budget: int = LETTER_BYTES) -> Mask:
    """Choose the windows whose letters the page carries, as many as fit.

    The doubtful ones that are listed come first, for they should be looked at, then the highest scores.

    Parameters
    ----------
    accounts : Accounts
    length : int
        Of a window, in bp.
    n_tracks : int
        How many letters each base has: pruned, and unpruned.
    budget : int
        Bytes.
    """
    first = [row for doubt in doubts(accounts) for row in doubt.rows.tolist()]
    order = dict.fromkeys([*first, *np.argsort(-accounts.score, kind="stable").tolist()])
    chosen = np.zeros(len(accounts.score), np.bool_)
    chosen[list(order)[: budget // (n_tracks * packed_bytes(length))]] = True
    return chosen


def read_maps(reader: ArchiveReader, target: int, wanted: Mask) -> Maps:
    """Read all maps once, in constant memory but for the letters that are wanted."""
    total = np.zeros(reader.window_length)
    letters: list[list[Any]] = []
    for rows in reader.chunks():
        one_hot, hypothetical = reader.read(rows, target)
        values = np.where(one_hot != 0, hypothetical, 0).sum(axis=1, dtype=np.float64)
        total += np.abs(values).sum(axis=0)
        for i in np.flatnonzero(wanted[rows]).tolist():
            letters.append([rows.start + i, *quantised(values[i]), packed(codes(one_hot[i]))])
    return Maps(total / max(reader.n_windows, 1), letters)


def unpruned_letters(
    reader: ArchiveReader, unpruned: ArchiveReader, target: int, wanted: Mask
) -> list[list[Any]]:
    """Read the contributions of the same windows in the unpruned archive: row, step, values."""
    there = by_place(unpruned)
    at, names = reader.coordinates, list(reader.chrom_sizes)
    rows = [
        (row, there[key])
        for row in np.flatnonzero(wanted).tolist()
        if (key := (names[at.chrom[row]], int(at.start[row]))) in there
    ]
    number = unpruned.target_number(reader.target_names[target])
    letters: list[list[Any]] = []
    for first in range(0, len(rows), 256):
        some = rows[first : first + 256]
        values = unpruned.contributions(np.array([other for _, other in some]), number)
        letters += [[row, *quantised(v)] for (row, _), v in zip(some, values, strict=True)]
    return letters


def by_place(reader: ArchiveReader) -> dict[tuple[str, int], int]:
    """Number the windows by chromosome and start."""
    at, names = reader.coordinates, list(reader.chrom_sizes)
    return {(names[c], int(s)): i for i, (c, s) in enumerate(zip(at.chrom, at.start, strict=True))}


def table(reader: ArchiveReader, accounts: Accounts) -> dict[str, Any]:
    """Give the columns of the table of windows, as JSON."""
    at, chroms = reader.coordinates, list(reader.chrom_sizes)
    # A genome can have a million contigs: only those with windows are named.
    used, chrom = np.unique(at.chrom, return_inverse=True)
    names: list[str] = []
    strands: list[str] = []
    for rows in reader.chunks(4096):
        windows = reader.windows(rows)
        names += [printable(window.name) for window in windows]
        strands += [window.strand for window in windows]
    return {
        "length": reader.window_length,
        "chroms": [printable(chroms[i]) for i in used.tolist()],
        "chrom": chrom.tolist(),
        "start": at.start.tolist(),
        "name": names,
        "strand": strands,
        "score": rounded(accounts.score),
        "explained": rounded(accounts.explained),
        "error": rounded(accounts.conservation_error),
        "zero": rounded(accounts.zero_share),
        "unknown": rounded(accounts.unknown),
    }


def hit_columns(found: WindowHits | None, reader: ArchiveReader) -> dict[str, Any]:
    """Give the hits by window, as JSON; places are in bp from the window's start."""
    if found is None:
        return {"row": [], "start": [], "end": [], "motif": [], "strand": [], "relevance": []}
    starts = reader.coordinates.start[found.row]
    return {
        "row": found.row.tolist(),
        "start": [hit.start - int(first) for hit, first in zip(found.hits, starts, strict=True)],
        "end": [hit.end - int(first) for hit, first in zip(found.hits, starts, strict=True)],
        "motif": found.motif.tolist(),
        "strand": [hit.strand for hit in found.hits],
        "relevance": rounded(np.array([hit.relevance for hit in found.hits], np.float64)),
    }
