"""The difference of two runs along the genome, read like an archive."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparselrp_cli.comparison.matching import Shared, contributions
from sparselrp_cli.comparison.members import Member
from sparselrp_cli.outputs.archive.rows import Coordinates, Reals, Rows
from sparselrp_cli.sequences.windows import Window


class SharedDifferences:
    """Contributions of a run less those of the first, each by its unit, on the windows that they share.

    Parameters
    ----------
    members : sequence of Member
    shared : Shared
    number : int
        Which run.
    units : sequence of float
        What the contributions of each run are divided by.
    """

    def __init__(
        self, members: Sequence[Member], shared: Shared, number: int, units: Sequence[float]
    ) -> None:
        self.members, self.shared, self.number, self.units = members, shared, number, units
        at, rows = members[0].reader.coordinates, shared.rows[0]
        start = at.start[rows] + shared.start[0]
        self.coordinates = Coordinates(at.chrom[rows], start, start + shared.length)

    @property
    def path(self) -> Path:
        return self.members[self.number].reader.path

    @property
    def window_length(self) -> int:
        return self.shared.length

    @property
    def chrom_sizes(self) -> dict[str, int]:
        return self.members[0].reader.chrom_sizes

    def windows(self, rows: Rows) -> list[Window]:
        return self.members[0].reader.windows(self.shared.rows[0][rows])

    def contributions(self, rows: Rows, target: int = 0) -> Reals:
        """Give the differences, shape (n, length)."""
        # The sweep asks for the rows in genome order, in which the shared windows are.
        chosen = np.arange(len(self.shared))[rows]
        if not len(chosen):
            return np.zeros((0, self.shared.length))
        whole = slice(int(chosen.min()), int(chosen.max()) + 1)
        first, other = (
            contributions(self.members[i], self.shared, i, whole) / self.units[i] for i in (0, self.number)
        )
        difference: Reals = (other - first)[chosen - whole.start]
        return difference

    def contribution_sd(self, rows: Rows, target: int = 0) -> Reals:
        raise NotImplementedError("differences have no spread")
