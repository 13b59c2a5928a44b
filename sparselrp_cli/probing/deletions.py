"""Hits taken out of the windows they lie in."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from sparselrp_cli.probing.asking import Asked
from sparselrp_cli.probing.backgrounds import seen
from sparselrp_cli.probing.inserts import reordered
from sparselrp_cli.probing.kept import Kept
from sparselrp_cli.sequences.one_hot import OneHot, reverse_complement
from sparselrp_cli.sequences.regions import Region, read_regions
from sparselrp_cli.sequences.source import Batch, WindowSource
from sparselrp_cli.sequences.windows import Window

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Deletion:
    """A hit whose bases were put in other orders, in one window, for T targets.

    Attributes
    ----------
    hit : Region
    window : Window
    score : ndarray of float64, shape (T,)
        Of the window as it is.
    relevance : ndarray of float64, shape (T,)
        Sum of the contributions of the hit.
    effects : ndarray of float64, shape (T, D)
        What each draw adds to the score.
    """

    hit: Region
    window: Window
    score: Doubles
    relevance: Doubles
    effects: Doubles


class Hits:
    """Hits of a BED, by chromosome and place.

    Parameters
    ----------
    path : str

    Raises
    ------
    InputError
    """

    def __init__(self, path: str) -> None:
        by_chrom: dict[str, list[Region]] = {}
        for region in read_regions(path):
            by_chrom.setdefault(region.chrom, []).append(region)
        self._hits = {c: sorted(h, key=lambda r: (r.start, r.end, r.name)) for c, h in by_chrom.items()}
        self._starts = {c: [hit.start for hit in hits] for c, hits in self._hits.items()}

    def inside(self, window: Window) -> list[Region]:
        """Give the hits that lie in a window as a whole."""
        hits, starts = self._hits.get(window.chrom, []), self._starts.get(window.chrom, [])
        near = hits[bisect_left(starts, window.start) : bisect_left(starts, window.end)]
        return [hit for hit in near if hit.end <= window.end]


def delete(
    hits: Hits, source: WindowSource, asked: Asked, kept: Kept, draws: int, seed: int
) -> Iterator[Deletion]:
    """Take every hit out of each window that holds the whole of it, others left in.

    Parameters
    ----------
    hits : Hits
    source : WindowSource
    asked : Asked
    kept : Kept
        One step for each window with a hit.
    draws : int
        Orders of the hit's bases.
    seed : int
        Of the orders.
    """
    for batch in source.batches(1):
        for row, window in enumerate(batch.windows):
            if here := hits.inside(window):
                numbers = kept.numbers(partial(_numbers, batch, row, here, asked, draws, seed))
                for n, hit in enumerate(here):
                    score, relevance, effects = numbers[n, :, 0], numbers[n, :, 1], numbers[n, :, 2:]
                    yield Deletion(hit, window, score, relevance, effects)


def _numbers(batch: Batch, row: int, hits: Sequence[Region], asked: Asked, draws: int, seed: int) -> Doubles:
    """Give the score, the relevance and the effects of each hit of a window: shape (H, T, 2 + D)."""
    window, forward = batch.windows[row], batch.one_hot[row]
    as_read = seen(batch, row)[np.newaxis]
    score = asked.scores(as_read)[:, 0]
    contributions = asked.contributions(as_read)[:, 0]
    if window.strand == "-":
        contributions = contributions[:, ::-1]
    found = []
    for hit in hits:
        place = slice(hit.start - window.start, hit.end - window.start)
        changed = _without(forward, place, draws, [seed, hit.line])
        if window.strand == "-":
            changed = reverse_complement(changed)
        effects = asked.scores(changed) - score[:, np.newaxis]
        relevance = contributions[:, place].sum(axis=1)
        found.append(np.column_stack([score, relevance, effects]))
    return np.stack(found)


def _without(one_hot: OneHot, place: slice, draws: int, key: Sequence[int]) -> OneHot:
    """Give copies of a window with the bases of a place in other orders: shape (draws, 4, L)."""
    rng = np.random.Generator(np.random.Philox(key=list(key)))
    copies = np.repeat(one_hot[np.newaxis], draws, axis=0)
    for copy in copies:
        copy[:, place] = reordered(one_hot[:, place], rng)
    return copies
