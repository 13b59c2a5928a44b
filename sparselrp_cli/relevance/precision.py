"""How far a run in reduced precision is from float32, on a few of its own windows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sparselrp_cli.errors import number_of
from sparselrp_cli.graph.beside import NO_ROWS
from sparselrp_cli.relevance.windows import ExplainedWindows, Marked

WINDOWS = 4
Explain = Callable[
    [npt.NDArray[np.uint8], Sequence[bool], Marked | None, Mapping[str, Tensor]], ExplainedWindows
]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Contributions in reduced precision beside those in float32.

    Attributes
    ----------
    windows : int
        Compared, the first of the run.
    cosine : float
        The smallest over windows and targets; 1 where both are zero.
    difference : float
        The largest over all bases, relative to the largest contribution of the window.
    """

    windows: int
    cosine: float
    difference: float

    def describe(self) -> str:
        """Say it in a few words."""
        return (
            f"cosine to float32 at least {self.cosine:.4f}, bases differ by at most"
            f" {100 * self.difference:.2g} % of the largest ({number_of(self.windows, 'window')})"
        )


def agreement(
    reduced: ExplainedWindows, exact: Explain, one_hot: npt.NDArray[np.uint8], reverse: Sequence[bool],
    marked: Marked | None = None, rows: Mapping[str, Tensor] = NO_ROWS,
) -> Agreement:  # fmt: skip
    """Explain the first windows of a batch once more, in float32, and compare.

    Parameters
    ----------
    reduced : ExplainedWindows
        The batch as explained.
    exact : callable
        Explains in float32, as `WindowExplainer.explain`.
    """
    n = min(WINDOWS, len(one_hot))
    own = {name: row[:n] for name, row in rows.items()}
    again = exact(one_hot[:n], reverse[:n], None if marked is None else marked[:n], own)
    ours, theirs = (
        np.einsum("tnbl,nbl->tnl", maps[:, :n].astype(np.float64), one_hot[:n])
        for maps in (reduced.hypothetical, again.hypothetical)
    )
    norms = np.linalg.norm(ours, axis=2) * np.linalg.norm(theirs, axis=2)
    both_zero = ~(ours.any(axis=2) | theirs.any(axis=2))
    cosines = np.where(both_zero, 1.0, (ours * theirs).sum(2) / np.where(norms == 0, 1.0, norms))
    largest = np.abs(theirs).max(2)
    gaps = np.abs(ours - theirs).max(2) / np.where(largest == 0, 1.0, largest)
    return Agreement(n, float(cosines.min()), float(gaps.max()))
