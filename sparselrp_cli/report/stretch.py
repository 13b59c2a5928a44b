"""The figure of one stretch: contributions, and below them signals, genes and hits on the same positions."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from sparselrp_cli.report.bases import POINTS, Doubles, draw_bases, draw_outline, draw_unknown, inches_of
from sparselrp_cli.report.features import Lanes, draw_features
from sparselrp_cli.report.figures import Track, draw_kept
from sparselrp_cli.report.style import HIGHLIGHT, SLATE, SOFT, styled
from sparselrp_cli.sequences.features import Feature

WIDE = 9.0
_TRACK, _SIGNAL, _LANE, _AROUND = 1.15, 0.7, 0.27, 0.55
"""Inches: of a row of contributions, of a signal, of a lane of genes; of what stands around them."""


@dataclass(frozen=True, eq=False)
class Signal:
    """A row of measured values, such as a bigWig's.

    Attributes
    ----------
    label : str
    values : ndarray of float64, shape (L,)
        NaN where there is none.
    """

    label: str
    values: Doubles


@dataclass(frozen=True, eq=False)
class Annotation:
    """A row of genes, hits or other features.

    Attributes
    ----------
    label : str
    features : sequence of Feature
        Those that lie over the stretch.
    """

    label: str
    features: Sequence[Feature]


@dataclass(frozen=True)
class Shape:
    """How a figure is drawn.

    Attributes
    ----------
    wide : float
        Inches.
    high : float or None
        Inches; None is as its rows need.
    dpi : float
        Pixels an inch.
    limits : (float, float) or None
        Of the contributions; None is as they need.
    highlights : tuple of (start, end)
        Shaded in all rows: 0-based half-open, on the chromosome.
    """

    wide: float = WIDE
    high: float | None = None
    dpi: float = 200.0
    limits: tuple[float, float] | None = None
    highlights: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Rows:
    """What is drawn of a stretch, from above.

    Attributes
    ----------
    tracks : sequence of Track
        Contributions, all to one scale.
    signals : sequence of Signal
        Each to its own scale.
    annotations : sequence of Annotation
    """

    tracks: Sequence[Track]
    signals: Sequence[Signal] = field(default=())
    annotations: Sequence[Annotation] = field(default=())


@styled
def draw_stretch(rows: Rows, chrom: str, start: int, shape: Shape) -> tuple[Figure, int]:
    """Draw a stretch of a chromosome.

    Parameters
    ----------
    rows : Rows
        Of equal length L.
    chrom : str
    start : int
        0-based; the axis counts from 1.
    shape : Shape

    Returns
    -------
    figure : Figure
    unnamed : int
        How many names of features had no room, and no colour that says them.
    """
    length = len(rows.tracks[0].contributions)
    lanes = [_lanes(a, start, length, shape.wide) for a in rows.annotations]
    figure, axes, beside = _axes(rows, lanes, shape)
    if beside:
        draw_kept(beside, [track.kept or () for track in rows.tracks])
    upper, signals, lower = _split(axes, len(rows.tracks), len(rows.signals))
    _draw_tracks(upper, rows.tracks, start, shape)
    for each, signal in zip(signals, rows.signals, strict=True):
        _draw_signal(each, signal, start, shape.dpi)
    for each, annotation, packed in zip(lower, rows.annotations, lanes, strict=True):
        draw_features(each, packed)
        _label(each, annotation.label)
    for each in axes:
        for first, last in shape.highlights:
            each.axvspan(first + 0.5, last + 0.5, color=HIGHLIGHT, linewidth=0, zorder=-1)
    if len(axes) > 1:
        for each, track in zip(upper, rows.tracks, strict=True):
            _label(each, track.label)
    _draw_positions(axes, chrom, start, length)
    return figure, sum(packed.unnamed for packed in lanes if not packed.key)


def _axes(rows: Rows, lanes: Sequence[Lanes], shape: Shape) -> tuple[Figure, list[Axes], list[Axes]]:
    """Make a figure; give the axes of its rows, and those beside the contributions where they are wanted."""
    heights = [_TRACK] * len(rows.tracks) + [_SIGNAL] * len(rows.signals)
    heights += [max(1, packed.number) * _LANE for packed in lanes]
    high = sum(heights) + 0.17 * (len(heights) - 1) + _AROUND
    figure = Figure(figsize=(shape.wide, shape.high or high), layout="constrained")
    beside = any(track.kept is not None for track in rows.tracks)
    ratios = [5, 1][: 1 + beside]
    grid = GridSpec(len(heights), 1 + beside, figure=figure, height_ratios=heights, width_ratios=ratios)
    axes: list[Axes] = []
    for row in range(len(heights)):
        axes.append(figure.add_subplot(grid[row, 0], sharex=axes[0] if axes else None))
    kept: list[Axes] = []
    for row in range(len(rows.tracks) if beside else 0):
        shared = kept[0] if kept else None
        kept.append(figure.add_subplot(grid[row, 1], sharex=shared, sharey=shared))
    for each in (*axes[:-1], *kept[:-1]):
        each.tick_params(labelbottom=False, bottom=False)
    for each in axes[:-1]:
        each.spines["bottom"].set_visible(False)
    return figure, axes, kept


def _split(axes: list[Axes], first: int, second: int) -> tuple[list[Axes], list[Axes], list[Axes]]:
    return axes[:first], axes[first : first + second], axes[first + second :]


def _draw_tracks(axes: Sequence[Axes], tracks: Sequence[Track], start: int, shape: Shape) -> None:
    """Draw contributions, all to one scale."""
    low, high = shape.limits or _limits(tracks)
    for each, track in zip(axes, tracks, strict=True):
        draw_bases(each, track.contributions, start + 1, shape.dpi)
        draw_unknown(each, track.contributions, start + 1)
        each.axhline(0, color=SOFT, linewidth=0.5)
        # Letters come without a scale.
        each.spines["left"].set(visible=True, color=SOFT, linewidth=mpl.rcParams["axes.linewidth"])
        each.set_ylabel("contribution")
        each.set_ylim(low, high)


def _limits(tracks: Sequence[Track]) -> tuple[float, float]:
    """Give the scale that all contributions fit on."""
    known = [np.nan_to_num(track.contributions) for track in tracks]
    high = max(float(np.maximum(k, 0).sum(axis=1).max()) for k in known)
    low = min(float(np.minimum(k, 0).sum(axis=1).min()) for k in known)
    if low == high == 0:
        high = 1.0
    return 1.05 * low, 1.05 * high


def _draw_signal(axes: Axes, signal: Signal, start: int, dpi: float) -> None:
    """Draw a signal to its own scale."""
    draw_outline(axes, signal.values, start + 1, dpi=dpi, colour=SLATE)
    known = np.nan_to_num(signal.values)
    low, high = min(float(known.min()), 0.0), max(float(known.max()), 0.0)
    axes.set_ylim(1.05 * low, 1.05 * high if high > low else 1.0)
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
    _label(axes, signal.label)


def _lanes(annotation: Annotation, start: int, length: int, wide: float) -> Lanes:
    """Lay features out in lanes, by how wide their names are on the figure."""
    points = max(0.8 * wide * POINTS, 1.0)
    return Lanes.of(annotation.features, start, start + length, length / points)


def _label(axes: Axes, label: str) -> None:
    axes.set_title(label, loc="left", fontsize=7, pad=2.0)


def _draw_positions(axes: Sequence[Axes], chrom: str, start: int, length: int) -> None:
    last = axes[-1]
    axes[0].set_xlim(start + 0.5, start + length + 0.5)
    last.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    most = max(2, min(8, int(inches_of(last) / 1.1)))
    last.xaxis.set_major_locator(mpl.ticker.MaxNLocator(most, integer=True))
    last.set_xlabel(f"position on {chrom}")
