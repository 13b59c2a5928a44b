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
from benchmarks.evidence.ruling import DECIDING, TITLES, verdicts
from benchmarks.evidence.tables import faithful_data, kept
from benchmarks.record import RESULTS, Row, load

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#F0E442", "#D55E00", "#999999", "#CC79A7")
MARKERS = "osD^vPX"
PANELS = (*DECIDING, "zero_share")
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
    """Metrics against p, a line for each data set."""
    found = verdicts(faithful_data())
    figure = Figure(figsize=(13, 3.9), layout="constrained")
    row = figure.subplots(1, len(PANELS))
    for axis, metric in zip(row, PANELS, strict=True):
        panel(axis, found, metric)
        axis.set_title(TITLES[metric], fontsize=9)
        axis.set_xlabel("p")
    lines = row[0].get_legend_handles_labels()
    figure.legend(*lines, fontsize=7, frameon=False, ncol=5, loc="outside lower center")
    figure.savefig(RESULTS / "proportions.png", dpi=100)


def panel(axis: Axes, found: pd.DataFrame, metric: str) -> None:
    """One metric of each data set, by epsilon-gamma, centred."""
    names = {0.0: "LRP epsilon-gamma centred"}
    names |= {p: f"PLRP-lambda epsilon-gamma p={p:g} centred" for p in (0.02, 0.05, 0.1, 0.25)}
    for number, (label, table) in enumerate(found.groupby("data", sort=False)):
        of_way = table.set_index("name")[metric].reindex(names.values())
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axis.plot([*names], of_way, marker=marker, ms=4, lw=1.2, color=colour, label=label)
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
