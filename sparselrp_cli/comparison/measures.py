"""How two maps of one window differ."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measures:
    """How maps b differ from maps a, window by window: ndarrays of shape (n,).

    Attributes
    ----------
    correlation : ndarray of float64
        Pearson's, of the contributions; NaN where one map is the same everywhere.
    mass_a, mass_b : ndarray of float64
        Sum of the absolute contributions.
    differing_share : ndarray of float64
        Sum of ``|b - a|`` over the sum of both masses: 0 of equal maps, 1 of maps that share no mass; NaN
        where both are zero.
    span_start : ndarray of int64
        Where the span with the largest summed difference begins, counted from the window's.
    span_difference : ndarray of float64
        Sum of ``b - a`` over it.
    """

    correlation: Doubles
    mass_a: Doubles
    mass_b: Doubles
    differing_share: Doubles
    span_start: npt.NDArray[np.int64]
    span_difference: Doubles


def measure(a: Doubles, b: Doubles, span: int) -> Measures:
    """Compare maps.

    Parameters
    ----------
    a, b : ndarray of float64, shape (n, L)
        Contributions.
    span : int
        Length of the span with the largest difference, in bp; at most L.
    """
    mass_a, mass_b = np.abs(a).sum(axis=1), np.abs(b).sum(axis=1)
    moved, mass = np.abs(b - a).sum(axis=1), mass_a + mass_b
    share = np.divide(moved, mass, out=np.full(len(a), np.nan), where=mass > 0)
    start, difference = _largest_span(b - a, min(span, a.shape[1]))
    return Measures(correlations(a, b), mass_a, mass_b, share, start, difference)


def correlations(a: Doubles, b: Doubles) -> Doubles:
    """Give Pearson's correlation of each row, NaN where either is constant; shape (n,)."""
    x, y = (_standardised(values) for values in (a, b))
    return np.asarray(np.clip((x * y).sum(axis=1), -1, 1))


def _standardised(values: Doubles) -> Doubles:
    """Centre each row and give it length 1, NaN where it is constant."""
    # Scaled first, so that squares neither vanish nor overflow.
    centred = values - values.mean(axis=1, keepdims=True)
    largest = np.where(np.ptp(values, axis=1) > 0, np.abs(centred).max(axis=1), np.nan)[:, np.newaxis]
    scaled = centred / largest
    return np.asarray(scaled / np.sqrt((scaled * scaled).sum(axis=1, keepdims=True)))


def _largest_span(difference: Doubles, span: int) -> tuple[npt.NDArray[np.int64], Doubles]:
    """Find the span whose sum is farthest from zero, the first of equals."""
    total = np.pad(np.cumsum(difference, axis=1), ((0, 0), (1, 0)))
    sums = total[:, span:] - total[:, :-span]
    start = np.abs(sums).argmax(axis=1)
    return start.astype(np.int64), sums[np.arange(len(sums)), start]
