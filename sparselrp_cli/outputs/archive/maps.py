"""Maps of windows, from an archive or from memory, for what calls seqlets and writes arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from sparselrp_cli.outputs.archive.rows import Bases, Coordinates, Reals, Rows


class WindowMaps(Protocol):
    """What an `ArchiveReader` gives of maps and places; see there."""

    @property
    def path(self) -> Path: ...
    @property
    def n_windows(self) -> int: ...
    @property
    def window_length(self) -> int: ...
    @property
    def coordinates(self) -> Coordinates: ...
    def chunks(self, size: int = 256) -> Iterator[slice]: ...
    def read(self, rows: Rows, target: int = 0) -> tuple[Bases, Reals]: ...
    def contributions(self, rows: Rows, target: int = 0) -> Reals: ...


@dataclass(frozen=True, slots=True, eq=False)
class ArrayMaps:
    """Maps of one target in memory; no two windows share a place.

    Attributes
    ----------
    one_hot : ndarray of uint8, shape (N, 4, L)
    hypothetical : ndarray of float, shape (N, 4, L)
    path : Path
        What messages call them.
    """

    one_hot: Bases
    hypothetical: Reals
    path: Path

    @property
    def n_windows(self) -> int:
        """Count the windows: N."""
        return len(self.one_hot)

    @property
    def window_length(self) -> int:
        """Give L, in bp."""
        return int(self.one_hot.shape[2])

    @property
    def coordinates(self) -> Coordinates:
        """Put each window on a sequence of its own."""
        rows = np.arange(self.n_windows)
        start = np.zeros(self.n_windows, np.int64)
        return Coordinates(rows.astype(np.int32), start, start + self.window_length)

    def chunks(self, size: int = 256) -> Iterator[slice]:
        """Go through the windows in order, `size` at a time."""
        for start in range(0, self.n_windows, size):
            yield slice(start, min(start + size, self.n_windows))

    def read(self, rows: Rows, target: int = 0) -> tuple[Bases, Reals]:
        """Give one-hot bases and hypothetical contributions, shape (n, 4, L) both."""
        return self.one_hot[rows], self.hypothetical[rows]

    def contributions(self, rows: Rows, target: int = 0) -> Reals:
        """Give the contributions of the observed bases: shape (n, L)."""
        one_hot, hypothetical = self.read(rows)
        found: Reals = np.where(one_hot != 0, hypothetical, 0).sum(axis=1)
        return found
