"""Paired differences of methods over windows, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000


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
    rng = np.random.default_rng(seed)
    means = np.array([x[rng.integers(len(x), size=len(x))].mean() for _ in range(RESAMPLES)])
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(x.mean()), float(low), float(high), len(x))
