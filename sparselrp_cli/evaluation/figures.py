"""Plots of an evaluation."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from sparselrp_cli.evaluation.intervals import interval
from sparselrp_cli.evaluation.summary import KEYS, OF_MAPS, OF_WINDOWS
from sparselrp_cli.files.atomic import replacing

NOTE: Any = {
    "xycoords": ("axes fraction", "data"),
    "ha": "center",
    "va": "center",
    "fontsize": 7,
    "color": "0.4",
}
MARKERS = "osD^vPX*<>"
# Names of methods are those of files, and text, dollars too.
_STYLE: Any = {"svg.hashsalt": "sparselrp", "text.parse_math": False}


@mpl.rc_context(_STYLE)
def plot_metrics(per_window: pd.DataFrame, path: Path) -> None:
    """Draw each metric of each method with its 95 % interval, as SVG; of the first target."""
    part = per_window[per_window["target"] == per_window["target"].iloc[0]]
    left_out = (*KEYS, "window", *OF_WINDOWS)
    metrics = [c for c in part.columns if c not in left_out and part[c].notna().any()]
    methods = list(dict.fromkeys(part["method"]))
    columns = min(4, len(metrics))
    rows = -(-len(metrics) // columns)
    width, height = 2.6 * columns + 0.5 + _width(methods), rows * (0.9 + 0.25 * len(methods))
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axis, metric in zip(axes, metrics, strict=False):
        for place, method in enumerate(methods):
            found = interval(part.loc[part["method"] == method, metric])
            if not found.windows and part.loc[part["method"] == method, OF_MAPS].notna().any():
                axis.annotate("not defined", (0.5, place), **NOTE)
            if found.windows:
                axis.plot([found.low, found.high], [place, place], color="0.4", lw=1.5)
                axis.plot(found.mean, place, MARKERS[place % len(MARKERS)], color="C0", ms=5)
        axis.set_title(metric.replace("_", " "), fontsize=9)
        axis.tick_params(labelsize=8)
        axis.grid(axis="x", lw=0.4, color="0.85")
        axis.set_yticks(range(len(methods)), methods)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    for axis in axes[len(metrics) :]:
        axis.set_visible(False)
    _save(figure, path)


@mpl.rc_context(_STYLE)
def plot_curves(curves: pd.DataFrame, path: Path) -> None:
    """Draw the mean deletion and insertion curves, as SVG; of the first target."""
    part = curves[curves["target"] == curves["target"].iloc[0]]
    names = part["method"].drop_duplicates().astype(str)
    width, height = 9.5 + _width(names), max(3.4, 0.5 + 0.17 * len(names))
    figure = Figure(figsize=(width, height), layout="constrained")
    for axis, kind in zip(figure.subplots(1, 2, sharey=True), ("deletion", "insertion"), strict=True):
        for number, (method, lines) in enumerate(part.groupby("method", sort=False)):
            style = {"color": "0.5", "ls": "--"} if method == "random order" else {"color": f"C{number % 10}"}
            axis.plot(
                100 * lines["share"], lines[kind], marker=MARKERS[number % len(MARKERS)], ms=3.5, lw=1.2,
                label=str(method), **style,
            )  # fmt: skip
        axis.set_xscale("symlog", linthresh=5)
        axis.set_xticks([0, 1, 2, 5, 10, 20, 50, 100], ["0", "1", "2", "5", "10", "20", "50", "100"])
        axis.set_xlabel(
            "positions replaced, %" if kind == "deletion" else "positions of the window put in, %"
        )
        axis.set_title(kind, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(lw=0.4, color="0.9")
    figure.axes[0].set_ylabel("score, mean over windows")
    # Named here, because a legend by itself leaves out names that begin with an underscore.
    legend = figure.legend(
        figure.axes[1].lines, [""] * len(names), loc="outside right upper", fontsize=8, frameon=False
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
    _save(figure, path)


def _width(names: Iterable[str]) -> float:
    """Give the inches that the longest name takes: names of methods are those of files, and may be long."""
    return 0.075 * max(map(len, names), default=0)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as hidden:
        figure.savefig(hidden, format="svg", metadata={"Date": None})
