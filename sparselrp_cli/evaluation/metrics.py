"""Metrics of one attribution map against known sites. `a` is a contribution per position, `m` a mask.

A metric that a map leaves open is NaN: the concentration of a map that is zero throughout, the correlation
with a constant one. Where positions are only ranked, those that are equal count as in every order alike, so
that a map that is the same everywhere gets what chance gives.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

Values = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


def relevance_mass_accuracy(a: Values, m: Mask) -> float:
    """Share of positive relevance inside the sites (Arras, Osman, Samek 2022; on the positive part).

    Parameters
    ----------
    a : ndarray, shape (L,)
    m : ndarray of bool, shape (L,)

    Returns
    -------
    float
        NaN where there is no positive relevance.
    """
    positive = np.maximum(a.astype(np.float64), 0)
    total = positive.sum()
    return float(positive[m].sum() / total) if total > 0 else float("nan")


def relevance_rank_accuracy(a: Values, m: Mask) -> float:
    """Share of the K highest positions that lie inside the K positions of sites, expected over ties.

    Arras, Osman, Samek 2022. NaN without sites; the share of sites where all positions are equal.
    """
    k = int(m.sum())
    if k == 0:
        return float("nan")
    cut = np.sort(a)[-k]
    above, tied = a > cut, a == cut
    share_of_tied = (k - above.sum()) / tied.sum()
    return float((m[above].sum() + share_of_tied * m[tied].sum()) / k)


def auroc(a: Values, m: Mask) -> float:
    """Probability that a position inside the sites ranks above one outside, ties counting half.

    NaN where all positions or none are inside; a half where all are equal.
    """
    inside, outside = int(m.sum()), int((~m).sum())
    if not inside or not outside:
        return float("nan")
    ranks = pd.Series(a).rank().to_numpy()
    return float((ranks[m].sum() - inside * (inside + 1) / 2) / (inside * outside))


def gini(a: Values) -> float:
    """Gini index of the magnitudes (Hurley & Rickard 2009): 0 if all are equal, towards 1 if one has all.

    NaN where everything is zero.
    """
    ascending = np.sort(np.abs(a.astype(np.float64)))
    n, total = len(ascending), ascending.sum()
    if total == 0:
        return float("nan")
    k = np.arange(1, n + 1)
    # Equal magnitudes may round to less than 0.
    return max(0.0, float(((2 * k - n - 1) * ascending).sum() / (n * total)))


def complexity(a: Values) -> float:
    """Entropy of the shares of magnitude, in nats (Bhatt, Weller, Moura 2020): 0 if one position has all.

    NaN where everything is zero.
    """
    magnitudes = np.abs(a.astype(np.float64))
    total = magnitudes.sum()
    if total == 0:
        return float("nan")
    shares = magnitudes[magnitudes > 0] / total
    # Not -0.
    return float((shares * -np.log(shares)).sum()) + 0.0


def average_precision(a: Values, m: Mask) -> float:
    """Area under the curve of precision and recall, as the step-wise sum; ties come all at once.

    NaN without sites; the share of sites where all positions are equal.
    """
    total = int(m.sum())
    if total == 0:
        return float("nan")
    order = np.argsort(-a, kind="stable")
    hits = np.cumsum(m[order])
    last_of_tie = np.append(np.diff(a[order]) != 0, True)
    hits, n = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    return float((np.diff(hits, prepend=0) / total * hits / n).sum())


def rank_correlation(a: Values, b: Values) -> float:
    """Spearman's correlation of two maps; NaN where one is constant."""
    first, second = (pd.Series(x).rank() for x in (a, b))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(first.corr(second))
