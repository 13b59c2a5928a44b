"""Epistasis: what two inserts do together, less what each does alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import numpy.typing as npt

from sparselrp_cli.evaluation.intervals import Interval, interval
from sparselrp_cli.probing.asking import Asked
from sparselrp_cli.probing.effects import place_of
from sparselrp_cli.probing.inserts import Insert, put
from sparselrp_cli.probing.kept import Kept
from sparselrp_cli.sequences.one_hot import OneHot

Doubles = npt.NDArray[np.float64]

ORIENTATIONS = tuple("".join(both) for both in product("+-", repeat=2))
"""Strands of the left insert and the right one."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two inserts, the first on the left."""

    left: Insert
    right: Insert

    def __len__(self) -> int:
        return len(self.left) + len(self.right)

    @property
    def name(self) -> str:
        return f"{self.left.name} {self.right.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Interaction:
    """A pair in one arrangement, in N backgrounds, for T targets.

    Attributes
    ----------
    pair : Pair
    orientation : str
        Such as ``+-``.
    spacing : int
        bp between the two.
    together, left, right : ndarray of float64, shape (T, N)
        What both add to the score of a background, and what each adds alone at its place.
    """

    pair: Pair
    orientation: str
    spacing: int
    together: Doubles
    left: Doubles
    right: Doubles

    def summary(self, target: int, seed: int) -> dict[str, Interval]:
        """Give means over the backgrounds with 95 % intervals."""
        observed, expected = self.together[target], self.left[target] + self.right[target]
        values = {"observed": observed, "expected": expected, "interaction": observed - expected}
        return {name: interval(each, seed) for name, each in values.items()}


def require_places(pairs: Sequence[Pair], spacings: Sequence[int], length: int, at: int) -> None:
    """Stop before anything slow where an arrangement doesn't lie in the window.

    Raises
    ------
    InputError
    """
    for pair, spacing in product(pairs, spacings):
        place_of(len(pair) + spacing, length, at)


def measure_pairs(
    pairs: Sequence[Pair],
    spacings: Sequence[int],
    backgrounds: OneHot,
    asked: Asked,
    kept: Kept,
    at: int = 0,
) -> Iterator[Interaction]:
    """Put pairs into every background: each spacing, each orientation, the middle of both at one place.

    Parameters
    ----------
    pairs : sequence of Pair
    spacings : sequence of int
        bp between the two inserts.
    backgrounds : ndarray of uint8, shape (N, 4, L)
    asked : Asked
    kept : Kept
        One step for each pair and spacing.
    at : int
        Where the middle of both lies, from that of the window.
    """
    before = asked.scores(backgrounds)
    for pair, spacing in product(pairs, spacings):
        start = place_of(len(pair) + spacing, backgrounds.shape[2], at)
        numbers = kept.numbers(partial(_numbers, pair, spacing, start, backgrounds, before, asked))
        alone, together = numbers[:4], numbers[4:]
        for n, orientation in enumerate(ORIENTATIONS):
            first, second = map("+-".index, orientation)
            yield Interaction(pair, orientation, spacing, together[n], alone[first], alone[2 + second])


def _numbers(
    pair: Pair, spacing: int, start: int, backgrounds: OneHot, before: Doubles, asked: Asked
) -> Doubles:
    """Give what each of `_arrangements` adds to the score: shape (8, T, N)."""
    return np.stack(
        [asked.scores(windows) - before for windows in _arrangements(pair, spacing, start, backgrounds)]
    )


def _arrangements(pair: Pair, spacing: int, start: int, backgrounds: OneHot) -> Iterator[OneHot]:
    """Put the left one in alone on each strand, then the right one, then both in each orientation."""
    behind = start + len(pair.left) + spacing
    for insert, place in ((pair.left, start), (pair.right, behind)):
        for strand in "+-":
            yield put(backgrounds, insert.one_hot(strand), place)
    for orientation in ORIENTATIONS:
        left = put(backgrounds, pair.left.one_hot(orientation[0]), start)
        yield put(left, pair.right.one_hot(orientation[1]), behind)
