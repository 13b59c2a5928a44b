"""A network with attention on real peaks: a convolutional stem and transformer blocks, su(Hw) and BEAF-32.

    python -m benchmarks.evidence.attention --save     --quick takes two minutes

Peaks of chr2R of dm3 (Bushey et al. 2009; see insulators.py), windows of 600 bp. Two convolutions with GELU
and max pooling make 37 tokens of 32 channels; two pre-norm transformer blocks (LayerNorm, attention with
four heads, GELU) and the mean over tokens follow, and a logit for each factor.

For each seed a network learns on 0-13 Mb, the best epoch is chosen on 13-15 Mb, and it is tested on 15-21 Mb.
Test peaks that hold a match of the factor's matrix and that the network calls are explained by every method
of the list, and measured as in `comparison.py`.
"""

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

if __name__ == "__main__":
    # As the command has it, before torch starts its threads: those that wait let other programs work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.evidence.binding import Recipe, fit, logits, tested
from benchmarks.evidence.comparison import Subject, Windows, compared
from benchmarks.evidence.insulator_peaks import FACTORS, SUHW, TEST, WINDOW, Factor, Peaks, log_odds
from benchmarks.evidence.methods import every_method
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.evaluation.evaluated_windows import evenly
from sparselrp_cli.evaluation.sites import motif_sites
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term

EXPLAINED = (SUHW, FACTORS[0])
CHANNELS, HEADS, BLOCKS, POOL, DROPOUT = 32, 4, 2, 4, 0.2
RECIPE = Recipe(epochs=18, rate=2e-3, decay=5e-2)
COUNT, FEWEST = 24, 5


class Attention(nn.Module):
    """Self-attention of tokens (N, T, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed, self.out = nn.Linear(CHANNELS, 3 * CHANNELS), nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        q, k, v = self.mixed(x).reshape(n, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(found.transpose(1, 2).reshape(n, t, CHANNELS))
        return out


class Block(nn.Module):
    """A transformer block, normalised before each part."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_dense = nn.LayerNorm(CHANNELS), nn.LayerNorm(CHANNELS)
        self.attention, self.dropout = Attention(), nn.Dropout(DROPOUT)
        self.dense = nn.Sequential(
            nn.Linear(CHANNELS, 2 * CHANNELS),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(2 * CHANNELS, CHANNELS),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.before_attention(x)))
        found: Tensor = x + self.dense(self.before_dense(x))
        return found


class ConvTransformer(nn.Module):
    """Logits (N, factors) of windows (N, 4, 600)."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(4, CHANNELS, 21, padding=10), nn.BatchNorm1d(CHANNELS), nn.GELU(), nn.MaxPool1d(POOL),
            nn.Conv1d(CHANNELS, CHANNELS, 5, padding=2), nn.BatchNorm1d(CHANNELS), nn.GELU(),
            nn.MaxPool1d(POOL),
        )  # fmt: skip
        self.place = nn.Parameter(0.02 * torch.randn(WINDOW // POOL**2, CHANNELS))
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.head = nn.Sequential(nn.LayerNorm(CHANNELS), nn.Dropout(DROPOUT), nn.Linear(CHANNELS, tasks))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x).transpose(1, 2) + self.place
        found: Tensor = self.head(self.blocks(tokens).mean(1))
        return found


def network(data: Peaks, seed: int, recipe: Recipe) -> nn.Module:
    """Train a network."""
    torch.manual_seed(seed)
    net = ConvTransformer(len(data.factors))
    fit(net, data, seed, recipe)
    return net


def chosen(net: nn.Module, data: Peaks, task: int, factor: Factor, count: int) -> Windows | None:
    """Test peaks that hold a match and that the network calls, evenly from all; None where there are few."""
    one_hot = data.one_hot(data.centres(task, TEST))
    called = logits(net, torch.from_numpy(one_hot).float())[:, task] > 0
    sites = motif_sites(one_hot, log_odds(factor.motif), factor.bits)
    fits = [i for i, found in enumerate(sites) if called[i] and found.mask.any()]
    if len(fits) < FEWEST:
        return None
    some = [fits[i] for i in evenly(len(fits), count)]
    return Windows(one_hot[some], [sites[i] for i in some])


def explained(net: nn.Module, data: Peaks, count: int, *, quick: bool) -> list[dict[str, Any]]:
    """Explain the chosen windows of each factor by every method."""
    rows = []
    for task, factor in enumerate(data.factors):
        windows = chosen(net, data, task, factor, count)
        if windows is None:
            print(f"{factor.name}: fewer than {FEWEST} windows, too few to explain")
            continue
        graph = capture(net, torch.from_numpy(windows.one_hot[:1]).float())
        subject = Subject(net, graph, Target(factor.name, (Term(0, task, None),)))
        found = compared(factor.name, subject, windows, every_method(quick=quick))
        rows += [{"factor": factor.name, **row} for row in found]
    return rows


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--quick", action="store_true", help="one seed, few epochs, windows and methods")
    found.add_argument("--seeds", type=int, default=2)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("attention", given, torch.device("cpu"))
    recipe = Recipe(6, RECIPE.rate, RECIPE.decay) if given.quick else RECIPE
    seeds, count = (1, 8) if given.quick else (given.seeds, COUNT)
    data, networks, rows = Peaks(EXPLAINED), [], []
    for seed in range(seeds):
        began = time.perf_counter()
        net = network(data, seed, recipe)
        took = time.perf_counter() - began
        networks += [{"seed": seed, **row, "seconds": took} for row in tested(net, data, TEST)]
        print(pd.DataFrame(networks).round(3).to_string(index=False), flush=True)
        rows += [{"seed": seed, **row} for row in explained(net, data, count, quick=given.quick)]
        keeper.keep_so_far({"networks": networks, "rows": rows})
    keeper.keep({"networks": networks, "rows": rows})


if __name__ == "__main__":
    main()
