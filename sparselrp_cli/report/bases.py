"""Contributions on axes: letters where they can be read, else an outline in which no base is lost."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from sparselrp_cli.report.style import COLOURS, INK, UNKNOWN

Doubles = npt.NDArray[np.float64]

LETTER_POINTS = 2.5
"""Narrower letters can't be read: 200 bp on a figure of the usual width."""
POINTS = 72.0
_HAIRLINE = 0.5
"""Points; so wide is drawn what is narrower than a pixel."""


def envelope(values: Doubles, most: int) -> tuple[npt.NDArray[np.int64], Doubles, Doubles]:
    """Cut a row of values into bins, and give the smallest and the largest value of each, zero among them.

    Means would lose peaks that are narrower than a bin, and the value of largest magnitude loses those of the
    other sign. Neighbouring bins with the same values are one.

    Parameters
    ----------
    values : ndarray of float64, shape (L,)
        NaN counts as 0.
    most : int
        Bins; there are no more of them than values.

    Returns
    -------
    edges : ndarray of int64, shape (n + 1,)
        From 0 to L.
    low, high : ndarray of float64, shape (n,)
    """
    known = np.nan_to_num(values)
    bins = min(max(most, 1), len(known))
    edges = (np.arange(bins + 1) * len(known)) // bins
    low = np.minimum(np.minimum.reduceat(known, edges[:-1]), 0.0)
    high = np.maximum(np.maximum.reduceat(known, edges[:-1]), 0.0)
    new = np.flatnonzero((np.diff(low) != 0) | (np.diff(high) != 0)) + 1
    first = np.concatenate([[0], new])
    return np.append(edges[first], edges[-1]), low[first], high[first]


def draw_bases(axes: Axes, values: Doubles, start: int, dpi: float = 200.0) -> None:
    """Draw contributions as letters, or as an outline where letters couldn't be read.

    Parameters
    ----------
    axes : Axes
        Of which the width is known.
    values : ndarray of float64, shape (L, 4)
        NaN where nothing is known.
    start : int
        Position of the first base on the axis.
    dpi : float
        Pixels an inch, of which each holds a bin of the outline.
    """
    if inches_of(axes) * POINTS >= LETTER_POINTS * len(values):
        draw_letters(axes, np.nan_to_num(values), first=start)
    else:
        draw_outline(axes, values.sum(axis=1), start, dpi=dpi)


def draw_letters(axes: Axes, values: Doubles, *, first: int = 0) -> None:
    """Draw letters as high as their values, shape (L, 4); none where all are zero."""
    if not values.any():
        return
    # These take a second to load, which outlines do without.
    import pandas as pd
    from logomaker import Logo

    table = pd.DataFrame(values, columns=list("ACGT"), index=pd.RangeIndex(first, first + len(values)))
    Logo(table, ax=axes, color_scheme=COLOURS, show_spines=False, flip_below=False)


def draw_outline(axes: Axes, values: Doubles, start: int, *, dpi: float, colour: str = INK) -> None:
    """Draw values, shape (L,), as a filled outline: of each pixel its smallest and its largest value."""
    most = max(1, int(inches_of(axes) * dpi))
    edges, low, high = envelope(values, most)
    axes.stairs(
        high, edges + (start - 0.5), baseline=low, fill=True, color=colour,
        linewidth=_HAIRLINE if len(values) > most else 0.0, joinstyle="bevel",
    )  # fmt: skip


def draw_unknown(axes: Axes, values: Doubles, start: int) -> None:
    """Shade where nothing is known: where one of the values of a position, shape (L, 4), is NaN."""
    unknown = np.isnan(values).any(axis=1)
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], unknown, [False]]))) - 0.5 + start
    for first, last in bounds.reshape(-1, 2):
        axes.axvspan(first, last, color=UNKNOWN, linewidth=0)


def inches_of(axes: Axes) -> float:
    """Give how wide axes are, before a layout moves them a little."""
    return float(axes.bbox.width / axes.figure.dpi)
