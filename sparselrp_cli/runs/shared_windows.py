"""Windows that a batch holds several times, explained once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.relevance.ensemble import LaunchedEnsemble
from sparselrp_cli.relevance.windows import ExplainedWindows, Launched
from sparselrp_cli.sequences.windows import Window

Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class SharedLaunch:
    """Windows that are being explained, of which several rows of a batch are the same.

    Attributes
    ----------
    launched : Launched or LaunchedEnsemble
        Of each place once.
    place : ndarray of int, shape (N,)
        For each row of the batch, which of these it is.
    """

    launched: Launched | LaunchedEnsemble
    place: Numbers

    def result(self) -> ExplainedWindows:
        """Wait until they are explained; give every row of the batch."""
        explained = self.launched.result()
        spread = explained.spread
        return ExplainedWindows(
            explained.hypothetical[:, self.place],
            _taken(explained.accounting, self.place),
            None if spread is None else _taken(spread, self.place),
        )


def distinct(windows: Sequence[Window]) -> tuple[Numbers, Numbers]:
    """Find the rows of a batch that lie at the same place of the genome.

    Alternatives of one base, or of one line of a VCF, have one window of the reference.

    Returns
    -------
    rows : ndarray of int, shape (M,)
        The first row of each place.
    place : ndarray of int, shape (N,)
        For each window, which of these it is.
    """
    numbers: dict[tuple[str, int, int, str], int] = {}
    rows: list[int] = []
    place = np.zeros(len(windows), np.intp)
    for row, window in enumerate(windows):
        where = window.chrom, window.start, window.end, window.strand
        if where not in numbers:
            numbers[where] = len(rows)
            rows.append(row)
        place[row] = numbers[where]
    return np.array(rows, np.intp), place


def _taken(arrays: dict[str, npt.NDArray[Any]], place: Numbers) -> dict[str, npt.NDArray[Any]]:
    return {name: array[:, place] for name, array in arrays.items()}
