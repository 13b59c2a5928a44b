"""Paired differences of methods over windows, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
_DRAWN_AT_ONCE = 1 << 16
"""Windows; bounds the memory of resampling many."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over windows with its 95 % interval (percentiles of bootstrap means)."""

    mean: float
    low: float
    high: float
    windows: int


def interval(values: npt.ArrayLike, seed: int = 0) -> Interval:
    """Resample windows with replacement; windows that are NaN don't count.

    Parameters
    ----------
    values : array_like, shape (windows,)
        Of a metric, or differences of it between two methods on the same windows.
    """
    x = np.asarray(values, np.float64)
    x = x[~np.isnan(x)]
    if not len(x):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    low, high = np.quantile(_means_of_resamples(x, np.random.default_rng(seed)), (0.025, 0.975))
    return Interval(float(x.mean()), float(low), float(high), len(x))


def _means_of_resamples(x: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Give the mean of each resample, shape (RESAMPLES,)."""
    at_once = max(1, _DRAWN_AT_ONCE // len(x))
    counts = [min(at_once, RESAMPLES - done) for done in range(0, RESAMPLES, at_once)]
    return np.concatenate([x[rng.integers(len(x), size=(n, len(x)))].mean(axis=1) for n in counts])
