"""Deletion and insertion curves: what the score does when the most relevant positions go, or come, first.

Pixel flipping (Bach et al. 2015, Samek et al. 2017) over positions. What is taken away is replaced by the
same positions of a dinucleotide shuffle, so that the sequence stays one.

Raw drops are unbounded, and most of a large one may lie below what the background itself scores. So curves
are also given as shares of the difference between the score of the window and that of its background.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.evaluation.metrics import Values
from sparselrp_cli.sequences.one_hot import encode
from sparselrp_cli.sequences.shuffling import LETTERS, shuffle_dinucleotides

OneHot = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]
Scores = Callable[[OneHot], Doubles]
"""Gives the score of each of some windows (n, 4, L)."""

SHARES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0)
AREA_TO = 0.2


@dataclass(frozen=True, slots=True)
class Curves:
    """The scores of one window along the curves, means over the draws of the background.

    Attributes
    ----------
    deletion, insertion : ndarray, shape (shares,)
        The score when that share of positions, the most relevant first, is replaced, or alone is left.
    least_first : ndarray, shape (shares,)
        The score when the least relevant positions are replaced first.
    shares : tuple of float
        In ascending order, 0 the first.
    """

    deletion: Doubles
    insertion: Doubles
    least_first: Doubles
    shares: tuple[float, ...] = SHARES

    @property
    def background_score(self) -> float:
        """The score of the background: the mean over draws of the wholly replaced window."""
        return float(self.insertion[0])

    @property
    def deletion_drop(self) -> float:
        """How much the score falls, in its units: the mean over the first fifth of the positions.

        Where the shares stop before, the mean goes as far as they do.
        """
        return _area(self.deletion[0] - self.deletion, self.shares)

    @property
    def insertion_rise(self) -> float:
        """How much the score rises above that of the background, likewise."""
        return _area(self.insertion - self.insertion[0], self.shares)

    @property
    def deletion_share(self) -> float:
        """How much of the score's lead over its background is lost, likewise; see `_share_of_lead`."""
        return _area(self._share_of_lead(self.deletion[0] - self.deletion), self.shares)

    @property
    def insertion_share(self) -> float:
        """How much of the score's lead over its background is there, likewise."""
        return _area(self._share_of_lead(self.insertion - self.insertion[0]), self.shares)

    @property
    def abpc(self) -> float:
        """The area between the perturbation curves: deletion least relevant first above most relevant first.

        In units of the score, likewise over the first fifth; about 0 for an order at random. Over the
        whole way it is the symmetric relevance gain of Blücher, Vielhaben, Strodthoff 2024.
        """
        return _area(self.least_first - self.deletion, self.shares)

    def metrics(self) -> dict[str, float]:
        """Give the metrics by name."""
        return {
            "deletion_share": self.deletion_share,
            "insertion_share": self.insertion_share,
            "deletion_drop": self.deletion_drop,
            "insertion_rise": self.insertion_rise,
            "abpc": self.abpc,
            "background_score": self.background_score,
        }

    def _share_of_lead(self, change: Doubles) -> Doubles:
        """Divide by the lead, each point within -1 and 1, so that no point counts for more than all of it.

        What goes the wrong way stays negative. NaN where the window doesn't score more than its background.
        """
        lead = self.deletion[0] - self.background_score
        return np.clip(change / lead, -1, 1) if lead > 0 else np.full_like(change, np.nan)


def curves(
    one_hot: OneHot,
    a: Values,
    backgrounds: OneHot,
    scores: Scores,
    rng: np.random.Generator,
    shares: tuple[float, ...] = SHARES,
) -> Curves:
    """Compute the curves of one window.

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (4, L)
    a : ndarray, shape (L,)
        The ranking; ties are broken at random, anew for each draw. A constant gives the random control.
    backgrounds : ndarray of uint8, shape (draws, 4, L)
        Shuffles of the window.
    scores : callable
    rng : numpy.random.Generator
    shares : tuple of float
        Which shares of the positions to replace, in ascending order from 0; each is rounded to positions.
    """
    length = one_hot.shape[1]
    counts = [round(share * length) for share in shares]
    asked: tuple[list[OneHot], ...] = ([], [], [])
    for background in backgrounds:
        order = rng.permutation(length)
        order = order[np.argsort(-a[order], kind="stable")]
        for count in counts:
            steps = (
                _replaced(one_hot, background, order[:count]),
                _replaced(background, one_hot, order[:count]),
                _replaced(one_hot, background, order[length - count :]),
            )
            for windows, step in zip(asked, steps, strict=True):
                windows.append(step)
    # The ends of the curves are the window itself and its background, again and again.
    stacked = np.stack([window for windows in asked for window in windows])
    different, numbers = np.unique(np.packbits(stacked, axis=-1), axis=0, return_inverse=True)
    found = scores(np.unpackbits(different, axis=-1, count=length))[numbers]
    deletion, insertion, least_first = found.reshape(3, len(backgrounds), len(counts)).mean(axis=1)
    return Curves(deletion, insertion, least_first, shares)


def curves_of_maps(
    one_hot: OneHot,
    maps: Values,
    scores: Scores,
    backgrounds: OneHot,
    *,
    seeds: Sequence[Sequence[int]] | None = None,
    shares: tuple[float, ...] = SHARES,
) -> list[Curves]:
    """Compute the curves of some windows; see `curves`.

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (n, 4, L)
    maps : ndarray, shape (n, L)
        Zeros give the control, an order at random.
    scores : callable
    backgrounds : ndarray of uint8, shape (n, draws, 4, L)
    seeds : sequence of sequence of int, or None
        What the order of ties is drawn from, for each window; its number by default.
    shares : tuple of float
    """
    drawn_from = [[0, i] for i in range(len(one_hot))] if seeds is None else seeds
    return [
        curves(window, a, background, scores, np.random.default_rng(list(seed)), shares)
        for window, a, background, seed in zip(one_hot, maps, backgrounds, drawn_from, strict=True)
    ]


def shuffled_backgrounds(
    one_hot: OneHot, draws: int, seed: int = 0, numbers: Sequence[int] | None = None
) -> OneHot:
    """Shuffle windows, keeping the counts of dinucleotides: shape (n, draws, 4, L).

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (n, 4, L)
    draws, seed : int
    numbers : sequence of int or None
        Of the windows, which their shuffles depend on; from 0 by default.
    """
    of_windows = range(len(one_hot)) if numbers is None else numbers
    return np.stack(
        [
            np.stack([encode(shuffle_dinucleotides(text, seed, n * draws + d)) for d in range(draws)])
            for n, text in zip(of_windows, map(_letters, one_hot), strict=True)
        ]
    )


def _letters(one_hot: OneHot) -> bytes:
    unknown = len(LETTERS) - 1
    return bytes(LETTERS[c] for c in np.where(one_hot.any(axis=0), one_hot.argmax(axis=0), unknown))


def _replaced(window: OneHot, other: OneHot, positions: npt.NDArray[np.intp]) -> OneHot:
    changed = window.copy()
    changed[:, positions] = other[:, positions]
    return changed


def _area(values: Doubles, shares: tuple[float, ...]) -> float:
    x = np.array(shares)
    inside = x <= AREA_TO
    return float(np.trapezoid(values[inside], x[inside]) / x[inside][-1])
