"""Contributions of one stretch of a chromosome."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive.reader import ArchiveReader

_PLACE = re.compile(r"(?P<chrom>.+):(?P<start>[\d,]{1,20})-(?P<end>[\d,]{1,20})")
LONGEST = 100_000


@dataclass(frozen=True, eq=False)
class Stretch:
    """A stretch of a chromosome and what is known of it.

    Attributes
    ----------
    chrom : str
    start, end : int
        0-based half-open.
    contributions : ndarray of float64, shape (end - start, 4)
        At the observed base; NaN where no window lies.
    """

    chrom: str
    start: int
    end: int
    contributions: npt.NDArray[np.float64]


def parse_place(text: str) -> tuple[str, int, int]:
    """Read ``chrom:start-end``, 1-based and inclusive as genome browsers write it, commas allowed.

    Returns
    -------
    chrom : str
    start, end : int
        0-based half-open.

    Raises
    ------
    InputError
    """
    found = _PLACE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"'{text}' isn't a place; write chrom:start-end, as in chr2R:15,007,100-15,007,200")
    start, end = (int(found[name].replace(",", "") or 0) for name in ("start", "end"))
    if not 1 <= start <= end:
        raise InputError(f"'{text}': positions are counted from 1, and the end isn't before the start")
    if end - start >= LONGEST:
        raise InputError(f"'{text}' is {end - start + 1} bp; at most {LONGEST} can be drawn")
    return found["chrom"], start - 1, end


def read_stretch(reader: ArchiveReader, chrom: str, start: int, end: int, target: int = 0) -> Stretch:
    """Read the contributions of a stretch; where windows overlap, of the one whose centre is nearest.

    Raises
    ------
    InputError
        If no window lies there.
    """
    at, rows = reader.coordinates, _rows_at(reader, chrom, start, end)
    values = np.full((end - start, 4), np.nan)
    distance = np.full(end - start, np.inf)
    for row in rows:
        one_hot, hypothetical = reader.read(np.array([row]), target)
        contributions = np.where(one_hot[0] != 0, hypothetical[0].astype(np.float64), 0).T
        first, last = max(start, int(at.start[row])), min(end, int(at.end[row]))
        away = np.abs(np.arange(first, last) + 0.5 - (at.start[row] + at.end[row]) / 2)
        here = slice(first - start, last - start)
        nearer = away < distance[here]
        distance[here][nearer] = away[nearer]
        values[here][nearer] = contributions[first - at.start[row] : last - at.start[row]][nearer]
    return Stretch(chrom, start, end, values)


def nearest_window(reader: ArchiveReader, chrom: str, start: int, end: int) -> int:
    """Find the window over a stretch whose centre is nearest to that of the stretch, the first of equals.

    Raises
    ------
    InputError
        If no window lies there.
    """
    at, rows = reader.coordinates, _rows_at(reader, chrom, start, end)
    away = np.abs((at.start[rows].astype(np.int64) + at.end[rows]) - (start + end))
    return int(rows[np.argmin(away)])


def _rows_at(reader: ArchiveReader, chrom: str, start: int, end: int) -> npt.NDArray[np.intp]:
    """Number the windows that lie over a stretch; there is one at least."""
    names = list(reader.chrom_sizes)
    if chrom not in names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise InputError(f"{reader.path} has no chromosome '{chrom}'; it has {shown}")
    at = reader.coordinates
    rows = np.flatnonzero((at.chrom == names.index(chrom)) & (at.start < end) & (at.end > start))
    if not len(rows):
        raise InputError(f"{reader.path} has no window at {chrom}:{start + 1}-{end}")
    return rows
