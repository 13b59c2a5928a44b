"""Agreement with in-silico mutagenesis, the model's own account of what each base does.

`effects` of shape (4, L) hold for each base at each position the score with it there less the score of the
window: 0 at the observed bases, and at unknown positions, see `evaluation.mutagenesis`.
"""

import numpy as np

from sparselrp_cli.evaluation.faithfulness import Doubles, OneHot
from sparselrp_cli.evaluation.metrics import Values


def observed_effects(effects: Values) -> Doubles:
    """Say what the observed bases do: less the mean effect of the three changes, shape (L,).

    A base without which the score is lower is positive, as in a map of contributions.

    Parameters
    ----------
    effects : ndarray, shape (4, L)
    """
    mean: Doubles = effects.sum(axis=0, dtype=np.float64) / 3
    return 0 - mean


def ism_r(contributions: Values, effects: Values, one_hot: OneHot) -> float:
    """Pearson's correlation of contributions with mutagenesis at the observed bases, over known positions.

    Parameters
    ----------
    contributions : ndarray, shape (L,)
    effects : ndarray, shape (4, L)
    one_hot : ndarray of uint8, shape (4, L)

    Returns
    -------
    float
        NaN where either is the same at every known position.
    """
    known = one_hot.any(axis=0)
    return pearson(contributions[known], observed_effects(effects)[known])


def var_r(hypothetical: Values, effects: Values, one_hot: OneHot) -> float:
    """Pearson's correlation of ``c_alt - c_obs`` with the effects of all single changes at known positions.

    What scores of variants and hypothetical contributions are used for. A number that is added to the four
    contributions of a position, as by centring, makes no difference.

    Parameters
    ----------
    hypothetical : ndarray, shape (4, L)
        The contribution that each base would have.
    effects : ndarray, shape (4, L)
    one_hot : ndarray of uint8, shape (4, L)

    Returns
    -------
    float
        NaN where either is the same for every change.
    """
    wide = hypothetical.astype(np.float64)
    observed = np.where(one_hot != 0, wide, 0).sum(axis=0)
    changes = one_hot.any(axis=0) & (one_hot == 0)
    return pearson((wide - observed)[changes], effects[changes])


def pearson(a: Values, b: Values) -> float:
    """Pearson's correlation, in float64.

    Parameters
    ----------
    a, b : ndarray, shape (n,)

    Returns
    -------
    float
        NaN where one is constant, or holds what isn't finite.
    """
    x, y = (v.astype(np.float64) for v in (a, b))
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0 or not np.isfinite([x, y]).all():
        return float("nan")
    # Scaled first, so that squares neither vanish nor overflow.
    x, y = (v / np.abs(v).max() for v in (x - x.mean(), y - y.mean()))
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1, 1))
