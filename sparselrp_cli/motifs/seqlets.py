"""Seqlets: stretches whose relevance is more than chance gives."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.motifs.null import Null, q_values
from sparselrp_cli.motifs.segments import maximal_segments
from sparselrp_cli.outputs.archive.maps import WindowMaps

# Two seqlets of overlapping windows are one if they share this much of the shorter.
SAME = 0.5


@dataclass(frozen=True, eq=False)
class Seqlets:
    """Seqlets of one sign, best first.

    Attributes
    ----------
    sign : int
        1 or -1.
    row : ndarray of int64, shape (n,)
        The window, as row of the archive.
    start, end : ndarray of int64, shape (n,)
        In the window, 0-based half-open, bp.
    centre : ndarray of int64, shape (n,)
        Position in the window where the relevance has its centre of mass.
    relevance : ndarray of float64, shape (n,)
        Sum of the contributions.
    p, q : ndarray of float64, shape (n,)
    """

    sign: int
    row: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    centre: npt.NDArray[np.int64]
    relevance: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    q: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, kept: slice | npt.NDArray[Any]) -> "Seqlets":
        """Give some of the seqlets, by mask, number or slice."""
        return replace(
            self,
            row=self.row[kept],
            start=self.start[kept],
            end=self.end[kept],
            centre=self.centre[kept],
            relevance=self.relevance[kept],
            p=self.p[kept],
            q=self.q[kept],
        )


def call_seqlets(reader: WindowMaps, null: Null, sign: int, *, target: int = 0, fdr: float = 0.05) -> Seqlets:
    """Call seqlets: maximal-scoring segments of contribution less drift that the null hardly gives.

    Every segment of every window is tested; where windows overlap, the better of two seqlets at one place is
    kept. Memory grows with the number of seqlets called, not with the windows.

    Parameters
    ----------
    reader : WindowMaps
    null : Null
    sign : int
        1 for positive relevance, -1 for negative.
    target : int
    fdr : float
        The largest q-value of a seqlet.

    Returns
    -------
    Seqlets
    """
    parts: list[npt.NDArray[np.float64]] = []
    tested = 0
    for rows in reader.chunks():
        contributions = reader.contributions(rows, target).astype(np.float64)
        for row, values in enumerate(contributions, rows.start):
            starts, ends, scores = maximal_segments(sign * values - null.drift)
            tested += len(scores)
            p = null.p_values(scores)
            # A q-value is never less than its p-value.
            for i in np.flatnonzero(p <= fdr):
                inside = values[starts[i] : ends[i]]
                centre = starts[i] + _centre_of_mass(inside)
                parts.append(np.array([row, starts[i], ends[i], centre, inside.sum(), p[i], scores[i]]))
    table = np.stack(parts) if parts else np.empty((0, 7))
    q = q_values(table[:, 5], tested)
    table, q = table[q <= fdr], q[q <= fdr]
    order = np.lexsort((table[:, 1], table[:, 0], -table[:, 6]))
    table = table[order]
    row, start, end, centre = table[:, :4].astype(np.int64).T
    found = Seqlets(sign, row, start, end, centre, table[:, 4], table[:, 5], q[order])
    return found.take(_not_repeated(reader, found))


def _centre_of_mass(values: npt.NDArray[np.float64]) -> int:
    weights = np.abs(values)
    return int((weights * np.arange(len(values))).sum() / weights.sum() + 0.5)


def _not_repeated(reader: WindowMaps, seqlets: Seqlets) -> npt.NDArray[np.bool_]:
    """Mark the best of those that lie at one place of the genome in several windows."""
    at = reader.coordinates
    chrom = at.chrom[seqlets.row]
    start, end = (at.start[seqlets.row] + x for x in (seqlets.start, seqlets.end))
    kept = np.ones(len(seqlets), dtype=bool)
    by_place: dict[tuple[int, int], list[int]] = {}
    bin_size = max(1, int((end - start).max(initial=1)))
    for i in range(len(seqlets)):
        place = int(start[i]) // bin_size
        near = [j for k in (-1, 0, 1) for j in by_place.get((int(chrom[i]), place + k), [])]
        for j in near:
            shared = min(end[i], end[j]) - max(start[i], start[j])
            if shared >= SAME * min(end[i] - start[i], end[j] - start[j]):
                kept[i] = False
                break
        else:
            by_place.setdefault((int(chrom[i]), place), []).append(i)
    return kept
