"""Agreement of archives with known sites, window by window."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparselrp_cli.errors import InputError
from sparselrp_cli.evaluation.metrics import auroc, gini, relevance_mass_accuracy, relevance_rank_accuracy
from sparselrp_cli.outputs.archive import ArchiveReader

_CHUNK = 256

MaskSource = Callable[[ArchiveReader, slice], npt.NDArray[np.bool_]]
"""Gives the sites of some rows of an archive: shape (n, L)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Means over the windows that hold a site.

    Attributes
    ----------
    windows : int
        Windows that hold a site and score enough.
    without_relevance : int
        Of these, windows without positive relevance, which the mass accuracy leaves out.
    """

    windows: int
    without_relevance: int
    mass_in_sites: float
    rank_accuracy: float
    auroc: float
    gini: float
    zero_share: float


def agreement(
    reader: ArchiveReader, sites: MaskSource, *, min_score: float = -np.inf, target: int = 0
) -> Agreement:
    """Compare an archive's contributions with known sites.

    Raises
    ------
    InputError
        If no window holds a site and scores above `min_score`.
    """
    rows = []
    scores = reader.column("score", target)
    for start in range(0, reader.n_windows, _CHUNK):
        chunk = slice(start, min(start + _CHUNK, reader.n_windows))
        contributions = reader.contributions(chunk, target)
        for a, m, score in zip(contributions, sites(reader, chunk), scores[chunk], strict=True):
            if m.any() and score > min_score:
                rows.append(_metrics(a, m))
    if not rows:
        raise InputError("no window holds a site and scores enough; nothing to evaluate")
    table = pd.DataFrame(rows)
    means = table.mean()
    return Agreement(
        windows=len(table),
        without_relevance=int(table["mass_in_sites"].isna().sum()),
        **{name: float(means[name]) for name in table.columns},
    )


def _metrics(a: npt.NDArray[np.floating], m: npt.NDArray[np.bool_]) -> dict[str, float]:
    return {
        "mass_in_sites": relevance_mass_accuracy(a, m),
        "rank_accuracy": relevance_rank_accuracy(a, m),
        "auroc": auroc(a, m),
        "gini": gini(a),
        "zero_share": float((a == 0).mean()),
    }
