"""Figures of `probe`: what inserts do, and how pairs interact over their spacing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparselrp_cli.report.style import COLOURS, INK, MARK, SLATE, SOFT, styled

WIDE = 6.5
MOST_BARS, MOST_PANELS = 60, 12
_NAME = 28


@dataclass(frozen=True, slots=True)
class Bar:
    """A mean with its interval, and the control's mean.

    Attributes
    ----------
    name : str
    mean, low, high : float
    control : float or None
    """

    name: str
    mean: float
    low: float
    high: float
    control: float | None


@dataclass(frozen=True, slots=True)
class Panel:
    """How a pair interacts.

    Attributes
    ----------
    name : str
    spacings : sequence of int
        In bp.
    lines : mapping of str to sequence of (mean, low, high)
        By orientation, one for each spacing.
    """

    name: str
    spacings: Sequence[int]
    lines: Mapping[str, Sequence[tuple[float, float, float]]]


@styled
def draw_effects(bars: Sequence[Bar], title: str) -> Figure:
    """Draw effects as bars with 95 % intervals, the largest first; at most `MOST_BARS` of them.

    Parameters
    ----------
    bars : sequence of Bar
    title : str
    """
    shown = sorted(bars, key=lambda bar: (-abs(bar.mean), bar.name))[:MOST_BARS]
    figure = Figure(figsize=(WIDE, 0.9 + 0.24 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(shown))
    axes.barh(places, [bar.mean for bar in shown], color=COLOURS["C"], alpha=0.7, height=0.6, zorder=2)
    axes.hlines(places, [b.low for b in shown], [b.high for b in shown], color=INK, linewidth=1, zorder=3)
    controls = [
        (place, bar.control) for place, bar in zip(places, shown, strict=True) if bar.control is not None
    ]
    if controls:
        axes.plot(
            [mean for _, mean in controls], [place for place, _ in controls], linestyle="", marker="|",
            markersize=9, markeredgewidth=2, color=COLOURS["T"], label="columns in another order", zorder=4,
        )  # fmt: skip
        figure.legend(frameon=False, loc="outside upper right", fontsize=7)
    axes.set_yticks(places, [_short(bar.name) for bar in shown])
    axes.invert_yaxis()
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=1)
    axes.set_xlabel("change of the score, mean and 95 % interval")
    axes.set_title(_title(title, len(bars), len(shown)), loc="left", fontsize=8)
    return figure


@styled
def draw_interactions(panels: Sequence[Panel], title: str) -> Figure:
    """Draw the interaction of each pair against its spacing, a line for each orientation.

    Parameters
    ----------
    panels : sequence of Panel
        Of at most `MOST_PANELS` pairs.
    title : str
    """
    shown = panels[:MOST_PANELS]
    figure = Figure(figsize=(WIDE, 0.4 + 2.1 * len(shown)), layout="constrained")
    rows = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axes, panel in zip(rows, shown, strict=True):
        _draw_panel(axes, panel)
    lines, names = rows[0].get_legend_handles_labels()
    figure.legend(
        lines, [f"strands {name}" for name in names], frameon=False, fontsize=7, ncols=4,
        loc="outside upper right",
    )  # fmt: skip
    rows[-1].set_xlabel("bp between the two")
    rows[0].set_title(
        f"{_title(title, len(panels), len(shown))}: {_short(shown[0].name, 60)}", loc="left", fontsize=8
    )
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    colours = (COLOURS["C"], COLOURS["T"], COLOURS["A"], MARK)
    for colour, (orientation, values) in zip(colours, panel.lines.items(), strict=True):
        means, lows, highs = zip(*values, strict=True)
        axes.plot(
            panel.spacings, means, color=colour, marker="o", markersize=2.5, linewidth=1, label=orientation
        )
        axes.fill_between(panel.spacings, lows, highs, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(0, color=SLATE, linewidth=0.8)
    axes.set_ylabel("interaction")
    axes.set_title(_short(panel.name, 60), loc="left", fontsize=8)


def _short(name: str, most: int = _NAME) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _title(title: str, there: int, shown: int) -> str:
    return _short(title, 80) if there == shown else f"{_short(title, 60)} ({shown} of {there})"
