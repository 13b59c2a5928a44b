"""What a base covered by several windows gets.

Windows come in order of their start and have one length L, so a base that is settled lies before the start of
the newest window: the bases still open are the L that this window covers. A pile holds what they have so far.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.archive.rows import Doubles


class Sum:
    """The sum of all windows over a base; also the open bases of every other policy.

    Parameters
    ----------
    length : int
        L, in bp.
    """

    def __init__(self, length: int) -> None:
        self.count = np.zeros(length, np.int64)
        self.value = np.zeros(length, np.float64)

    def add(self, values: Doubles) -> None:
        """Lay a window over all open bases; `values` are its contributions, shape (L,)."""
        self.combine(values)
        self.count += 1

    def take(self, n: int) -> Doubles:
        """Settle the first `n` open bases, and open as many behind the last."""
        settled = self.merged(n)
        for array in self.arrays():
            array[:-n] = array[n:].copy()
            array[-n:] = 0
        return settled

    def combine(self, values: Doubles) -> None:
        self.value += values

    def merged(self, n: int) -> Doubles:
        return self.value[:n].copy()

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        return self.count, self.value


class Mean(Sum):
    """The mean of the windows over a base."""

    def merged(self, n: int) -> Doubles:
        return self.value[:n] / np.maximum(self.count[:n], 1)


class MaxAbs(Sum):
    """The value farthest from zero; of equal ones that of the earlier window."""

    def combine(self, values: Doubles) -> None:
        better = (self.count == 0) | (np.abs(values) > np.abs(self.value))
        self.value[better] = values[better]


class NearestCentre(Sum):
    """The value of the window whose centre is nearest; of equally near ones that of the earlier window.

    The centre of a window is the middle between its first and its last base, so that both strands agree.
    """

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.distance = np.zeros(length, np.int64)
        # In half bp, to stay whole where L is even.
        self.from_centre = np.abs(2 * np.arange(length) + 1 - length)

    def combine(self, values: Doubles) -> None:
        better = (self.count == 0) | (self.from_centre < self.distance)
        self.value[better] = values[better]
        self.distance[better] = self.from_centre[better]

    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        return self.count, self.value, self.distance


# Under "error" no base is covered twice, so that any pile will do.
POLICIES: Mapping[str, type[Sum]] = MappingProxyType(
    {"nearest-centre": NearestCentre, "mean": Mean, "max-abs": MaxAbs, "sum": Sum, "error": Sum}
)
