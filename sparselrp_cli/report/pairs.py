"""Which motifs stand in the same windows, and how far apart, against shuffled labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.archive.rows import Doubles
from sparselrp_cli.report.hits import WindowHits

PERMUTATIONS, SEED = 1000, 0
# The motifs of most hits: what a page can show, and what is permuted in a second.
MOST_MOTIFS = 12
# Shown, the least likely first.
MOST_PAIRS = 12
# Fewer shared windows say nothing of a distance, and more aren't needed for its median.
LEAST_SHARED, MOST_SHARED = 5, 1000
BINS = 41

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two motifs, and what chance gives.

    Attributes
    ----------
    one, other : int
        Indices of the motifs.
    windows : int
        That hold both.
    expected : float
        Mean of the permutations.
    p_more, p_fewer : float
        Share of permutations with at least, at most, as many; the observed one counts as a permutation.
    distances : ndarray of float64, shape (windows,)
        From the middle of the strongest hit of one to that of the other, in bp.
    distance, expected_distance, p_closer : float or None
        Median magnitude; None below `LEAST_SHARED` windows.
    """

    one: int
    other: int
    windows: int
    expected: float
    p_more: float
    p_fewer: float
    distances: Doubles
    distance: float | None
    expected_distance: float | None
    p_closer: float | None


def pairs_of(found: WindowHits, n_windows: int) -> list[Pair]:
    """Compare pairs of motifs with what windows whose labels are shuffled give, the least likely first.

    Which windows hold the one motif stays as it is, and which hold the other is drawn anew among all of the
    run, as often as it was. So the null is that a window's motifs know nothing of each other. It is refused
    also where windows differ in kind: in strength, in length of open chromatin, in composition.
    """
    chosen = np.argsort(-np.bincount(found.motif, minlength=len(found.motifs)), kind="stable")[:MOST_MOTIFS]
    chosen = np.sort(chosen[np.isin(chosen, found.motif)])
    if len(chosen) < 2:
        return []
    place = _strongest(found, chosen, n_windows)
    held = (~np.isnan(place)).astype(np.float32)
    observed = held.T @ held
    more, fewer, total = np.ones_like(observed), np.ones_like(observed), np.zeros_like(observed)
    for drawn in _permuted(held):
        count = held.T @ drawn
        more += count >= observed
        fewer += count <= observed
        total += count
    # Where many are as unlikely as can be told, the one furthest from chance comes first.
    unlikely, far = np.minimum(more, fewer), np.abs(observed - total / PERMUTATIONS)
    order = sorted(combinations(range(len(chosen)), 2), key=lambda pair: (unlikely[pair], -far[pair]))
    pairs = []
    for a, b in order[:MOST_PAIRS]:
        both = place[:, [a, b]][~np.isnan(place[:, a] + place[:, b])]
        pairs.append(
            Pair(
                int(chosen[a]), int(chosen[b]), len(both), float(total[a, b] / PERMUTATIONS),
                float(more[a, b] / (PERMUTATIONS + 1)), float(fewer[a, b] / (PERMUTATIONS + 1)),
                both[:, 1] - both[:, 0], *_spacing(both),
            )
        )  # fmt: skip
    return pairs


def positions(found: WindowHits, motif: int, length: int) -> Doubles:
    """Count a motif's hits by the distance of their middles from the window's centre, in `BINS` bins."""
    centres = found.centre[found.motif == motif]
    return np.histogram(centres, bins=BINS, range=(-length / 2, length / 2))[0].astype(np.float64)


def _strongest(found: WindowHits, chosen: npt.NDArray[np.int64], n_windows: int) -> Doubles:
    """Give where the strongest hit of each motif lies in each window, shape (N, M); NaN without one."""
    place = np.full((n_windows, len(chosen)), np.nan)
    strength = np.abs(np.array([hit.relevance for hit in found.hits], np.float64))
    order = np.argsort(strength, kind="stable")
    for column, motif in enumerate(chosen):
        of_motif = order[found.motif[order] == motif]
        # Of values written to one place the last one stays, which is the strongest.
        place[found.row[of_motif], column] = found.centre[of_motif]
    return place


def _permuted(held: Matrix) -> Iterator[Matrix]:
    generator = np.random.default_rng(SEED)
    for _ in range(PERMUTATIONS):
        yield held[generator.permutation(len(held))]


def _spacing(both: Doubles) -> tuple[float | None, float | None, float | None]:
    """Compare the median distance with that of places in windows that are shuffled among each other."""
    if len(both) < LEAST_SHARED:
        return None, None, None
    both = both[:: -(-len(both) // MOST_SHARED)]
    observed = float(np.median(np.abs(both[:, 1] - both[:, 0])))
    generator = np.random.default_rng(SEED)
    others = generator.permuted(np.tile(both[:, 1], (PERMUTATIONS, 1)), axis=1)
    medians = np.median(np.abs(others - both[:, 0]), axis=1)
    closer = (1 + int((medians <= observed).sum())) / (PERMUTATIONS + 1)
    return observed, float(medians.mean()), closer
