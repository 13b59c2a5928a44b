"""All metrics of the maps of some windows: what `sparselrp evaluate` and the benchmarks print."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sparselrp_cli.evaluation.agreement import map_metrics
from sparselrp_cli.evaluation.effects import ism_r, var_r
from sparselrp_cli.evaluation.faithfulness import (
    Curves,
    Doubles,
    OneHot,
    Scores,
    curves_of_maps,
    shuffled_backgrounds,
)
from sparselrp_cli.evaluation.metrics import Values
from sparselrp_cli.evaluation.site_metrics import Sites, site_metrics

DRAWS = 5


def window_metrics(
    one_hot: OneHot,
    contributions: Values,
    hypothetical: Values | None = None,
    *,
    effects: Doubles | None = None,
    scores: Scores | None = None,
    backgrounds: OneHot | None = None,
    curves: Sequence[Curves] | None = None,
    sites: Sequence[Sites] | None = None,
) -> pd.DataFrame:
    """Compute every metric that what is given allows, for one method.

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (n, 4, L)
        Windows as the model reads them.
    contributions : ndarray, shape (n, L)
        Of the observed bases.
    hypothetical : ndarray, shape (n, 4, L), or None
        The contribution that each base would have, for `var_r`; NaN throughout where a method has none.
    effects : ndarray, shape (n, 4, L), or None
        Of every single change, see `mutagenesis.effects`; for `ism_r` and `var_r`.
    scores : callable or None
        The model, for deletion and insertion.
    backgrounds : ndarray of uint8, shape (n, draws, 4, L), or None
        What replaces positions; five shuffles of each window by default.
    curves : sequence of Curves or None
        Deletion and insertion, where they are known already; instead of `scores`.
    sites : sequence of Sites or None
        Of each window; see `sites.motif_sites`, `Sites.of_mask`.

    Returns
    -------
    DataFrame
        A row per window: what to decide by first, then agreement with sites, then sparsity.
    """
    if curves is None and scores is not None:
        given = shuffled_backgrounds(one_hot, DRAWS) if backgrounds is None else backgrounds
        curves = curves_of_maps(one_hot, contributions, scores, given)
    rows = []
    for i, a in enumerate(contributions):
        row: dict[str, float] = {}
        if effects is not None:
            row["ism_r"] = ism_r(a, effects[i], one_hot[i])
            row["var_r"] = np.nan if hypothetical is None else var_r(hypothetical[i], effects[i], one_hot[i])
        if curves is not None:
            row |= curves[i].metrics()
        if sites is not None:
            row |= site_metrics(a, sites[i])
        rows.append(row | map_metrics(a, None if sites is None else sites[i].mask))
    return pd.DataFrame(rows)
