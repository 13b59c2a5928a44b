"""Hits of motifs in the runs' windows: how many each run has, and what it gives to the places of all."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparselrp_cli.comparison.matching import Doubles, Indices, Shared
from sparselrp_cli.comparison.members import Member
from sparselrp_cli.files.belonging import is_made_of, listed, read_record, why_not
from sparselrp_cli.files.digest import sha256
from sparselrp_cli.sequences.features import read_features

logger = logging.getLogger("sparselrp")

_OWN_NAME = re.compile(r"(pos|neg)_\d+")
"""How `motifs` calls a motif that no database names: only within its run."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Places of motifs in the shared windows, in the order of these.

    Attributes
    ----------
    motif : tuple of str
        Of each place.
    window : ndarray of int, shape (n,)
        Which shared window it lies in; of several the one whose centre is nearest.
    start, end : ndarray of int, shape (n,)
        Counted from the start of the window's shared part.
    hits : tuple of mapping or None
        For each run, how many hits of each motif it has in shared windows; None where none were looked for.
    """

    motif: tuple[str, ...]
    window: Indices
    start: Indices
    end: Indices
    hits: tuple[Mapping[str, int] | None, ...]

    def count(self, run: int, motif: str) -> int | None:
        """Say how many hits of a motif a run has; None where none were looked for."""
        known = self.hits[run]
        return None if known is None else known.get(motif, 0)


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    motif: str
    chrom: str
    start: int
    end: int
    member: int


def find_sites(members: Sequence[Member], shared: Shared, files: Sequence[str]) -> Sites | None:
    """Read hits of motifs, and lay them over the shared windows.

    Hits of the same motif that overlap, of one run or of several, are one place. A motif without a known
    name counts for its own run alone, and is called by its label.

    Parameters
    ----------
    members : sequence of Member
    shared : Shared
    files : sequence of str
        Of hits, for each run; where there are none, those beside the archives are taken that are of them.

    Returns
    -------
    Sites or None
        None where no run has hits.

    Raises
    ------
    InputError
    """
    paths: Sequence[str | None] = files or [_beside(member.reader.path) for member in members]
    if not any(paths):
        return None
    if missing := [m.label for m, path in zip(members, paths, strict=True) if path is None]:
        logger.warning("%s: no hits of motifs beside the archive; run `sparselrp motifs`", ", ".join(missing))
    places = [
        place
        for number, path in enumerate(paths)
        if path is not None
        for place in _hits(path, members[number].label, number)
    ]
    return _laid(places, members[0], shared, [path is not None for path in paths])


def sums(values: Doubles, sites: Sites, block: slice) -> Doubles:
    """Sum contributions over the places in some windows, in their order.

    Parameters
    ----------
    values : ndarray of float64, shape (n, length)
        Of the shared windows of `block`.
    sites : Sites
    block : slice
    """
    first, last = np.searchsorted(sites.window, [block.start, block.stop])
    window = sites.window[first:last] - block.start
    total = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
    found: Doubles = total[window, sites.end[first:last]] - total[window, sites.start[first:last]]
    return found


def _beside(archive: Path) -> str | None:
    """Find ``PREFIX.hits.bed``, if it is of the archive."""
    beginning = f"{archive.stem}."
    hits = archive.with_name(f"{beginning}hits.bed")
    if not hits.is_file():
        return None
    record = read_record(archive.with_name(f"{beginning}motifs.json"))
    if not is_made_of(record, sha256(archive)) or why_not(hits, listed(record, beginning)):
        logger.warning("%s isn't of %s, and left out; run `sparselrp motifs` again", hits, archive)
        return None
    return str(hits)


def _hits(path: str, label: str, number: int) -> Iterator[_Place]:
    for hit in read_features(path):
        name = f"{label}:{hit.name}" if _OWN_NAME.fullmatch(hit.name) else hit.name
        yield _Place(name, hit.chrom, hit.start, hit.end, number)


def _laid(places: Iterable[_Place], member: Member, shared: Shared, looked: Sequence[bool]) -> Sites:
    """Lay hits over windows, count them, and join those that overlap."""
    windows = _Windows(member, shared)
    counts: list[Counter[str]] = [Counter() for _ in looked]
    joined: list[tuple[int, int, int, str]] = []
    before: tuple[str, int] | None = None
    for place in sorted(places):
        window = windows.over(place)
        if window is None:
            continue
        counts[place.member][place.motif] += 1
        start, end = (position - windows.start[window] for position in (place.start, place.end))
        if before == (place.motif, window) and start < joined[-1][2]:
            _, first, last, _ = joined.pop()
            start, end = first, max(last, end)
        joined.append((window, int(start), int(end), place.motif))
        before = place.motif, window
    joined.sort()
    columns = [np.array([entry[i] for entry in joined], np.intp) for i in range(3)]
    hits = tuple(count if known else None for count, known in zip(counts, looked, strict=True))
    return Sites(tuple(entry[3] for entry in joined), columns[0], columns[1], columns[2], hits)


class _Windows:
    """The shared windows, to be found by place."""

    def __init__(self, member: Member, shared: Shared) -> None:
        at, rows = member.reader.coordinates, shared.rows[0]
        self.length = shared.length
        self.start = at.start[rows] + shared.start[0]
        chrom = at.chrom[rows]
        names = list(member.reader.chrom_sizes)
        bounds = np.searchsorted(chrom, np.arange(len(names) + 1))
        self._of_chrom = {name: (int(bounds[i]), int(bounds[i + 1])) for i, name in enumerate(names)}

    def over(self, place: _Place) -> int | None:
        """Find the window around a place whose centre is nearest; None where none holds all of it."""
        first, last = self._of_chrom.get(place.chrom, (0, 0))
        if first == last:
            return None
        # Twice the distance of the middles, to stay whole.
        middle = place.start + place.end - self.length
        after = first + int(np.searchsorted(2 * self.start[first:last], middle))
        near = [i for i in (after - 1, after) if first <= i < last]
        best = min(near, key=lambda i: abs(2 * int(self.start[i]) - middle))
        inside = self.start[best] <= place.start and place.end <= self.start[best] + self.length
        return best if inside else None
