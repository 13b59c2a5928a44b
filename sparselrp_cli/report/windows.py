"""The windows as the page carries them: a row each for its table, and letters for as many as fit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import printable
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Bases, Doubles
from sparselrp_cli.outputs.choices import WARN_ABOVE
from sparselrp_cli.report.embedding import codes, packed, packed_bytes, quantised, rounded
from sparselrp_cli.report.hits import WindowHits

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LETTER_BYTES = 11 << 20
"""Of letters in a page; with the table of 10,000 windows it stays below 15 MB."""

WORST = 10
"""Windows of each kind of doubt that are listed."""

KINDS = ("conservation", "unknown", "silent", "tail", "edge")
"""Why a window can't be trusted, in the order of the bits of `doubtful`."""

SHORT = {
    "conservation": "not conserved",
    "unknown": "unknown bases",
    "silent": "no relevance",
    "tail": "score far from others",
    "edge": "relevance at an end",
}
"""What tables call them."""

FAR, LEAST_SCORES = 4.0, 20
"""Robust standard deviations from the median beyond which a score is far from all others, and how many scores
that takes: the median absolute deviation is made to be one of a normal distribution."""

CHUNK = 256
"""Windows that are read together."""

EDGE, EDGE_SHARE = 0.05, 0.5
"""The ends of a window, as a share of its length each, and how much of its relevance is too much for them."""

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
        One of `KINDS`.
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
    edge : ndarray of float64, shape (N,)
        Share of the magnitude of each window's relevance that lies at its ends.
    mass : (float, float)
        Sum of the positive contributions of all windows, and of the magnitudes of the negative ones.
    letters : list of list
        Of each wanted window in order: its row, what a step is worth, values, bases; see `embedding`.
    """

    profile: Doubles
    edge: Doubles
    mass: tuple[float, float]
    letters: list[list[Any]]


def read_accounts(reader: ArchiveReader, target: int) -> Accounts:
    """Read what the table and the distributions are of."""
    of = {name: reader.column(name, target).astype(np.float64) for name in COLUMNS}
    parts = sum(np.abs(of[name]) for name in ("relevance", "background", "absorbed", "lost"))
    explained = np.abs(of["relevance"]) / np.maximum(parts, 1e-300)
    unknown = of["n_bases_unknown"] / max(reader.window_length, 1)
    return Accounts(of["score"], explained, of["conservation_error"], of["zero_share"], unknown)


def doubtful(accounts: Accounts, edge: Doubles | None = None) -> npt.NDArray[np.bool_]:
    """Say which windows can't be trusted, and why: shape (kinds, N), in the order of `KINDS`.

    Parameters
    ----------
    accounts : Accounts
    edge : ndarray of float64, shape (N,), optional
        Of `Maps`, which takes a reading of all maps; without it no window has that reason.
    """
    at_edge = np.zeros(len(accounts.score)) if edge is None else edge
    return np.stack([
        accounts.conservation_error > WARN_ABOVE,
        accounts.unknown > 0,
        accounts.zero_share >= 1,
        far_from_others(accounts.score) > FAR,
        at_edge > EDGE_SHARE,
    ])  # fmt: skip


def far_from_others(score: Doubles) -> Doubles:
    """Give how many robust standard deviations scores lie from their median; 0 where there are too few."""
    if len(score) < LEAST_SCORES:
        return np.zeros(len(score))
    away = np.abs(score - np.median(score))
    deviation = 1.4826 * float(np.median(away))
    return away / deviation if deviation > 0 else np.zeros(len(score))


def doubts(accounts: Accounts, edge: Doubles | None = None) -> list[Doubt]:
    """List the windows that can't be trusted, by reason; see `doubtful`."""
    measures = (
        accounts.conservation_error, accounts.unknown, accounts.score, far_from_others(accounts.score),
        np.zeros(len(accounts.score)) if edge is None else edge,
    )  # fmt: skip
    found = []
    for kind, measure, is_doubtful in zip(KINDS, measures, doubtful(accounts, edge), strict=True):
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
    """Read all maps once, in constant memory but for the letters that are wanted.

    Letters of windows with much relevance at their ends are given, too, as far as they are listed.
    """
    total, edge = np.zeros(reader.window_length), np.zeros(reader.n_windows)
    positive = negative = 0.0
    letters: list[list[Any]] = []
    for rows in reader.chunks():
        one_hot, values = _read(reader, rows, target)
        total += np.abs(values).sum(axis=0)
        edge[rows] = share_at_ends(values)
        positive += float(np.maximum(values, 0).sum())
        negative += float(np.maximum(-values, 0).sum())
        letters += [
            _lettered(rows.start + i, one_hot[i], values[i]) for i in np.flatnonzero(wanted[rows]).tolist()
        ]
    listed = np.argsort(-edge, kind="stable")[:WORST]
    missing = [row for row in listed.tolist() if edge[row] > EDGE_SHARE and not wanted[row]]
    for row in missing:
        one_hot, values = _read(reader, slice(row, row + 1), target)
        letters.append(_lettered(row, one_hot[0], values[0]))
    letters.sort(key=lambda entry: int(entry[0]))
    return Maps(total / max(reader.n_windows, 1), edge, (positive, negative), letters)


