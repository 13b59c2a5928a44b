"""Which explanation is faithful: what the defaults are decided by, on real peaks and real splice sites.

    python -m benchmarks.evidence.faithful suhw --save         three minutes on two cores
    python -m benchmarks.evidence.faithful insulators --save   a quarter of an hour
    python -m benchmarks.evidence.faithful splice --save       an hour and a half
    --quick takes a minute or two

Held-out windows of a data set, explained by every method of `methods.networks_methods` and by baselines, and
measured by every metric as in `comparison.py`: su(Hw) by the shipped model; BEAF-32 and CTCF by a residual
network for each seed (insulators.py); donors and acceptors of hg19 chr22:20-21 Mb by networks of CI-SpliceAI,
whose windows have 10,001 bp, and by MMSplice's, of 18 and 53 bp (splice_sites.py). For CI-SpliceAI
mutagenesis changes the 201 bp around the site, the curves replace at most 200 positions, and fewer methods
are compared.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # As the command has it, before torch starts its threads: those that wait let other programs work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from benchmarks.evidence.attention import chosen
from benchmarks.evidence.comparison import DRAWS, EVERYWHERE, ROUNDS, Subject, Windows, compared
from benchmarks.evidence.insulator_peaks import FACTORS, SUHW, Peaks
from benchmarks.evidence.insulators import train
from benchmarks.evidence.methods import Method, fully_convolutional_methods, networks_methods
from benchmarks.evidence.public import public_path
from benchmarks.evidence.splice_sites import TASKS, found_sites, load
from benchmarks.evidence.splice_sites import Subject as SpliceSubject
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.evaluation.site_metrics import Sites
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.importing import ImportRequest, import_model, write_folders
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest

DATA = ("suhw", "insulators", "splice")
EPOCHS = 25
AROUND = 100
REPLACED = (0, 3, 10, 30, 100, 200)
NEAR = {"CI-SpliceAI": 10, "MMSplice": 2}
"""What counts as a splice site's own: bases so far from it."""
SHORT_SITES = 40
"""Donors, and acceptors, of MMSplice."""


@dataclass(frozen=True)
class Found:
    """What is compared.

    Attributes
    ----------
    about : dict
        The data set and the network.
    subject : Subject
    windows : Windows
    methods : sequence of Method
    rounds : int
        How often each method is timed.
    """

    about: dict[str, Any]
    subject: Subject
    windows: Windows
    methods: Sequence[Method]
    rounds: int = ROUNDS


def suhw(*, quick: bool) -> Iterator[Found]:
    """The shipped model on held-out peaks that hold a match."""
    model = load_model(ModelRequest(str(ROOT / "models" / "suhw-dm3")))
    module = model.module.eval().requires_grad_(False)
    windows = chosen(module, Peaks((SUHW,)), 0, SUHW, 5 if quick else 60)
    if windows is None:
        raise SystemExit("su(Hw): too few windows")
    graph = capture(module, torch.from_numpy(windows.one_hot[:1]).float())
    subject = Subject(module, graph, Target("suhw", (Term(0, 0, None),)))
    yield Found({"data": "su(Hw)"}, subject, windows, [*networks_methods(quick=quick)])


def insulators(seeds: int, *, quick: bool) -> Iterator[Found]:
    """A residual network for each seed, on held-out peaks of each factor that hold a match."""
    data = Peaks(FACTORS)
    for seed in range(1 if quick else seeds):
        net = train(data, seed, 4 if quick else EPOCHS)
        for task, factor in enumerate(FACTORS):
            windows = chosen(net, data, task, factor, 5 if quick else 24)
            if windows is None:
                print(f"{factor.name}, seed {seed}: too few windows")
                continue
            graph = capture(net, torch.from_numpy(windows.one_hot[:1]).float())
            subject = Subject(net, graph, Target(factor.name, (Term(0, task, None),)))
            about = {"data": factor.name, "seed": seed}
            yield Found(about, subject, windows, [*networks_methods(quick=quick)])


def long_splice(count: int, networks: Sequence[int], folder: Path, *, quick: bool) -> Iterator[Found]:
    """Some of CI-SpliceAI's networks at real donors and acceptors."""
    checkpoint = public_path("CI-SpliceAI.pb")
    written = write_folders(
        import_model(checkpoint, "auto", ImportRequest()), folder / "ci", str(checkpoint), force=True
    )
    methods = [*(networks_methods(quick=True) if quick else fully_convolutional_methods())]
    for number in networks[: 1 if quick else None]:
        for task in TASKS[:2]:
            given = load(replace(task, sites=1 if quick else count), folder, written[number][0])
            within = slice(task.site - AROUND, task.site + AROUND + 1)
            windows = at_sites(given, NEAR["CI-SpliceAI"], REPLACED, within=within, draws=1)
            about = {"data": f"CI-SpliceAI, {task.kind}s", "network": number + 1}
            yield Found(about, subject_of(given), windows, methods, 1)


def short_splice(folder: Path, *, quick: bool) -> Iterator[Found]:
    """MMSplice's networks at real donors and acceptors."""
    for task in TASKS[2:]:
        given = load(replace(task, sites=4 if quick else SHORT_SITES), folder)
        windows = at_sites(given, NEAR["MMSplice"], task.counts)
        about = {"data": f"MMSplice, {task.kind}s"}
        yield Found(about, subject_of(given), windows, [*networks_methods(quick=quick)])


def at_sites(
    given: SpliceSubject, near: int, replaced: Sequence[int], within: slice = EVERYWHERE, draws: int = DRAWS
) -> Windows:
    """Windows of a task's sites, which are the bases near the splice site."""
    one_hot, _ = found_sites(given)
    length = given.model.window
    mask = abs(torch.arange(length) - given.task.site).numpy() <= near
    sites = [Sites.of_mask(mask)] * len(one_hot)
    return Windows(one_hot, sites, within=within, shares=tuple(k / length for k in replaced), draws=draws)


def subject_of(given: SpliceSubject) -> Subject:
    """What explains a task's network."""
    module = given.model.module.eval().requires_grad_(False)
    return Subject(module, given.graph, given.target, given.model.layout, given.names)


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("data", choices=DATA)
    found.add_argument("--quick", action="store_true", help="few windows and methods, one seed")
    found.add_argument("--seeds", type=int, default=3, help="of the insulators' network")
    found.add_argument("--networks", type=int, nargs="+", default=[0, 2], help="of CI-SpliceAI, from 0")
    found.add_argument("--sites", type=int, default=10, help="donors, and acceptors, of each network")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start(f"faithful-{given.data}", given, torch.device("cpu"))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder, quick = Path(name), given.quick
        sources = {
            "suhw": suhw(quick=quick),
            "insulators": insulators(given.seeds, quick=quick),
            "splice": chain(
                short_splice(folder, quick=quick),
                long_splice(given.sites, given.networks, folder, quick=quick),
            ),
        }
        for found in sources[given.data]:
            title = ", ".join(map(str, found.about.values()))
            compared_rows = compared(title, found.subject, found.windows, found.methods, found.rounds)
            rows += [found.about | row for row in compared_rows]
            keeper.keep_so_far({"rows": rows})
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
