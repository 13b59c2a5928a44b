"""Which explanation is faithful: what the defaults are decided by, on planted motifs, real peaks, real sites.

    python -m benchmarks.evidence.faithful planted --save      a quarter of an hour on two cores
    python -m benchmarks.evidence.faithful suhw --save         three minutes
    python -m benchmarks.evidence.faithful insulators --save   a quarter of an hour
    python -m benchmarks.evidence.faithful splice --save       an hour and a half
    --quick takes a minute or two

Held-out windows of a data set, explained by every method of `methods.every_method` and by baselines, and
measured by every metric as in `comparison.py`: planted motifs (planted.py); su(Hw) by the shipped model;
BEAF-32 and CTCF by a residual network for each seed (insulators.py); donors and acceptors by networks of
CI-SpliceAI and by MMSplice's (splice.py). For CI-SpliceAI, whose windows have 10,001 bp, mutagenesis changes
the 201 bp around the site, the curves replace at most 200 positions, and fewer methods are compared.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # As the command has it, before torch starts its threads: those that wait let other programs work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from benchmarks.evidence.attention import chosen
from benchmarks.evidence.comparison import DRAWS, EVERYWHERE, ROUNDS, Subject, Windows, compared
from benchmarks.evidence.insulator_peaks import FACTORS, SUHW, Peaks
from benchmarks.evidence.insulators import train
from benchmarks.evidence.methods import Method, every_method, fully_convolutional_methods
from benchmarks.evidence.planted import SIZES, TASKS, Generator, Sequences
from benchmarks.evidence.planted import train as train_planted
from benchmarks.evidence.public import public_path
from benchmarks.evidence.splice import LONG_TASKS, SHORT_TASKS, found_sites, load
from benchmarks.evidence.splice import Subject as SpliceSubject
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.evaluation.metrics import auroc
from sparselrp_cli.evaluation.site_metrics import Sites
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.importing import ImportRequest, import_model, write_folders
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest

DATA = ("planted", "suhw", "insulators", "splice")
EPOCHS = 25
AROUND = 100
PLANTED, BACKGROUND = 24, "dinucleotide"
LEARNED = 0.9
"""AUROC of the labels from which a network of planted motifs is explained."""


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


def planted(*, quick: bool) -> Iterator[Found]:
    """Networks of two sizes for each task, on positives that they find; negatives replace positions."""
    for task in TASKS[: 1 if quick else None]:
        generator = Generator(task, BACKGROUND, 0)
        # In pairs either motif alone means nothing: that takes more examples to learn.
        training = generator.draw(4000 if quick else 20_000 if task == "pair" else 8000)
        test = generator.draw(600)
        for size in SIZES[: 1 if quick else None]:
            net = train_planted(size, training, 0)
            x = torch.from_numpy(test.one_hot).float()
            logits = net(x)[:, 0].numpy()
            reached = auroc(logits, test.labels)
            print(f"planted, {task}, {size}: AUROC of the labels {reached:.3f}", flush=True)
            if reached < LEARNED:
                continue
            subject = Subject(net, capture(net, x[:1]), Target("logit", (Term(0, 0, None),)))
            windows = found_positives(test, logits, 5 if quick else PLANTED)
            about = {"data": "planted motifs", "task": task, "network": size}
            yield Found(about, subject, windows, [*every_method(quick=quick)])


def found_positives(test: Sequences, logits: np.ndarray, count: int) -> Windows:
    """The first positives with a logit above 0; the bases of their motifs are the sites."""
    rows = np.flatnonzero(test.labels & (logits > 0))[:count]
    negatives, rng = np.flatnonzero(~test.labels), np.random.default_rng(0)
    backgrounds = np.stack([test.one_hot[rng.choice(negatives, DRAWS)] for _ in rows])
    return Windows(test.one_hot[rows], [Sites.of_mask(test.masks[i]) for i in rows], backgrounds)


def suhw(*, quick: bool) -> Iterator[Found]:
    """The shipped model on held-out peaks that hold a match."""
    model = load_model(ModelRequest(str(ROOT / "models" / "suhw-dm3")))
    module = model.module.eval().requires_grad_(False)
    windows = chosen(module, Peaks((SUHW,)), 0, SUHW, 5 if quick else 60)
    if windows is None:
        raise SystemExit("su(Hw): too few windows")
    graph = capture(module, torch.from_numpy(windows.one_hot[:1]).float())
    subject = Subject(module, graph, Target("suhw", (Term(0, 0, None),)))
    yield Found({"data": "su(Hw)"}, subject, windows, [*every_method(quick=quick)])


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
            yield Found(about, subject, windows, [*every_method(quick=quick)])


def long_splice(count: int, networks: Sequence[int], folder: Path, *, quick: bool) -> Iterator[Found]:
    """Some of CI-SpliceAI's networks at real donors and acceptors."""
    checkpoint = public_path("CI-SpliceAI.pb")
    written = write_folders(
        import_model(checkpoint, "auto", ImportRequest()), folder / "ci", str(checkpoint), force=True
    )
    compared = [*(every_method(quick=True) if quick else fully_convolutional_methods())]
    for number in networks[: 1 if quick else None]:
        for task in LONG_TASKS:
            given = load(replace(task, sites=1 if quick else count), folder, written[number][0])
            within = slice(task.site - AROUND, task.site + AROUND + 1)
            about = {"data": f"CI-SpliceAI, {task.kind}s", "network": number + 1}
            yield Found(about, subject_of(given), at_sites(given, within=within, draws=1), compared, 1)


def short_splice(folder: Path, *, quick: bool) -> Iterator[Found]:
    """MMSplice's networks at real donors and acceptors."""
    for task in SHORT_TASKS:
        given = load(replace(task, sites=4) if quick else task, folder)
        about = {"data": f"MMSplice, {task.kind}s"}
        yield Found(about, subject_of(given), at_sites(given), [*every_method(quick=quick)])


def at_sites(given: SpliceSubject, within: slice = EVERYWHERE, draws: int = DRAWS) -> Windows:
    """Windows of a task's sites, which are the bases near the splice site."""
    one_hot, task, length = found_sites(given), given.task, given.model.window
    mask = np.abs(np.arange(length) - task.site) <= task.near
    shares = tuple(k / length for k in task.counts)
    return Windows(one_hot, [Sites.of_mask(mask)] * len(one_hot), within=within, shares=shares, draws=draws)


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


def sources(given: argparse.Namespace, folder: Path) -> Iterator[Found]:
    """Give what is compared of the data set that was asked for."""
    quick: bool = given.quick
    if given.data == "planted":
        yield from planted(quick=quick)
    elif given.data == "suhw":
        yield from suhw(quick=quick)
    elif given.data == "insulators":
        yield from insulators(given.seeds, quick=quick)
    else:
        yield from short_splice(folder, quick=quick)
        yield from long_splice(given.sites, given.networks, folder, quick=quick)


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start(f"faithful-{given.data}", given, torch.device("cpu"))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for found in sources(given, Path(folder)):
            title = ", ".join(map(str, found.about.values()))
            compared_rows = compared(title, found.subject, found.windows, found.methods, found.rounds)
            rows += [found.about | row for row in compared_rows]
            keeper.keep_so_far({"rows": rows})
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
