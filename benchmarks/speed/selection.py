"""Time of the selection alone: which neurons stay, and their scale, for one layer of random relevance.

    python -m benchmarks.speed.selection --save

As ratios to `torch.sort` of the same relevance. The relevance is that of a rectified layer: half of it zero.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import Tensor

from benchmarks.options import timing_parser
from benchmarks.record import Keeper
from benchmarks.timing import interleaved, ratios, ready_device
from sparselrp_cli.relevance.pruning import Pruning, kept, survivors_scale

LAYERS = {"Basset-like 300x1000": 300_000, "BPNet-like 64x2114": 135_296, "CI-SpliceAI 32x10001": 320_032}
PRUNING = Pruning(0.25)


def plain(a: Tensor, c: Tensor) -> Tensor:
    """Prune and scale with sorts, the definition."""
    relevance = a * c
    factors, _ = survivors_scale(relevance, kept(relevance, PRUNING.positive, PRUNING.proportion_negative))
    return c * factors


# What competes: functions of activations and multipliers, each (N, neurons).
CONTENDERS: dict[str, Callable[[Tensor, Tensor], object]] = {
    "torch.sort": lambda a, c: torch.sort(a * c, dim=1),
    "a copy": lambda a, c: c.clone(),
    "pruning with plain torch": plain,
    "pruning, compiled": PRUNING.scale,
}


def options() -> argparse.ArgumentParser:
    return timing_parser(__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    device = ready_device(given.device)
    keeper = Keeper.start("selection", given, device)
    rows = []
    for layer, neurons in LAYERS.items():
        for batch in (1, 8):
            generator = torch.Generator().manual_seed(0)
            a = torch.randn(batch, neurons, generator=generator).relu().to(device)
            c = torch.randn(batch, neurons, generator=generator).to(device)
            runs = {name: lambda run=run, a=a, c=c: run(a, c) for name, run in CONTENDERS.items()}
            times = interleaved(runs, given.rounds, device)
            sort = 1000 * statistics.median(times["torch.sort"]) / batch
            row = {"layer": layer, "batch": batch, "torch.sort, ms a sample": sort}
            rows.append({**row, **ratios(times, "torch.sort")})
    print(pd.DataFrame(rows).set_index(["layer", "batch"]).T.to_string(float_format="%.3f"))
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
