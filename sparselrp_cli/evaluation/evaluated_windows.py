"""The windows of an evaluation, which every method is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.evaluation.site_metrics import Sites
from sparselrp_cli.evaluation.sites import SiteSource
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.sequences.one_hot import reverse_complement

AT_ONCE = 32

OneHot = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.floating]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedWindows:
    """Some windows of the first archive.

    Attributes
    ----------
    rows : ndarray of int, shape (n,)
        Their numbers in the archive.
    one_hot : ndarray of uint8, shape (n, 4, L)
        On the forward strand.
    reverse : ndarray of bool, shape (n,)
        Whether the model reads the reverse complement.
    forward_sites : list of Sites or None
        On the forward strand.
    marked : ndarray of uint8, shape (n, L), or None
        On the forward strand, 1 where a base lies in a block of its region, where the target reads these.
    """

    rows: npt.NDArray[np.intp]
    one_hot: OneHot
    reverse: npt.NDArray[np.bool_]
    forward_sites: list[Sites] | None
    marked: npt.NDArray[np.uint8] | None = None

    @property
    def seen(self) -> OneHot:
        """The windows as the model reads them, shape (n, 4, L)."""
        return self.as_read(self.one_hot)

    @property
    def seen_marks(self) -> npt.NDArray[np.uint8] | None:
        """The blocks as the model reads them, shape (n, L)."""
        if self.marked is None:
            return None
        turned: npt.NDArray[np.uint8] = np.where(
            self.reverse[:, np.newaxis], self.marked[:, ::-1], self.marked
        )
        return turned

    @property
    def sites(self) -> list[Sites] | None:
        """The sites as the model reads them."""
        if self.forward_sites is None:
            return None
        pairs = zip(self.forward_sites, self.reverse, strict=True)
        return [sites.reverse() if reverse else sites for sites, reverse in pairs]

    def as_read(self, maps: npt.NDArray[Number]) -> npt.NDArray[Number]:
        """Turn maps (n, 4, L) from the forward strand to what the model reads, or back."""
        turned: npt.NDArray[Number] = np.where(
            self.reverse[:, np.newaxis, np.newaxis], reverse_complement(maps), maps
        )
        return turned


def choose_windows(
    reader: ArchiveReader, target: int, sites: SiteSource | None, min_score: float | None, most: int | None
) -> npt.NDArray[np.intp]:
    """Number the windows that score more than `min_score` and hold a site, evenly thinned out.

    Raises
    ------
    InputError
        If there is none.
    """
    score = reader.column("score", target)
    fits = np.ones(len(score), bool) if min_score is None else score > min_score
    if sites is not None:
        for rows in reader.chunks():
            fits[rows] &= [found.mask.any() for found in sites(reader, rows)]
    chosen = np.flatnonzero(fits)
    if not len(chosen):
        raise InputError("no window holds a site and scores enough; nothing to evaluate")
    return chosen[evenly(len(chosen), most)]


def evenly(n: int, most: int | None) -> npt.NDArray[np.intp]:
    """Choose at most so many of n, evenly from all."""
    chosen = n if most is None else min(most, n)
    return np.arange(chosen) * n // chosen


def batches(
    reader: ArchiveReader, chosen: npt.NDArray[np.intp], sites: SiteSource | None
) -> Iterator[EvaluatedWindows]:
    """Read the chosen windows, a few at a time."""
    for first in range(0, len(chosen), AT_ONCE):
        rows = chosen[first : first + AT_ONCE]
        one_hot, _ = reader.read(rows)
        reverse = np.array([window.strand == "-" for window in reader.windows(rows)])
        found = None if sites is None else sites(reader, rows)
        marked = reader.blocks(rows) if reader.has_blocks else None
        yield EvaluatedWindows(rows, one_hot, reverse, found, marked)
