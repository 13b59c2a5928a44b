"""The relevance of the alternative allele less that of the reference, on the reference's bases."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.archive.reader import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Coordinates, Doubles, Reals, Rows
from sparselrp_cli.sequences.windows import Window


@dataclass(frozen=True, slots=True)
class Change:
    """What a variant does to its window.

    Attributes
    ----------
    at : int
        The first base that differs, counted from the window's start.
    removed, inserted : int
        How many bases the alternative takes away there, and how many it puts in their place.
    """

    at: int
    removed: int
    inserted: int


class Differences:
    """A reader of differences, window by window, that a track can be made from.

    Parameters
    ----------
    ref, alt : ArchiveReader
        The same windows with either allele.
    changes : sequence of Change
        One for each window.
    """

    def __init__(self, ref: ArchiveReader, alt: ArchiveReader, changes: Sequence[Change]) -> None:
        self.ref, self.alt, self.changes = ref, alt, changes

    @property
    def path(self) -> Path:
        return self.alt.path

    @property
    def window_length(self) -> int:
        return self.ref.window_length

    @property
    def chrom_sizes(self) -> dict[str, int]:
        return self.ref.chrom_sizes

    @property
    def coordinates(self) -> Coordinates:
        return self.ref.coordinates

    def windows(self, rows: Rows) -> list[Window]:
        return self.ref.windows(rows)

    def contributions(self, rows: Rows, target: int = 0) -> Reals:
        """Give alternative less reference, shape (n, L), see `difference`."""
        ref = self.ref.contributions(rows, target).astype(np.float64)
        alt = self.alt.contributions(rows, target).astype(np.float64)
        numbers = np.arange(len(self.changes))[rows]
        found = [difference(r, a, self.changes[n]) for r, a, n in zip(ref, alt, numbers, strict=True)]
        return np.stack(found) if found else ref

    def contribution_sd(self, rows: Rows, target: int = 0) -> Reals:
        raise NotImplementedError("differences have no spread")


def difference(ref: npt.ArrayLike, alt: npt.ArrayLike, change: Change) -> Doubles:
    """Lay the alternative's relevance on the reference's bases and take the reference's away.

    Bases behind the variant are compared with themselves, wherever the alternative has moved them. A base
    that the alternative takes away has no relevance there. What it inserts is added to the last base in front
    of the insertion (at the window's start, to the first behind it). Bases that it pushes out of the window
    have difference 0.

    Parameters
    ----------
    ref, alt : array_like, shape (L,)
    change : Change

    Returns
    -------
    ndarray of float64, shape (L,)
    """
    before, after = np.asarray(ref, np.float64), np.asarray(alt, np.float64)
    at, removed, inserted = change.at, change.removed, change.inserted
    paired = min(removed, inserted)
    laid = np.zeros_like(before)
    laid[: at + paired] = after[: at + paired]
    behind = after[at + inserted :][: len(before) - at - removed]
    laid[at + removed : at + removed + len(behind)] = behind
    seen = at + removed + len(behind)
    laid[seen:] = before[seen:]
    laid[max(at + paired - 1, 0)] += after[at + paired : at + inserted].sum()
    return laid - before
