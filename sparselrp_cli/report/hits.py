"""The hits of motifs in the windows: which lie in which, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Doubles
from sparselrp_cli.report.drawing import Span

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Hit:
    """A line of ``PREFIX.hits.bed``.

    Attributes
    ----------
    start, end : int
        On the chromosome, 0-based half-open.
    name : str
        Of the known motif, or the motif's own.
    strand : str
    relevance : float
        Sum of the contributions.
    motif : str
        The motif's own name.
    """

    start: int
    end: int
    name: str
    strand: str
    relevance: float
    motif: str

    @property
    def label(self) -> str:
        return f"{self.name} {self.strand}"

    def span(self, shift: int, first: int, last: int) -> Span:
        """Give what of it lies between two positions, shifted to the axis of a figure."""
        return Span(max(self.start, first) + shift, min(self.end, last) + shift, self.label)


@dataclass(frozen=True, eq=False)
class WindowHits:
    """Hits by the windows they touch; one in two windows is there twice.

    Attributes
    ----------
    row : ndarray of int, shape (H,)
        The window, in increasing order.
    motif : ndarray of int, shape (H,)
        Index into `motifs`.
    hits : sequence of Hit, length H
    motifs : sequence of str
        The motifs' own names.
    centre : ndarray of float64, shape (H,)
        Distance of a hit's middle from the window's centre, in bp.
    """

    row: Integers
    motif: Integers
    hits: Sequence[Hit]
    motifs: Sequence[str]
    centre: Doubles


def read_hits(path: Path) -> dict[str, list[Hit]]:
    """Read ``PREFIX.hits.bed``, by chromosome; nothing where it isn't there.

    Raises
    ------
    InputError
        If a line isn't as `motifs` writes it.
    """
    found: dict[str, list[Hit]] = {}
    if not path.is_file():
        return found
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            fields = line.rstrip("\n").split("\t")
            try:
                hit = Hit(int(fields[1]), int(fields[2]), fields[3], fields[5], float(fields[9]), fields[13])
            except (IndexError, ValueError) as error:
                raise InputError(f"{path} line {number}: not as `sparselrp motifs` writes it") from error
            found.setdefault(fields[0], []).append(hit)
    return found


def hits_of_windows(reader: ArchiveReader, hits: dict[str, list[Hit]], motifs: Sequence[str]) -> WindowHits:
    """Find which hits touch which windows."""
    at, number = reader.coordinates, {name: i for i, name in enumerate(motifs)}
    pairs: list[tuple[int, Hit]] = []
    for chrom, name in enumerate(reader.chrom_sizes):
        here = np.flatnonzero(at.chrom == chrom)
        there = sorted((h for h in hits.get(name, []) if h.motif in number), key=lambda h: h.start)
        if not len(here) or not there:
            continue
        starts = np.array([hit.start for hit in there])
        # The widest hit bounds how far before a window a hit that touches it can begin.
        widest = max(hit.end - hit.start for hit in there)
        firsts = np.searchsorted(starts, at.start[here] - widest)
        lasts = np.searchsorted(starts, at.end[here])
        for row, first, last in zip(here.tolist(), firsts.tolist(), lasts.tolist(), strict=True):
            pairs += [(row, hit) for hit in there[first:last] if hit.end > at.start[row]]
    pairs.sort(key=lambda pair: pair[0])
    rows = np.array([pair[0] for pair in pairs], np.int64)
    found = [hit for _, hit in pairs]
    middle = np.array([(hit.start + hit.end) / 2 for hit in found], np.float64)
    centre = middle - (at.start[rows] + at.end[rows]) / 2
    return WindowHits(rows, np.array([number[h.motif] for h in found], np.int64), found, motifs, centre)


def nearest_distances(reader: ArchiveReader, hits: dict[str, list[Hit]]) -> Doubles:
    """Give the distance in bp of every hit's middle from the centre of the nearest window."""
    at = reader.coordinates
    distances = []
    for chrom, name in enumerate(reader.chrom_sizes):
        here = at.chrom == chrom
        centres = np.sort((at.start[here] + at.end[here]) / 2)
        if not len(centres) or name not in hits:
            continue
        middles = np.array([(hit.start + hit.end) / 2 for hit in hits[name]])
        after = np.clip(np.searchsorted(centres, middles), 1, max(1, len(centres) - 1))
        pair = np.stack([centres[after - 1], centres[np.minimum(after, len(centres) - 1)]])
        away = middles - pair
        distances.append(away[np.abs(away).argmin(axis=0), np.arange(len(middles))])
    return np.concatenate(distances) if distances else np.empty(0)
