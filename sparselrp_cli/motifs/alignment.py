"""Aligning seqlets with a motif, and motifs with each other, on both strands."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

# Pseudocount of a base in a column, as in JASPAR's log-odds.
PSEUDOCOUNT = 0.5
# Least overlap of two motifs, in bp, and in share of the narrower.
LEAST_OVERLAP = 6
LEAST_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class Context:
    """What surrounds every seqlet: zero beyond its window.

    Attributes
    ----------
    one_hot, hypothetical : ndarray of float32, shape (n, W, 4)
        The centre of the seqlet is at ``W // 2``; W is odd.
    """

    one_hot: npt.NDArray[np.float32]
    hypothetical: npt.NDArray[np.float32]

    @property
    def contributions(self) -> npt.NDArray[np.float32]:
        """Contributions of the observed bases, shape (n, W, 4)."""
        return self.one_hot * self.hypothetical

    @property
    def middle(self) -> int:
        """Where the centres of the seqlets are."""
        return int(self.one_hot.shape[1]) // 2


@dataclass(frozen=True, eq=False)
class Instances:
    """Where the instances of a motif lie in the contexts.

    Attributes
    ----------
    index : ndarray of int64, shape (k,)
        Which seqlet.
    start : ndarray of int64, shape (k,)
        Leftmost base in the context, forward.
    reverse : ndarray of bool, shape (k,)
    width : int
        In bp.
    """

    index: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    reverse: npt.NDArray[np.bool_]
    width: int

    def cut(self, maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Cut the instances out of maps (n, W, 4), in the motif's orientation: shape (k, width, 4)."""
        at = self.start[:, np.newaxis] + np.arange(self.width)
        inside = (at >= 0) & (at < maps.shape[1])
        found = maps[self.index[:, np.newaxis], np.clip(at, 0, maps.shape[1] - 1)]
        found = np.where(inside[:, :, np.newaxis], found, 0)
        found[self.reverse] = found[self.reverse, ::-1, ::-1]
        return found

    def window(self, start: int, end: int) -> "Instances":
        """Give the part of the motif from `start` to `end`; beyond its ends it is longer."""
        shift = np.where(self.reverse, self.width - end, start)
        return replace(self, start=self.start + shift, width=end - start)

    def flipped(self) -> "Instances":
        """Give the same instances of the reverse complement."""
        return replace(self, reverse=~self.reverse)

    def take(self, kept: npt.NDArray[Any]) -> "Instances":
        """Give some of the instances."""
        return replace(self, index=self.index[kept], start=self.start[kept], reverse=self.reverse[kept])

    def with_those_of(self, other: "Instances") -> "Instances":
        """Give both; of a seqlet that is in both, ours."""
        new = ~np.isin(other.index, self.index)
        return replace(
            self,
            index=np.concatenate([self.index, other.index[new]]),
            start=np.concatenate([self.start, other.start[new]]),
            reverse=np.concatenate([self.reverse, other.reverse[new]]),
        )


def frequencies(counts: Floats) -> Floats:
    """Give counts (w, 4) as frequencies with a pseudocount."""
    with_pseudo: Floats = counts + PSEUDOCOUNT
    given: Floats = with_pseudo / with_pseudo.sum(axis=1, keepdims=True)
    return given


def information(counts: Floats) -> Floats:
    """Give the information of each column in bits, uniform background: shape (w,)."""
    f = frequencies(counts)
    bits: Floats = 2 + (f * np.log2(f)).sum(axis=1)
    return bits


def best_alignment(a: Floats, b: Floats) -> tuple[float, int, bool]:
    """Find the offset and strand at which two motifs agree best.

    Columns are frequencies less the background, weighted with their information; agreement is their cosine
    over the columns that overlap, times the share of both motifs' weight that lies there.

    Parameters
    ----------
    a, b : ndarray, shape (w, 4)
        Counts.

    Returns
    -------
    agreement : float
        At most 1.
    offset : int
        Column of `a` at which `b`, or its reverse complement, begins; may be negative.
    reverse : bool
    """
    x = _weighted(a)
    best = (-1.0, 0, False)
    least = max(LEAST_OVERLAP, int(np.ceil(LEAST_SHARE * min(len(a), len(b)))))
    for reverse in (False, True):
        y = _weighted(b[::-1, ::-1] if reverse else b)
        for offset in range(least - len(y), len(x) - least + 1):
            first, last = max(0, offset), min(len(x), offset + len(y))
            part, other = x[first:last], y[first - offset : last - offset]
            shared = float((part * other).sum())
            agreement = shared / max(np.sqrt((x * x).sum() * (y * y).sum()), 1e-12)
            if agreement > best[0]:
                best = (agreement, offset, reverse)
    return best


def realign(
    context: Context, counts: Floats, candidates: npt.NDArray[np.int64], reach: int
) -> tuple[Instances, npt.NDArray[np.float64]]:
    """Lay a motif over each seqlet where its log-odds are highest.

    Parameters
    ----------
    context : Context
    counts : ndarray, shape (w, 4)
    candidates : ndarray of int64
        Which seqlets.
    reach : int
        How far, in bp, the middle of the motif may be from the centre of the seqlet.

    Returns
    -------
    Instances
        One for every candidate.
    bits : ndarray of float64
        Their log-odds.
    """
    width = len(counts)
    log_odds = np.log2(frequencies(counts) / 0.25)
    first = max(0, context.middle - width // 2 - reach)
    last = min(context.one_hot.shape[1] - width, context.middle - width // 2 + reach)
    views = np.lib.stride_tricks.sliding_window_view(
        context.one_hot[candidates, first : last + width], width, axis=1
    )
    scores = np.stack(
        [np.einsum("npbw,wb->np", views, m, optimize=True) for m in (log_odds, log_odds[::-1, ::-1])], axis=1
    )
    flat = scores.reshape(len(candidates), -1)
    best = flat.argmax(axis=1)
    n_places = scores.shape[2]
    return (
        Instances(candidates, first + best % n_places, best >= n_places, width),
        flat[np.arange(len(flat)), best].astype(np.float64),
    )


def _weighted(counts: Floats) -> Floats:
    return (frequencies(counts) - 0.25) * np.sqrt(np.maximum(information(counts), 0))[:, np.newaxis]
