"""Scored windows, as they pass from the pipeline to the writers and back from an archive."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sparselrp_cli.sequences.windows import Window

Bases = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]
Rows = slice | Integers
"""Which windows of an archive."""

ACCOUNTING = (
    "score", "prediction", "relevance", "background", "absorbed", "stabilised", "special", "lost",
    "conservation_error", "zero_share", "kept_share",
)  # fmt: skip
SPREAD = ("score_sd", "contribution_sd")


class Accounts(Protocol):
    """Windows and their accounts, with or without the maps; for the attributes see `ArchiveRows`."""

    @property
    def windows(self) -> Sequence[Window]: ...
    @property
    def accounting(self) -> Mapping[str, Doubles]: ...
    @property
    def n_unknown(self) -> Integers: ...
    @property
    def spread(self) -> Mapping[str, Reals] | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class WindowAccounts:
    """Windows and their accounts without the maps; see `ArchiveRows`."""

    windows: Sequence[Window]
    accounting: Mapping[str, Doubles]
    n_unknown: Integers
    spread: Mapping[str, Reals] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ArchiveRows:
    """Windows with everything that is kept of them, all on forward coordinates.

    Attributes
    ----------
    windows : sequence of Window, length n
    one_hot : ndarray of uint8, shape (n, 4, L)
        A C G T; an unknown base is an all-zero column.
    hypothetical : ndarray of float, shape (T, n, 4, L)
        Hypothetical contributions, a map for each of the T targets.
    accounting : mapping of str to ndarray of float64, shape (T, n)
        The columns named in `ACCOUNTING`.
    n_unknown : ndarray of int, shape (n,)
        Unknown bases in the window.
    spread : mapping of str to ndarray of float, or None
        Where several models were averaged, their population standard deviations: ``score_sd``, shape (T, n),
        and ``contribution_sd``, shape (T, n, L).
    blocks : ndarray of uint8, shape (n, L), or None
        Where a target reads blocks: 1 where a base lies in one.

    Raises
    ------
    ValueError
        If the shapes don't agree or a column is missing.
    """

    windows: Sequence[Window]
    one_hot: Bases
    hypothetical: Reals
    accounting: Mapping[str, Doubles]
    n_unknown: Integers
    spread: Mapping[str, Reals] | None = None
    blocks: Bases | None = None

    def __post_init__(self) -> None:
        n = len(self.windows)
        length = self.one_hot.shape[-1]
        expected = {
            "one_hot": (self.one_hot.shape, (n, 4, length)),
            "hypothetical": (self.hypothetical.shape, (self.n_targets, n, 4, length)),
            "n_unknown": (self.n_unknown.shape, (n,)),
        }
        for column in ACCOUNTING:
            if column not in self.accounting:
                raise ValueError(f"the accounting has no column '{column}'")
            expected[column] = (self.accounting[column].shape, (self.n_targets, n))
        if self.spread is not None:
            for column, tail in zip(SPREAD, ((), (length,)), strict=True):
                if column not in self.spread:
                    raise ValueError(f"the spread has no column '{column}'")
                expected[column] = (self.spread[column].shape, (self.n_targets, n, *tail))
        if self.blocks is not None:
            expected["blocks"] = (self.blocks.shape, (n, length))
        for name, (shape, wanted) in expected.items():
            if shape != wanted:
                raise ValueError(f"{name} has shape {shape}, not {wanted}")

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, rows: slice) -> "ArchiveRows":
        """Take some of the rows, without a copy."""
        return ArchiveRows(
            windows=self.windows[rows],
            one_hot=self.one_hot[rows],
            hypothetical=self.hypothetical[:, rows],
            accounting={name: column[:, rows] for name, column in self.accounting.items()},
            n_unknown=self.n_unknown[rows],
            spread=self.spread and {name: column[:, rows] for name, column in self.spread.items()},
            blocks=None if self.blocks is None else self.blocks[rows],
        )

    @property
    def n_targets(self) -> int:
        return len(self.hypothetical)


def place(window: Window) -> str:
    """Name a window in a message: ``chr1:100-600 (peak_7)``."""
    name = "" if window.name in ("", ".") else f" ({window.name})"
    return f"{window.chrom}:{window.start}-{window.end}{name}"


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """Where the windows are, on forward coordinates, 0-based half-open.

    Attributes
    ----------
    chrom : ndarray of int32, shape (N,)
        Index into the chromosomes in genome order.
    start, end : ndarray of int64, shape (N,)
        In bp; may hang over the chromosome.
    """

    chrom: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]


def contiguous(rows: Integers) -> Iterator[slice]:
    """Cut increasing row numbers into slices."""
    if not len(rows):
        return
    for piece in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
        yield slice(int(piece[0]), int(piece[-1]) + 1)
