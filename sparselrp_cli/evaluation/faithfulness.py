"""Deletion and insertion curves: what the score does when the most relevant positions go, or come, first.

Pixel flipping (Bach et al. 2015, Samek et al. 2017) over positions. What is taken away is replaced by the
same positions of a dinucleotide shuffle, so that the sequence stays one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.evaluation.metrics import Values

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
    shares : tuple of float
        In ascending order, 0 the first.
    """

    deletion: Doubles
    insertion: Doubles
    shares: tuple[float, ...] = SHARES

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
    deleted, inserted = [], []
    for background in backgrounds:
        order = rng.permutation(length)
        order = order[np.argsort(-a[order], kind="stable")]
        for count in counts:
            top = order[:count]
            without, alone = one_hot.copy(), background.copy()
            without[:, top], alone[:, top] = background[:, top], one_hot[:, top]
            deleted.append(without)
            inserted.append(alone)
    found = scores(np.stack([*deleted, *inserted]))
    deletion, insertion = found.reshape(2, len(backgrounds), len(counts)).mean(axis=1)
    return Curves(deletion, insertion, shares)


def _area(values: Doubles, shares: tuple[float, ...]) -> float:
    x = np.array(shares)
    inside = x <= AREA_TO
    return float(np.trapezoid(values[inside], x[inside]) / x[inside][-1])