def share_at_ends(values: Doubles) -> Doubles:
    """Give which share of the magnitude lies in the `EDGE` at either end, of maps (n, L); 0 without any."""
    size, wide = np.abs(values), max(1, round(EDGE * values.shape[1]))
    ends = size[:, :wide].sum(axis=1) + size[:, wide:][:, -wide:].sum(axis=1)
    whole = size.sum(axis=1)
    share: Doubles = np.divide(ends, whole, out=np.zeros(len(values)), where=whole > 0)
    return share


def read_ends(reader: ArchiveReader, target: int, chosen: Integers) -> Doubles:
    """Read the maps of some windows for their `share_at_ends`; 0 for the others, shape (N,)."""
    edge = np.zeros(reader.n_windows)
    for first in range(0, len(chosen), CHUNK):
        rows = chosen[first : first + CHUNK]
        edge[rows] = share_at_ends(reader.contributions(rows, target).astype(np.float64))
    return edge


def _read(reader: ArchiveReader, rows: slice, target: int) -> tuple[Bases, Doubles]:
    """Read bases, one-hot (n, 4, L), and contributions (n, L)."""
    one_hot, hypothetical = reader.read(rows, target)
    return one_hot, np.where(one_hot != 0, hypothetical, 0).sum(axis=1, dtype=np.float64)


def _lettered(row: int, one_hot: Bases, values: Doubles) -> list[Any]:
    return [row, *quantised(values), packed(codes(one_hot))]


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
    for first in range(0, len(rows), CHUNK):
        some = rows[first : first + CHUNK]
        values = unpruned.contributions(np.array([other for _, other in some]), number)
        letters += [[row, *quantised(v)] for (row, _), v in zip(some, values, strict=True)]
    return letters


def by_place(reader: ArchiveReader) -> dict[tuple[str, int], int]:
    """Number the windows by chromosome and start."""
    at, names = reader.coordinates, list(reader.chrom_sizes)
    return {(names[c], int(s)): i for i, (c, s) in enumerate(zip(at.chrom, at.start, strict=True))}


def table(reader: ArchiveReader, accounts: Accounts, edge: Doubles | None = None) -> dict[str, Any]:
    """Give the columns of the table of windows, as JSON; reasons to doubt are bits by `KINDS`."""
    return {
        **places(reader),
        "score": rounded(accounts.score),
        "explained": rounded(accounts.explained),
        "error": rounded(accounts.conservation_error),
        "zero": rounded(accounts.zero_share),
        "unknown": rounded(accounts.unknown),
        "doubt": (2 ** np.arange(len(KINDS)) @ doubtful(accounts, edge)).tolist(),
    }


def places(reader: ArchiveReader, chosen: Integers | None = None, shift: int = 0) -> dict[str, Any]:
    """Give where windows are and what they are called, as JSON.

    Parameters
    ----------
    reader : ArchiveReader
    chosen : ndarray of int, optional
        Which windows; None is all.
    shift : int
        How far in the shown part of a window begins.
    """
    at, chroms = reader.coordinates, list(reader.chrom_sizes)
    rows = np.arange(reader.n_windows) if chosen is None else chosen
    # A genome can have a million contigs: only those with windows are named.
    used, chrom = np.unique(at.chrom[rows], return_inverse=True)
    windows = [w for first in range(0, len(rows), 4096) for w in reader.windows(rows[first : first + 4096])]
    return {
        "length": reader.window_length,
        "chroms": [printable(chroms[i]) for i in used.tolist()],
        "chrom": chrom.tolist(),
        "start": (at.start[rows] + shift).tolist(),
        "name": [printable(window.name) for window in windows],
        "strand": [window.strand for window in windows],
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
