"""Metrics of one map against sites as wholes, and against the bases of a motif that matter.

The plain average precision by position (`metrics.average_precision`) counts every position of a site alike,
and so punishes what is right: a base that the motif doesn't care for, or that isn't the motif's, has no
effect.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.evaluation.metrics import Mask, Values, average_precision

Extents = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """The known sites of one window.

    Attributes
    ----------
    mask : ndarray of bool, shape (L,)
        Which positions they cover.
    extents : ndarray of int, shape (sites, 2)
        First position and end of each that lies inside the window as a whole.
    informative : ndarray of bool, shape (L,), or None
        Positions of matches whose column of the matrix says much, and favours the observed base; None where
        sites are known without a matrix.
    """

    mask: Mask
    extents: Extents
    informative: Mask | None = None

    @classmethod
    def of_mask(cls, mask: Mask) -> "Sites":
        """Take each run of covered positions for one site."""
        edges = np.diff(mask.astype(np.int8), prepend=0, append=0)
        return cls(mask, np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1))

    def reverse(self) -> "Sites":
        """Give the sites on the opposite strand's coordinates."""
        length = len(self.mask)
        informative = None if self.informative is None else self.informative[::-1]
        return Sites(self.mask[::-1], length - self.extents[:, ::-1], informative)


def site_average_precision(a: Values, sites: Sites) -> float:
    """Average precision of windows as wide as a site, ranked by the sum of their contributions.

    Of all windows of that width those are right that are a site, base for base; those that no site reaches
    into are wrong. Others are left out: whether a site is shifted by a base or two is not the question.
    Where sites differ in width, each width is judged by itself, and the mean is over sites.

    Parameters
    ----------
    a : ndarray, shape (L,)

    Returns
    -------
    float
        NaN without whole sites.
    """
    distinct = np.unique(sites.extents, axis=0)
    widths = Counter((distinct[:, 1] - distinct[:, 0]).tolist())
    if not widths:
        return float("nan")
    found = 0.0
    for width, count in widths.items():
        # Not by differences of running sums, which would make equal windows unequal.
        sums = np.lib.stride_tricks.sliding_window_view(a.astype(np.float64), width).sum(axis=1)
        right = np.zeros(len(sums), bool)
        right[distinct[distinct[:, 1] - distinct[:, 0] == width, 0]] = True
        counted = right | ~np.lib.stride_tricks.sliding_window_view(sites.mask, width).any(axis=1)
        found += count * average_precision(sums[counted], right[counted])
    return found / widths.total()


def informative_average_precision(a: Values, sites: Sites) -> float:
    """Average precision by position, where the positions of a match that say little are left out.

    Parameters
    ----------
    a : ndarray, shape (L,)

    Returns
    -------
    float
        NaN without a matrix, and where no position of a match is informative.
    """
    if sites.informative is None:
        return float("nan")
    counted = sites.informative | ~sites.mask
    return average_precision(a[counted], sites.informative[counted])


def site_metrics(a: Values, sites: Sites) -> dict[str, float]:
    """Compute the metrics of this module; the one that needs a matrix only where there is one."""
    found = {"site_ap": site_average_precision(a, sites)}
    if sites.informative is not None:
        found["auprc_informative"] = informative_average_precision(a, sites)
    return found
