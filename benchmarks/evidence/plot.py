"""Draw the plots of docs/ and RESULTS.md from the figures kept in benchmarks/results/.

python -m benchmarks.evidence.plot
"""

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.evidence.ages import threads
from benchmarks.evidence.tables import by_p, kept
from benchmarks.record import RESULTS, Row, load

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#F0E442", "#D55E00", "#999999", "#CC79A7")
MARKERS = "osD^vPX"
PANELS = {"mass_in_sites": "mass in mask", "auprc": "AUPRC", "zero_share": "zeros"}
BATCH = 8


def draw() -> None:
    """Draw all of them."""
    draw_speed()
    draw_proportions()


def draw_speed() -> None:
    """Engines against the gradient, and growth with the window."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1.2))
    speed(left)
    growth(right)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "speed.png", dpi=110)


def speed(axes: Axes) -> None:
    """Ratios to the gradient by network and engine; the gradient is that of what the target sees."""
    fair: dict[str, Row] = {
        row["network"]: row for row in kept("engine_speed", "time") if row["batch"] == BATCH
    }
    engines = [name for name in next(iter(fair.values())) if "LRP" in name]
    places = np.arange(len(fair))
    width = 0.8 / len(engines)
    for i, engine in enumerate(engines):
        offset = (i - (len(engines) - 1) / 2) * width
        axes.bar(
            places + offset, [row[engine] for row in fair.values()], width, color=COLOURS[i], label=engine
        )
    axes.axhline(1, color="black", linewidth=1)
    axes.annotate("one gradient x input", (len(fair) - 0.5, 1.02), ha="right", fontsize=8)
    labels = [
        name.replace(" 4x", "\n4x").replace(", ", "\n")
        + ("\ncropped" if "cropped" in row["reference"] else "")
        for name, row in fair.items()
    ]
    axes.set_xticks(places, labels, fontsize=8)
    axes.set_ylabel("time, as a ratio to the gradient's")
    with_threads = threads(load(RESULTS / "engine_speed_cpu.json").origin)
    axes.set_title(f"Batches of {BATCH} windows, CPU, {with_threads}", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=7, ncol=4, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def growth(axes: Axes) -> None:
    """Milliseconds by window length."""
    rows = kept("growth", "window length, bp")
    sizes = [row["size"] for row in rows]
    for name, colour in (("gradient", "black"), ("PLRP", COLOURS[5])):
        axes.plot(sizes, [1000 * row[name] / 4 for row in rows], "o-", color=colour, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(sizes, [str(n) for n in sizes], fontsize=8)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("window, bp")
    axes.set_ylabel("ms a window")
    axes.set_title("BPNet-like, by window length", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def draw_proportions() -> None:
    """Metrics against p: synthetic, su(Hw), images."""
    figure = Figure(figsize=(11, 8.2), layout="constrained")
    axes = figure.subplots(3, 4)
    for row, (label, data, last) in enumerate(by_p()):
        columns = {**PANELS, last: last.replace("_", " ")}
        for axis, (column, title) in zip(axes[row], columns.items(), strict=True):
            panel(axis, data, column)
            axis.set_title(f"{label}: {title}", fontsize=9)
    axes[0][0].legend(fontsize=8, frameon=False)
    for axis in axes[2]:
        axis.set_xlabel("p")
    figure.savefig(RESULTS / "proportions.png", dpi=100)


def panel(axis: Axes, data: pd.DataFrame, column: str) -> None:
    """One metric of one data set: the mean of each method, and a standard deviation around it."""
    for place, method in enumerate(("PLRP-lambda", "PLRP-M", "PLRP-lambda, then LRP")):
        part = data[data["method"].isin([method, "LRP"])]
        part = part.assign(p=pd.to_numeric(part["p"], errors="coerce")).dropna(subset=["p"])
        if method not in set(part["method"]):
            continue
        grouped = part.groupby("p")[column]
        mean, sd = grouped.mean(), grouped.std(ddof=0)
        axis.plot(mean.index, mean, marker=MARKERS[place], ms=4, lw=1.2, color=f"C{place}", label=method)
        axis.fill_between(mean.index, mean - sd, mean + sd, color=f"C{place}", alpha=0.15, lw=0)
    axis.grid(lw=0.4, color="0.9")
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)


def options() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)


def main(arguments: Sequence[str] | None = None) -> None:
    options().parse_args(arguments)
    draw()


if __name__ == "__main__":
    main()
