"""Contributions of one stretch of a chromosome."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive.reader import ArchiveReader
from sparselrp_cli.sequences.features import feature_names, read_features

_PLACE = re.compile(r"(?P<chrom>.+):(?P<start>[\d,]{1,20})-(?P<end>[\d,]{1,20})")
LONGEST = 1_000_000
"""In bp, of what is drawn; windows of published models have up to 524,288."""
_AT_ONCE, _BATCH_BYTES = 65_536, 32 << 20
_NEAR, _COMPARED = 3, 20_000
"""How many names a message shows, and how many are compared letter by letter for that."""


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
    return found["chrom"], *_drawable(text, start - 1, end)


def parse_span(text: str, chrom: str) -> tuple[int, int]:
    """Read ``start-end`` or ``chrom:start-end`` on a chromosome, as `parse_place` does.

    Returns
    -------
    start, end : int
        0-based half-open.

    Raises
    ------
    InputError
        Also where it is on another chromosome.
    """
    given, start, end = parse_place(text if ":" in text else f"{chrom}:{text}")
    if given != chrom:
        raise InputError(f"'{text}' isn't on {chrom}, which is drawn")
    return start, end


def find_place(reader: ArchiveReader, text: str, genes: str | None = None) -> tuple[str, int, int]:
    """Find what is to be drawn: a place, a window of the archive, a gene or a whole chromosome.

    The first of these that there is: coordinates on a chromosome of the archive; a window of this name; a
    gene; a chromosome, as the record of a FASTA file is.

    Parameters
    ----------
    reader : ArchiveReader
    text : str
    genes : str, optional
        A GTF or BED12, of which names count whatever their case.

    Returns
    -------
    chrom : str
    start, end : int
        0-based half-open, on the chromosome.

    Raises
    ------
    InputError
        If there is no such place, with names that are like it, or several.
    """
    found = _PLACE.fullmatch(text.strip())
    if found is not None and found["chrom"] in reader.chrom_sizes:
        return parse_place(text)
    if places := _windows_called(reader, text) or _genes_called(reader, text, genes):
        if len(places) > 1:
            shown = ", ".join(f"{chrom}:{start + 1}-{end}" for chrom, start, end in places[:_NEAR])
            raise InputError(f"'{text}' is the name of {len(places)} places: {shown}; give one of these")
        return places[0][0], *_drawable(text, *places[0][1:])
    if text in reader.chrom_sizes:
        return text, *_drawable(text, 0, reader.chrom_sizes[text])
    if found is not None:
        return parse_place(text)
    names, what = window_names(reader), "a window"
    if genes is not None:
        names, what = chain(feature_names(genes), names), "a window or a gene"
    raise InputError(
        f"'{text}' isn't a place of {reader.path}; write chrom:start-end, as in chr2R:15,007,100-15,007,200,"
        f" or the name of {what}{near_names(text, names)}"
    )


def window_names(reader: ArchiveReader) -> Iterable[str]:
    """Give the names of all windows, in order."""
    for rows in reader.chunks(_AT_ONCE):
        yield from reader.names(rows)


def near_names(text: str, names: Iterable[str]) -> str:
    """Say which names are like a text, for a message; nothing where none is."""
    part = text.casefold()
    contained: list[str] = []
    others: dict[str, str] = {}
    for name in names:
        other = name.casefold()
        if part in other or (other and other in part):
            contained.append(name)
        elif len(others) < _COMPARED:
            others.setdefault(other, name)
        if len(contained) == _NEAR:
            break
    like = [others[other] for other in get_close_matches(part, others, _NEAR)]
    near = list(dict.fromkeys([*contained, *like]))[:_NEAR]
    return f"; near are {', '.join(near)}" if near else ""


def _windows_called(reader: ArchiveReader, name: str) -> list[tuple[str, int, int]]:
    """Find the windows of a name, each place once, cut at the chromosome's ends."""
    at, chroms = reader.coordinates, list(reader.chrom_sizes)
    places: dict[tuple[str, int, int], None] = {}
    for rows in reader.chunks(_AT_ONCE):
        for i, other in enumerate(reader.names(rows), rows.start):
            if other == name:
                chrom = chroms[at.chrom[i]]
                end = min(int(at.end[i]), reader.chrom_sizes[chrom])
                places[chrom, max(int(at.start[i]), 0), end] = None
    return list(places)


def _genes_called(reader: ArchiveReader, name: str, genes: str | None) -> list[tuple[str, int, int]]:
    """Find the genes of a name on chromosomes of the archive.

    Raises
    ------
    InputError
        If all are on other chromosomes.
    """
    found = read_features(genes, name=name) if genes is not None else []
    places = list(dict.fromkeys((g.chrom, g.start, g.end) for g in found if g.chrom in reader.chrom_sizes))
    if found and not places:
        raise InputError(f"{name} is on '{found[0].chrom}', and {reader.path} has no such chromosome")
    return places


def _drawable(text: str, start: int, end: int) -> tuple[int, int]:
    if end - start > LONGEST:
        raise InputError(f"'{text}' is {end - start:,} bp; at most {LONGEST:,} can be drawn")
    return start, end


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
    for row, contributions in _maps(reader, rows, target):
        first, last = max(start, int(at.start[row])), min(end, int(at.end[row]))
        away = np.abs(np.arange(first, last) + 0.5 - (at.start[row] + at.end[row]) / 2)
        here = slice(first - start, last - start)
        nearer = away < distance[here]
        distance[here][nearer] = away[nearer]
        values[here][nearer] = contributions[first - at.start[row] : last - at.start[row]][nearer]
    return Stretch(chrom, start, end, values)


def _maps(
    reader: ArchiveReader, rows: npt.NDArray[np.intp], target: int
) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Read the contributions of windows, shape (L, 4), in batches that stay small."""
    size = max(1, _BATCH_BYTES // (64 * reader.window_length))
    for first in range(0, len(rows), size):
        batch = rows[first : first + size]
        one_hot, hypothetical = reader.read(batch, target)
        maps = np.where(one_hot != 0, hypothetical.astype(np.float64), 0).swapaxes(1, 2)
        yield from zip(batch.tolist(), maps, strict=True)


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
