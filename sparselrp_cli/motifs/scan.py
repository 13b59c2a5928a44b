"""Scores of a motif's matrix along sequences, in bits, with exact p-values."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sparselrp_cli.motifs.alignment import frequencies
from sparselrp_cli.motifs.formats import KnownMotif
from sparselrp_cli.sequences.one_hot import encode

Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

STEP = 0.01
"""In bits: scores are sums of whole steps, of which the p-values are exact."""
LEAST = 1e-4
"""Added to frequencies, as FIMO does where hits are called."""
UNKNOWN = 4
_NEVER = -(1 << 30)
"""Of a placement with an unknown base; lower than any score."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Log-odds of a motif against a uniform background.

    Attributes
    ----------
    steps : ndarray of int64, shape (w, 5)
        Of A, C, G, T and an unknown base, in steps of `STEP`.
    lowest : int
        The smallest score, in steps.
    tail : ndarray of float64, shape (k,)
        The probability that a uniform random sequence scores ``lowest + i`` or more.
    """

    steps: Integers
    lowest: int
    tail: Doubles

    @classmethod
    def of(cls, motif: KnownMotif) -> Self:
        """Make it of a motif, with the pseudocount that hits are called with."""
        odds = np.log2((frequencies(motif.counts) + LEAST) / 0.25)
        bases = np.round(odds / STEP).astype(np.int64)
        unknown = np.full((len(bases), 1), _NEVER, np.int64)
        lowest = int(bases.min(axis=1).sum())
        return cls(np.concatenate([bases, unknown], axis=1), lowest, _tail(bases))

    @property
    def width(self) -> int:
        return len(self.steps)

    def scores(self, codes: npt.NDArray[np.integer]) -> Integers:
        """Score every place of the matrix in sequences of one length.

        Parameters
        ----------
        codes : ndarray of int, shape (n, L)
            As `encoded` gives them; L is at least the width.

        Returns
        -------
        ndarray of int64, shape (2, n, L - w + 1)
            In steps; the forward strand, then the other, by the first base covered.
        """
        places = codes.shape[1] - self.width + 1
        total = np.zeros((2, len(codes), places), np.int64)
        for strand, steps in enumerate((self.steps, self._turned())):
            for column, values in enumerate(steps):
                total[strand] += values[codes[:, column : column + places]]
        return np.maximum(total, _NEVER)

    def bits(self, scores: Integers) -> Doubles:
        """Give scores in bits; minus infinity where a base is unknown."""
        return np.where(scores < self.lowest, -np.inf, scores * STEP)

    def p_values(self, scores: Integers) -> Doubles:
        """Give the probability that a uniform random sequence of the width scores as much or more."""
        return np.where(scores < self.lowest, 1.0, self.tail[np.maximum(scores - self.lowest, 0)])

    def _turned(self) -> Integers:
        return np.concatenate([self.steps[::-1, 3::-1], self.steps[::-1, UNKNOWN:]], axis=1)


def encoded(sequence: bytes) -> npt.NDArray[np.int8]:
    """Give letters as 0 to 3 for A, C, G, T, and 4 for what is unknown: shape (L,)."""
    one_hot = encode(sequence)
    return np.where(one_hot.any(axis=0), one_hot.argmax(axis=0), UNKNOWN).astype(np.int8)


def _tail(steps: Integers) -> Doubles:
    """Give the survival function of the sum of one step of each column, by dynamic programming.

    As FIMO does (Grant, Bailey & Noble 2011), from Staden (1989): columns are independent, so that the
    distribution of their sum is that of the columns before, shifted by each base's step.
    """
    density = np.ones(1)
    for column in steps - steps.min(axis=1, keepdims=True):
        longer = np.zeros(len(density) + int(column.max()))
        for step in column:
            longer[step : step + len(density)] += density / 4
        density = longer
    # From the smallest probabilities up, so that none is rounded away.
    tail: Doubles = np.cumsum(density[::-1])[::-1]
    return np.minimum(tail, 1.0)
