"""How time grows with the window's length, the batch and the number of windows: PLRP and the gradient.

    python -m benchmarks.speed.growth --save
    python -m benchmarks.speed.growth --rounds 1 --lengths 500 1000 --batches 1 2 --windows 8 16

BPNet-like networks with random weights. The slope is that of log time against log size: 1 is proportional.
"""

import argparse
import statistics
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from benchmarks.engines import DEFAULT, explanation, gradient
from benchmarks.networks import SCALAR, OneOutput, Subject
from benchmarks.options import timing_parser
from benchmarks.record import Keeper
from benchmarks.timing import interleaved, ready_device
from sparselrp_cli.model.architectures import BPNet

ENGINE = DEFAULT
LENGTHS, BATCHES, COUNTS = [1000, 2000, 4000, 8000], [1, 2, 4, 8, 16, 32, 64], [32, 64, 128, 256]


def bpnet(length: int) -> Subject:
    """A BPNet-like network for windows of some length."""
    torch.manual_seed(0)
    module = OneOutput(BPNet(64, 8), "counts").eval().requires_grad_(False)
    return Subject(f"BPNet-like 4x{length}", module, length, SCALAR)


def measure(
    subject: Subject, batch: int, batches: int, rounds: int, device: torch.device
) -> dict[str, float]:
    """Median seconds of so many batches, by each."""
    x = subject.inputs(batch).to(device)
    subject.module.to(device)
    once = {
        "gradient": gradient(subject.module, subject.target, x),
        "PLRP": explanation(subject, subject.graph(device), ENGINE, x),
    }  # fmt: skip
    runs = {name: lambda run=run: [run() for _ in range(batches)] for name, run in once.items()}
    return {name: statistics.median(t) for name, t in interleaved(runs, rounds, device).items()}


def slope(rows: list[dict[str, float]], name: str) -> float:
    """Slope of log time against log size."""
    sizes, seconds = [r["size"] for r in rows], [r[name] for r in rows]
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__, rounds=3)
    for name, sizes in (("--lengths", LENGTHS), ("--batches", BATCHES), ("--windows", COUNTS)):
        found.add_argument(name, type=int, nargs="+", default=sizes, metavar="N", help="two or more sizes")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    device = ready_device(given.device)
    keeper = Keeper.start("growth", given, device)
    usual = bpnet(2114)
    few, many = max(1, given.rounds // 3), given.rounds
    found = {
        "window length, bp": [{"size": n, **measure(bpnet(n), 4, 1, many, device)} for n in given.lengths],
        "batch": [{"size": n, **measure(usual, n, 1, many, device)} for n in given.batches],
        "windows, in batches of 8": [
            {"size": n, **measure(usual, 8, -(-n // 8), few, device)} for n in given.windows
        ],
    }
    for what, rows in found.items():
        print(f"\n{what}: slope {slope(rows, 'PLRP'):.2f} (gradient {slope(rows, 'gradient'):.2f})")
        print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))
    keeper.keep(found)


if __name__ == "__main__":
    main()
