"""Which explanation is faithful: what the defaults are decided by, on real peaks and real splice sites.

    python -m benchmarks.evidence.faithful --save     an hour on two cores; --quick takes three minutes
    python -m benchmarks.evidence.faithful --only splice --save

Held-out windows of four data sets, explained by every method of `methods.networks_methods` and by baselines,
and measured by every metric as in `comparison.py`: su(Hw) by the shipped model; BEAF-32 by a residual network
for each seed (insulators.py); donors and acceptors of hg19 chr22:20-21 Mb by networks of CI-SpliceAI, whose
windows have 10,001 bp (splice_sites.py). There mutagenesis changes the 401 bp around the site, and the curves
replace at most 200 positions.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # As the command has it, before torch starts its threads: those that wait let other programs work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from benchmarks.evidence.attention import chosen
from benchmarks.evidence.comparison import ROUNDS, Subject, Windows, compared
from benchmarks.evidence.insulator_peaks import FACTORS, SUHW, Peaks
from benchmarks.evidence.insulators import train
from benchmarks.evidence.methods import Method, networks_methods
from benchmarks.evidence.public import public_path
from benchmarks.evidence.splice_sites import TASKS, found_sites, load
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.evaluation.site_metrics import Sites
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.importing import ImportRequest, import_model, write_folders
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest

DATA = ("suhw", "beaf", "splice")
EPOCHS = 25
AROUND = 200
REPLACED = (0, 3, 10, 20, 40, 70, 100, 150, 200)
NEAR = 10
"""What counts as a splice site's own: bases so far from it."""

Found = Iterator[tuple[dict[str, Any], Subject, Windows, int]]
"""About a network and a task, what explains, what is explained, and how often each method is timed."""


def suhw(count: int) -> Found:
    """The shipped model on held-out peaks that hold a match."""
    model = load_model(ModelRequest(str(ROOT / "models" / "suhw-dm3")))
    module = model.module.eval().requires_grad_(False)
    windows = chosen(module, Peaks((SUHW,)), 0, SUHW, count)
    if windows is None:
        raise SystemExit("su(Hw): too few windows")
    graph = capture(module, torch.from_numpy(windows.one_hot[:1]).float())
    yield {"data": "su(Hw)"}, Subject(module, graph, Target("suhw", (Term(0, 0, None),))), windows, ROUNDS


def beaf(count: int, seeds: int, epochs: int) -> Found:
    """A residual network for each seed, on held-out peaks of BEAF-32 that hold a match."""
    data = Peaks(FACTORS)
    for seed in range(seeds):
        net = train(data, seed, epochs)
        windows = chosen(net, data, 0, FACTORS[0], count)
        if windows is None:
            print(f"BEAF-32, seed {seed}: too few windows")
            continue
        graph = capture(net, torch.from_numpy(windows.one_hot[:1]).float())
        subject = Subject(net, graph, Target("BEAF-32", (Term(0, 0, None),)))
        yield {"data": "BEAF-32", "seed": seed}, subject, windows, ROUNDS


def splice(count: int, networks: Sequence[int], folder: Path) -> Found:
    """Some of CI-SpliceAI's networks at real donors and acceptors."""
    checkpoint = public_path("CI-SpliceAI.pb")
    written = write_folders(
        import_model(checkpoint, "auto", ImportRequest()), folder / "ci", str(checkpoint), force=True
    )
    for number in networks:
        for task in TASKS[:2]:
            given = load(replace(task, sites=count), folder, written[number][0])
            one_hot, _ = found_sites(given)
            model = given.model
            mask = abs(torch.arange(model.window) - task.site).numpy() <= NEAR
            windows = Windows(
                one_hot, [Sites.of_mask(mask)] * len(one_hot),
                within=slice(task.site - AROUND, task.site + AROUND + 1),
                shares=tuple(k / model.window for k in REPLACED),
            )  # fmt: skip
            module = model.module.eval().requires_grad_(False)
            subject = Subject(module, given.graph, given.target, model.layout, given.names)
            yield {"data": f"splice, {task.kind}s", "network": number + 1}, subject, windows, 1


def explained(found: Found, methods: Sequence[Method]) -> Iterator[dict[str, Any]]:
    """Compare all methods on each network."""
    for about, subject, windows, rounds in found:
        title = ", ".join(map(str, about.values()))
        yield from (about | row for row in compared(title, subject, windows, methods, rounds))


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--quick", action="store_true", help="few windows and methods, one seed")
    found.add_argument("--only", choices=DATA, nargs="+", default=DATA)
    found.add_argument("--seeds", type=int, default=3, help="of BEAF-32's network")
    found.add_argument("--networks", type=int, nargs="+", default=[0, 2], help="of CI-SpliceAI, from 0")
    found.add_argument("--sites", type=int, default=10, help="donors, and acceptors, of each network")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("faithful", given, torch.device("cpu"))
    methods = list(networks_methods(quick=given.quick))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        quick = given.quick
        seeds, epochs = (1, 4) if quick else (given.seeds, EPOCHS)
        sources = {
            "suhw": suhw(5 if quick else 60),
            "beaf": beaf(5 if quick else 24, seeds, epochs),
            "splice": splice(
                1 if quick else given.sites, given.networks[: 1 if quick else None], Path(folder)
            ),
        }
        for name in given.only:
            for row in explained(sources[name], methods):
                rows.append(row)
            keeper.keep_so_far({"rows": rows})
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
