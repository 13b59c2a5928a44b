"""Marginalisation: what an insert does to the score, and where the relevance for it lies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.evaluation.intervals import Interval, interval
from sparselrp_cli.probing.asking import Asked
from sparselrp_cli.probing.inserts import Insert, put, shuffled
from sparselrp_cli.probing.kept import Kept
from sparselrp_cli.sequences.one_hot import OneHot

Doubles = npt.NDArray[np.float64]

EACH = ("score_before", "score_after", "score_control", "relevance", "relevance_before", "elsewhere")
"""Numbers of every background."""


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """What an insert does to backgrounds, N of them, for T targets.

    Attributes
    ----------
    insert : Insert
    start : int
        Where in the window it lies.
    numbers : ndarray of float64, shape (6, T, N)
        The columns `EACH`: scores without it, with it, and with its columns in another order; the sum of
        contributions of its bases, and of those that were there before; by how much the sum of all others
        changed.
    """

    insert: Insert
    start: int
    numbers: Doubles

    def column(self, name: str, target: int) -> Doubles:
        """Give one of the columns `EACH`, shape (N,)."""
        found: Doubles = self.numbers[EACH.index(name), target]
        return found

    def effects(self, target: int) -> Doubles:
        """Give what it adds to the score of each background."""
        return self.column("score_after", target) - self.column("score_before", target)

    def controls(self, target: int) -> Doubles:
        """Give what its columns in another order add."""
        return self.column("score_control", target) - self.column("score_before", target)

    def summary(self, target: int, seed: int) -> dict[str, Interval]:
        """Give means over the backgrounds with 95 % intervals, `specific` being effect less control."""
        effects, controls = self.effects(target), self.controls(target)
        values = {
            "effect": effects,
            "control": controls,
            "specific": effects - controls,
            **{name: self.column(name, target) for name in ("relevance", "relevance_before", "elsewhere")},
        }
        return {name: interval(each, seed) for name, each in values.items()}


def place_of(width: int, length: int, at: int) -> int:
    """Give where something of a width begins whose middle lies `at` bp right of the window's middle.

    Raises
    ------
    InputError
        If it doesn't lie in the window.
    """
    start = length // 2 + at - width // 2
    if start < 0 or start + width > length:
        raise InputError(
            f"{width} bp put in {at} bp from the middle don't lie in a window of {length} bp; choose another"
            " --at, or less"
        )
    return start


def measure(
    inserts: Sequence[Insert], backgrounds: OneHot, asked: Asked, kept: Kept, at: int = 0, seed: int = 0
) -> Iterator[Effect]:
    """Put each insert into every background.

    Parameters
    ----------
    inserts : sequence of Insert
    backgrounds : ndarray of uint8, shape (N, 4, L)
    asked : Asked
    kept : Kept
        One step for each insert.
    at : int
        Where the middle of an insert lies, from that of the window.
    seed : int
        Of the other orders of columns.
    """
    before = asked.scores(backgrounds)
    for insert in inserts:
        start = place_of(len(insert), backgrounds.shape[2], at)
        numbers = kept.numbers(partial(_numbers, insert, start, backgrounds, before, asked, seed))
        yield Effect(insert, start, numbers)


def _numbers(
    insert: Insert, start: int, backgrounds: OneHot, before: Doubles, asked: Asked, seed: int
) -> Doubles:
    """Give the columns `EACH` of an insert: shape (6, T, N)."""
    with_it = put(backgrounds, insert.one_hot(), start)
    control = put(backgrounds, shuffled(insert, len(backgrounds), seed), start)
    relevance = _relevance(backgrounds, with_it, slice(start, start + len(insert)), asked)
    scores = np.stack([before, asked.scores(with_it), asked.scores(control)])
    return np.concatenate([scores, relevance])


def _relevance(before: OneHot, after: OneHot, inside: slice, asked: Asked) -> Doubles:
    """Give the last three columns of `EACH`, a batch of maps in memory: shape (3, T, N)."""
    parts = []
    for first in range(0, len(before), asked.batch_size):
        rows = slice(first, first + asked.batch_size)
        old, new = asked.contributions(before[rows]), asked.contributions(after[rows])
        within = new[:, :, inside].sum(axis=2), old[:, :, inside].sum(axis=2)
        change = new.sum(axis=2) - old.sum(axis=2)
        parts.append(np.stack([*within, change - (within[0] - within[1])]))
    return np.concatenate(parts, axis=2)
