"""A profile network on real peaks: where peaks of su(Hw) and BEAF-32 lie, base by base, and how many bases.

    python -m benchmarks.evidence.profiles --save     --quick takes two minutes

A BPNet of 24 filters: a convolution of 21 bp, six dilated residual ones, a profile head of 75 bp and a head
of log counts. What it learns are intervals of peaks of two cell lines, see `peak_profiles.py`: not reads.
It learns on 0-13 Mb of dm3 chr2R, the best epoch is chosen on 13-15 Mb, and it is tested on 15-21 Mb, in
windows of 800 bp whose peak lies anywhere in the middle 500. The first convolution starts from filters of
the shipped su(Hw) model.

Test windows whose peak holds a match of the factor's matrix, and whose profile finds the peak, are explained
by the target `profile@profile` (the shape of the profile, its softmax held constant) and by the log counts.
The known answer is the matches; mutagenesis is the model's own.
"""

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

if __name__ == "__main__":
    # As the command has it, before torch starts its threads: those that wait let other programs work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.evidence.comparison import Subject, Windows, compared
from benchmarks.evidence.insulator_peaks import TEST, log_odds
from benchmarks.evidence.methods import every_method
from benchmarks.evidence.peak_profiles import (
    LENGTH,
    MOVED,
    NEAR,
    PROFILED,
    Profiles,
    highest,
    predicted,
    tested,
    train,
)
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.evaluation.evaluated_windows import evenly
from sparselrp_cli.evaluation.sites import motif_sites
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term

EPOCHS, COUNT, FEWEST = 8, 24, 5
HEADS = ("profile", "counts")


def target(head: str, task: int) -> Target:
    """Give the target of a head: the profile's shape, or the log counts."""
    name = f"{PROFILED[task].name}, {head}"
    return Target(name, (Term(HEADS.index(head), task, None, profile=head == "profile"),))


def chosen(net: nn.Module, data: Profiles, task: int, count: int) -> Windows | None:
    """Test windows that hold a match and whose profile finds the peak; None where there are few."""
    rng, factor = np.random.default_rng(3), PROFILED[task]
    midpoints = data.peaks.centres(task, TEST)
    centres = midpoints + rng.integers(-MOVED, MOVED + 1, len(midpoints))
    x = data.drawn(centres).x
    near = np.abs(highest(predicted(net, x)[0][:, task]) - (midpoints - centres + LENGTH // 2)) <= NEAR
    one_hot = x.numpy().astype(np.uint8)
    sites = motif_sites(one_hot, log_odds(factor.motif), factor.bits)
    fits = [i for i, found in enumerate(sites) if near[i] and found.mask.any()]
    if len(fits) < FEWEST:
        return None
    some = [fits[i] for i in evenly(len(fits), count)]
    return Windows(one_hot[some], [sites[i] for i in some])


def explained(net: nn.Module, data: Profiles, count: int, *, quick: bool) -> list[dict[str, Any]]:
    """Explain the chosen windows of each factor by every method, for both heads."""
    rows = []
    for task, factor in enumerate(PROFILED):
        windows = chosen(net, data, task, count)
        if windows is None:
            print(f"{factor.name}: fewer than {FEWEST} windows, too few to explain")
            continue
        graph = capture(net, torch.from_numpy(windows.one_hot[:1]).float())
        for head in HEADS:
            subject = Subject(net, graph, target(head, task))
            found = compared(f"{factor.name}, {head}", subject, windows, every_method(quick=quick))
            rows += [{"factor": factor.name, "target": head, **row} for row in found]
    return rows


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--quick", action="store_true", help="one seed, few epochs, windows and methods")
    found.add_argument("--seeds", type=int, default=1)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("profiles", given, torch.device("cpu"))
    seeds, epochs, count = (1, 3, 6) if given.quick else (given.seeds, EPOCHS, COUNT)
    data, networks, rows = Profiles(), [], []
    for seed in range(seeds):
        began = time.perf_counter()
        net = train(data, seed, epochs)
        took = time.perf_counter() - began
        networks += [{"seed": seed, **row, "seconds": took} for row in tested(net, data, TEST)]
        print(pd.DataFrame(networks).round(3).to_string(index=False), flush=True)
        rows += [{"seed": seed, **row} for row in explained(net, data, count, quick=given.quick)]
        keeper.keep_so_far({"networks": networks, "rows": rows})
    keeper.keep({"networks": networks, "rows": rows})


if __name__ == "__main__":
    main()
