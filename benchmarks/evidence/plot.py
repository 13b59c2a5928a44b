"""Draw the figures of the README from benchmarks/results/*.json.

pip install matplotlib
python benchmarks/plot.py
"""

import json

import matplotlib.pyplot as plt
import numpy as np
from common import ENGINES, RESULTS, ROOT

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7")


def speed(axes: plt.Axes) -> None:
    """Ratios to the gradient, batch 8, by network and engine."""
    measured = json.loads((RESULTS / "engine_speed_cpu.json").read_text())["rows"]["time"]
    rows = [r for r in measured if r["batch"] == 8]
    places = np.arange(len(rows))
    width = 0.8 / len(ENGINES)
    for i, (engine, colour) in enumerate(zip(ENGINES, COLOURS, strict=True)):
        offset = (i - (len(ENGINES) - 1) / 2) * width
        axes.bar(places + offset, [r[engine] for r in rows], width, color=colour, label=engine)
    axes.axhline(1, color="black", linewidth=1)
    axes.annotate("one gradient x input", (len(rows) - 0.5, 1.02), ha="right", fontsize=8)
    labels = [r["network"].replace(" 4x", "\n4x").replace(", trained", "\ntrained") for r in rows]
    axes.set_xticks(places, labels, fontsize=8)
    axes.set_ylabel("time, as a ratio to the gradient's")
    axes.set_title("Batches of 8 windows, two CPU cores", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=7, loc="upper right", bbox_to_anchor=(1, 0.98))


def growth(axes: plt.Axes) -> None:
    """Milliseconds by window length."""
    rows = json.loads((RESULTS / "growth_cpu.json").read_text())["rows"]["window length, bp"]
    sizes = [r["size"] for r in rows]
    for name, colour in (("gradient", "black"), ("PLRP", COLOURS[4])):
        axes.plot(sizes, [1000 * r[name] / 4 for r in rows], "o-", color=colour, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(sizes, [str(n) for n in sizes], fontsize=8)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("window, bp")
    axes.set_ylabel("ms a window")
    axes.set_title("BPNet-like, by window length", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def main() -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 1.2), layout="constrained")
    speed(left)
    growth(right)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    path = RESULTS / "speed.png"
    figure.savefig(path, dpi=110)
    print(f"drawn to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
