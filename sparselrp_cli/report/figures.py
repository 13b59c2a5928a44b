"""Figures with matplotlib and logomaker, the same bytes for the same numbers."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparselrp_cli.errors import InputError
from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.report.bases import draw_bases
from sparselrp_cli.report.style import INK, SLATE, SOFT, STYLE, styled

Doubles = npt.NDArray[np.float64]

ENDINGS = (".svg", ".png", ".pdf")


@dataclass(frozen=True, eq=False)
class Track:
    """A row of a figure.

    Attributes
    ----------
    label : str
    contributions : ndarray of float64, shape (L, 4)
    kept : sequence of float or None
        Share of neurons that pruning kept in each layer, from the input on; empty without pruning, None
        where it isn't to be drawn.
    """

    label: str
    contributions: Doubles
    kept: Sequence[float] | None = None


@styled
def draw_histogram(values: Doubles, label: str, *, logarithmic: bool = False) -> Figure:
    """Draw how values of the windows are distributed."""
    figure = Figure(figsize=(3.6, 2.1), layout="constrained")
    axes = figure.subplots()
    finite = values[np.isfinite(values)]
    if logarithmic:
        finite = np.log10(np.maximum(finite, 1e-12))
    axes.hist(finite, bins=40, color=SLATE, linewidth=0)
    axes.set_xlabel(label)
    axes.set_ylabel("windows")
    return figure


@styled
def draw_profile(distance: Doubles, profile: Doubles, hits: Doubles) -> Figure:
    """Draw the mean absolute relevance, and the hits, by distance from the centre of the window."""
    figure = Figure(figsize=(9.0, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(distance, profile, color=INK, linewidth=1.0)
    axes.set_ylabel("mean |relevance|")
    axes.set_xlabel("distance from the window's centre in bp")
    axes.set_ylim(bottom=0)
    if len(hits):
        other = axes.twinx()
        other.spines["right"].set_visible(True)
        half = max(1.0, float(np.abs(distance).max()))
        other.hist(
            hits, bins=np.linspace(-half, half, 61).tolist(), histtype="step", linestyle="--", color="#0072B2"
        )
        other.set_ylabel("hits (dashed)")
    return figure


def as_data(figure: Figure) -> str:
    """Give a figure as a data address for a page, as SVG."""
    stream = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()


def require_ending(path: Path) -> str:
    """Give the ending of a figure's name.

    Raises
    ------
    InputError
        If it is none of `ENDINGS`.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{path}: can't tell the format; end the name in {', '.join(ENDINGS)}")
    return ending


def save(figure: Figure, path: Path, dpi: float = 200.0) -> None:
    """Save a figure, as its ending says.

    Parameters
    ----------
    figure : Figure
    path : Path
    dpi : float
        Of a PNG: pixels an inch.

    Raises
    ------
    InputError
        If the ending is none of `ENDINGS`.
    OutputError
        If the file can't be written.
    """
    ending = require_ending(path)
    metadata = {
        ".svg": {"Date": None, "Creator": None},
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }[ending]
    with mpl.rc_context(STYLE), replacing(path) as hidden:
        figure.savefig(hidden, format=ending[1:], metadata=metadata, dpi=dpi)


@styled
def draw_relevance(axes: Axes, contributions: Doubles, start: int) -> None:
    """Draw contributions on axes that are there, as letters, or as an outline where they couldn't be read.

    Parameters
    ----------
    axes : Axes
    contributions : ndarray of float64, shape (L, 4)
        NaN where nothing is known.
    start : int
        Position of the first base on the axis.
    """
    draw_bases(axes, contributions, start)
    axes.axhline(0, color=SOFT, linewidth=0.5)
    axes.set_xlim(start - 0.5, start + len(contributions) - 0.5)
    axes.set_ylabel("contribution")


@styled
def draw_heatmap(axes: Axes, relevance: Doubles) -> None:
    """Draw the relevance of an image, shape (H, W), on axes that are there: red is for, blue is against."""
    top = max(float(np.abs(relevance).max()), 1e-12)
    axes.imshow(relevance, cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def draw_kept(rows: Sequence[Axes], shares: Sequence[Sequence[float]]) -> None:
    """Draw which share of its neurons each layer kept, on a logarithmic scale."""
    lowest = min((share for kept in shares for share in kept if share > 0), default=0.1)
    for axes, kept in zip(rows, shares, strict=True):
        if len(kept):
            axes.bar(np.arange(1, len(kept) + 1), np.maximum(kept, lowest / 4), color=SLATE, width=0.8)
        else:
            axes.text(0.5, 0.5, "not pruned", transform=axes.transAxes, ha="center", va="center")
    rows[0].set_yscale("log")
    rows[0].set_yticks(_ticks_of_shares(lowest))
    rows[0].set_ylim(lowest / 2, 1)
    rows[0].yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    # Labels between these would be written in mathematics, which no figure reads.
    rows[0].yaxis.set_minor_locator(mpl.ticker.NullLocator())
    rows[0].set_title("neurons kept", fontsize=8)
    rows[-1].xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))
    rows[-1].set_xlabel("layer, from the input")


def _ticks_of_shares(lowest: float) -> list[float]:
    """Give ticks of a logarithmic scale up to 1, few whatever it spans."""
    decades = max(1, math.ceil(-math.log10(lowest)))
    if decades < 2:
        return [0.1, 0.2, 0.5, 1.0]
    return [10.0**-power for power in range(0, decades + 1, math.ceil(decades / 4))]
