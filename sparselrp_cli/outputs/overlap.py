"""What a base covered by several windows gets.

Windows come in order of their start and have one length L, so a base that is settled lies before the start of
the newest window: the bases still open are the L that this window covers. A pile holds what they have so far.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.archive.rows import Doubles

AHEAD = 1 << 14
"""Bases that the open ones move along before they are put back to the front of their arrays."""


class Sum:
    """The sum of all windows over a base; also the open bases of every other policy.

    Parameters
    ----------
    length : int
        L, in bp.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.value = np.zeros(length + max(length, AHEAD), np.float64)
        self._first = 0

    def add(self, values: Doubles) -> None:
        """Lay a window over all open bases; `values` are its contributions, shape (L,)."""
        self.combine(values, slice(self._first, self._first + self.length))

    def take(self, n: int) -> Doubles:
        """Settle the first `n` open bases, at most L, and open as many behind the last."""
        settled = self.merged(slice(self._first, self._first + n))
        self._first += n
        if self._first + self.length > len(self.value):
            self._put_back()
        return settled

    def combine(self, values: Doubles, bases: slice) -> None:
        self.value[bases] += values

    def merged(self, bases: slice) -> Doubles:
        return self.value[bases].copy()

    def arrays(self) -> Iterator[tuple[npt.NDArray[Any], float]]:
        """Give what is known of bases, each with what it is where no window lies."""
        yield self.value, 0

    def _put_back(self) -> None:
        for array, empty in self.arrays():
            left = array[self._first :].copy()
            array[: len(left)], array[len(left) :] = left, empty
        self._first = 0


class Mean(Sum):
    """The mean of the windows over a base."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.count = np.zeros(len(self.value), np.int64)

    def combine(self, values: Doubles, bases: slice) -> None:
        super().combine(values, bases)
        self.count[bases] += 1

    def merged(self, bases: slice) -> Doubles:
        return self.value[bases] / np.maximum(self.count[bases], 1)

    def arrays(self) -> Iterator[tuple[npt.NDArray[Any], float]]:
        yield from super().arrays()
        yield self.count, 0


class MaxAbs(Sum):
    """The value farthest from zero; of equal ones that of the earlier window."""

    def combine(self, values: Doubles, bases: slice) -> None:
        known = self.value[bases]
        np.copyto(known, values, where=np.abs(values) > np.abs(known))


class NearestCentre(Sum):
    """The value of the window whose centre is nearest; of equally near ones that of the earlier window.

    The centre of a window is the middle between its first and its last base, so that both strands agree.
    """

    def __init__(self, length: int) -> None:
        super().__init__(length)
        # In half bp, to stay whole where L is even; every base of a window is nearer than L.
        self.distance = np.full(len(self.value), length, np.int64)
        self.from_centre = np.abs(2 * np.arange(length) + 1 - length)

    def combine(self, values: Doubles, bases: slice) -> None:
        distance = self.distance[bases]
        nearer = self.from_centre < distance
        np.copyto(self.value[bases], values, where=nearer)
        np.copyto(distance, self.from_centre, where=nearer)

    def arrays(self) -> Iterator[tuple[npt.NDArray[Any], float]]:
        yield from super().arrays()
        yield self.distance, self.length


# Under "error" no base is covered twice, so that any pile will do.
POLICIES: Mapping[str, type[Sum]] = MappingProxyType(
    {"nearest-centre": NearestCentre, "mean": Mean, "max-abs": MaxAbs, "sum": Sum, "error": Sum}
)
