"""How time grows with the window's length, the batch and the number of windows: PLRP and the gradient.

    python benchmarks/growth.py --save

BPNet-like networks with random weights. The slope is that of log time against log size: 1 is proportional.
"""

import statistics

import numpy as np
import pandas as pd
import torch
from common import OneOutput, Subject, explanation, gradient, interleaved, parser, save

from sparselrp_cli.model.architectures import BPNet
from sparselrp_cli.model.targets import Target, Term

ENGINE = "PLRP-lambda epsilon-plus, p=0.25"
LENGTHS, BATCHES, COUNTS = (1000, 2000, 4000, 8000), (1, 2, 4, 8, 16, 32), (32, 64, 128, 256)


def bpnet(length: int) -> Subject:
    """A BPNet-like network for windows of some length."""
    torch.manual_seed(0)
    module = OneOutput(BPNet(64, 8), "counts").eval().requires_grad_(False)
    return Subject(f"BPNet-like 4x{length}", module, length, Target("scalar", (Term(0, 0, None),)))


def measure(
    subject: Subject, batch: int, rounds: int, repeats: int, device: torch.device
) -> dict[str, float]:
    """Median seconds of so many batches, by each."""
    x = subject.inputs(batch).to(device)
    subject.module.to(device)
    once = {
        "gradient": gradient(subject, x), "PLRP": explanation(subject, subject.graph(device), ENGINE, x)
    }  # fmt: skip
    runs = {name: lambda run=run: [run() for _ in range(rounds)] for name, run in once.items()}
    return {name: statistics.median(t) for name, t in interleaved(runs, repeats, device).items()}


def slope(rows: list[dict[str, float]], name: str) -> float:
    """Slope of log time against log size."""
    sizes, seconds = [r["size"] for r in rows], [r[name] for r in rows]
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def main() -> None:
    given = parser(__doc__, repeats=3).parse_args()
    device = torch.device(given.device)
    usual = bpnet(2114)
    found = {
        "window length, bp": [{"size": n, **measure(bpnet(n), 4, 1, given.repeats, device)} for n in LENGTHS],
        "batch": [{"size": n, **measure(usual, n, 1, given.repeats, device)} for n in BATCHES],
        "windows, in batches of 8": [
            {"size": n, **measure(usual, 8, n // 8, max(1, given.repeats // 3), device)} for n in COUNTS
        ],
    }
    for what, rows in found.items():
        print(f"\n{what}: slope {slope(rows, 'PLRP'):.2f} (gradient {slope(rows, 'gradient'):.2f})")
        print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))
    if given.save:
        save("growth", found, device)


if __name__ == "__main__":
    main()
