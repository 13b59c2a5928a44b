"""How much relevance falls on real splice sites, and whether it is what the networks use: by method.

    python -m benchmarks.evidence.splice_sites --save     half an hour; --quick takes two minutes

CI-SpliceAI's first network (windows of 10,001 bp) and MMSplice's donor and acceptor (18 and 53 bp), at real
sites of hg19 chr22:20-21 Mb that the network finds: exon ends before GT, or after AG. `public.py` fetches the
networks, the table of junctions and the sequence.

First, the share of positive relevance within so many bases of the site, the sum of relevance over the score,
and the share of neurons kept: medians over sites. Then, as such shares reward sparsity by construction,
deletion and insertion curves: the score when the most relevant positions become those of a dinucleotide
shuffle, or alone are left. The explained score is the logit of the site less that of neither (CI-SpliceAI),
or the only logit (MMSplice).
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # As the command has it, before torch starts its threads: those that wait let other programs work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from Bio import SeqIO

from benchmarks.evidence.methods import refined
from benchmarks.evidence.public import public_path
from benchmarks.junctions import sites, windows
from benchmarks.options import parser
from benchmarks.record import Keeper, Row, Tables
from sparselrp_cli.evaluation.faithfulness import Curves, curves
from sparselrp_cli.evaluation.intervals import interval
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.targets import Target, TargetParser
from sparselrp_cli.model.importing import ImportRequest, import_model, write_folders
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.relevance.choices import COMPOSITE
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.scoring import Scorer
from sparselrp_cli.sequences.one_hot import encode
from sparselrp_cli.sequences.shuffling import LETTERS, shuffle_dinucleotides

SEQUENCE, JUNCTIONS, CHROM, FIRST_BASE = "22_20-21M.fa", "grch37.csv", "chr22", 20_000_000
REFERENCE, RANDOM = "LRP epsilon-plus", "random order"
DISTANCES = (2, 10, 50)
PROPORTIONS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.9)
UNPRUNED = Pruning(0.0)
AT_ONCE = 20_000
"""Positions in one batch; more would only take more memory."""

OneHot = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Method:
    """A way to explain: gradient x input and the random order have no composite.

    Attributes
    ----------
    curve : bool
        Whether its curves are drawn too, which takes longest.
    refined : bool
        Whether what pruning left at zero is ranked by `REFERENCE`, see `methods.refined`.
    """

    label: str
    composite: str | None = None
    pruning: Pruning = UNPRUNED
    curve: bool = True
    refined: bool = False


METHODS = (
    Method("gradient x input"),
    *(
        Method(f"LRP {name}", name, curve=name in ("epsilon-plus", "epsilon-gamma", "epsilon-alpha2-beta1"))
        for name in PRESETS
    ),
    *(Method(f"PLRP epsilon-plus p={p:g}", "epsilon-plus", Pruning(p)) for p in PROPORTIONS),
    Method("PLRP epsilon-plus p=0.25, then LRP", "epsilon-plus", Pruning(0.25), refined=True),
    Method("PLRP epsilon-plus auto", "epsilon-plus", Pruning(automatic=True)),
    Method("PLRP-M epsilon-plus p=0.25", "epsilon-plus", Pruning(0.25, redistribute="m")),
    *(
        Method(f"PLRP {name} p=0.25", name, Pruning(0.25), curve=False)
        for name in ("epsilon", "epsilon-gamma", "epsilon-alpha2-beta1", "epsilon-plus-flat")
    ),
    Method(RANDOM),
)


@dataclass(frozen=True)
class Task:
    """One kind of site for one network.

    Attributes
    ----------
    checkpoint : str
        Name of the public file.
    target : str or None
        None is the network's only number.
    site : int
        Offset in the window of the exon's last (donor) or first (acceptor) base.
    counts : tuple of int
        How many positions the curves replace.
    sites, curve_sites, draws : int
        How many sites are explained at most, how many of them get curves, and from how many shuffles.
    """

    network: str
    kind: str
    checkpoint: str
    target: str | None
    site: int
    counts: tuple[int, ...]
    sites: int
    curve_sites: int
    draws: int


_LONG, _SHORT = (0, 3, 10, 30, 100, 300, 1000), (0, 1, 2, 3, 4, 6, 8, 12)
TASKS = (
    Task("CI-SpliceAI 1", "donor", "CI-SpliceAI.pb", "donor-neither", 5000, _LONG, 40, 10, 2),
    Task("CI-SpliceAI 1", "acceptor", "CI-SpliceAI.pb", "acceptor-neither", 5000, _LONG, 40, 10, 2),
    # The donor network reads 5 bases of the exon and 13 of the intron, the acceptor network 50 and 3.
    Task("MMSplice", "donor", "Donor.h5", None, 4, _SHORT, 100, 100, 5),
    Task("MMSplice", "acceptor", "Acceptor.h5", None, 50, _SHORT, 100, 100, 5),
)


@dataclass(frozen=True, eq=False)
class Subject:
    """A task's network, ready to explain."""

    task: Task
    model: LoadedModel
    graph: CanonicalGraph
    names: tuple[OutputNames, ...]
    target: Target

    def explainer(self, method: Method) -> Explainer:
        axis, composite = self.model.layout.base_axis, PRESETS[method.composite or COMPOSITE]
        return Explainer(self.graph, [self.target], self.names, composite, method.pruning, base_axis=axis)

    @cached_property
    def scorer(self) -> Scorer:
        return Scorer(self.explainer(METHODS[0]), self.model.layout)

    def batches(self, one_hot: OneHot) -> Iterator[OneHot]:
        size = max(1, AT_ONCE // self.model.window)
        yield from (one_hot[first : first + size] for first in range(0, len(one_hot), size))

    def scores(self, one_hot: OneHot) -> Doubles:
        """Score windows (n, 4, L): shape (n,)."""
        return np.concatenate([self.scorer.scores(batch) for batch in self.batches(one_hot)])


def load(task: Task, folder: Path, imported: Path | None = None) -> Subject:
    """Take an imported network, or import a published one (of several the first)."""
    if imported is None:
        checkpoint = public_path(task.checkpoint)
        models = import_model(checkpoint, "auto", ImportRequest())
        written = write_folders(models[:1], folder / checkpoint.stem, str(checkpoint), force=True)
        imported = written[0][0]
    model = load_model(ModelRequest(str(imported)))
    graph = capture_model(model)
    names = output_names(model, graph)
    targets = TargetParser(graph.outputs, names)
    return Subject(
        task, model, graph, names, targets.parse(task.target) if task.target else targets.default()
    )


def thinned(n: int, most: int) -> npt.NDArray[np.intp]:
    """Number at most so many of n things, evenly spaced."""
    count = min(n, most)
    return np.arange(count) * n // max(count, 1)


def found_sites(subject: Subject) -> tuple[OneHot, dict[str, int]]:
    """Give windows (n, 4, L) of sites the network finds, its score being above 0, and how many there were."""
    task, model = subject.task, subject.model
    sequence = str(next(SeqIO.parse(public_path(SEQUENCE), "fasta")).seq).upper()
    places = sites(sequence, FIRST_BASE, public_path(JUNCTIONS), CHROM, task.kind)
    tried = [places[i] for i in thinned(len(places), 3 * task.sites)]
    inputs = [model.layout.from_model(x) for _, x in windows(model, sequence, tried, task.site)]
    one_hot = torch.cat(inputs).numpy().astype(np.uint8)
    found = one_hot[subject.scores(one_hot) > 0]
    if not len(found):
        raise SystemExit(f"{task.network} finds none of the {len(one_hot)} {task.kind}s that were tried")
    chosen = found[thinned(len(found), task.sites)]
    counts = {"annotated": len(places), "tried": len(one_hot), "found": len(found), "explained": len(chosen)}
    return chosen, counts


def explain(subject: Subject, method: Method, one_hot: OneHot) -> tuple[Doubles, pd.DataFrame]:
    """Give relevance (n, L), and for each window the share of neurons kept and the conservation error."""
    if method.label == RANDOM:
        return np.ones((len(one_hot), subject.model.window)), pd.DataFrame({"kept": np.ones(len(one_hot))})
    if method.composite is None:
        maps = [subject.scorer.gradient_times_input(batch) for batch in subject.batches(one_hot)]
        return np.concatenate(maps).astype(float), pd.DataFrame({"kept": np.ones(len(one_hot))})
    explainer, layout = subject.explainer(method), subject.model.layout
    maps, rows = [], []
    for batch in subject.batches(one_hot):
        (explanation,) = explainer.explain(layout.to_model(torch.from_numpy(batch.copy()).float()))
        maps.append(layout.from_model(explanation.contributions).sum(1).double().numpy())
        layers = explanation.ledger.pruned_layers
        kept = sum((layer.kept.double() for layer in layers), torch.zeros(len(batch)))
        neurons = sum(layer.neurons for layer in layers)
        kept = kept / neurons if neurons else torch.ones(len(batch))
        rows.append(pd.DataFrame({"kept": kept, "conservation error": explanation.conservation_error}))
    return np.concatenate(maps), pd.concat(rows, ignore_index=True)


def near_site(maps: Doubles, site: int) -> pd.DataFrame:
    """Compute for each window the share of positive relevance within each of `DISTANCES` of the site.

    Where no relevance is positive there is no number (NaN).
    """
    positive = np.maximum(maps, 0)
    distance = np.abs(np.arange(maps.shape[1]) - site)
    total = np.where(positive.any(1), positive.sum(1), np.nan)
    return pd.DataFrame({f"within {d}": positive[:, distance <= d].sum(1) / total for d in DISTANCES})


def draw_curves(subject: Subject, maps: Doubles, one_hot: OneHot) -> list[Curves]:
    """Draw the curves of each window; all methods get the same shuffles."""
    task, length = subject.task, subject.model.window
    shares = tuple(count / length for count in task.counts)
    found = []
    for number, (window, ranking) in enumerate(zip(one_hot, maps, strict=True)):
        codes = np.where(window.any(axis=0), window.argmax(axis=0), len(LETTERS) - 1)
        letters = bytes(LETTERS[code] for code in codes)
        texts = [shuffle_dinucleotides(letters, 0, number * task.draws + d) for d in range(task.draws)]
        backgrounds = np.stack([encode(text) for text in texts])
        rng = np.random.default_rng([0, number])
        found.append(curves(window, ranking, backgrounds, subject.scores, rng, shares))
    return found


def changes(found: Sequence[Curves]) -> pd.DataFrame:
    """Give for each window the mean drop and rise over the counts.

    The counts grow by a factor, so the first ten positions weigh as much as a hundred later on.
    """
    drops = [np.mean(curve.deletion[0] - curve.deletion[1:]) for curve in found]
    rises = [np.mean(curve.insertion[1:] - curve.insertion[0]) for curve in found]
    return pd.DataFrame({"deletion drop": drops, "insertion rise": rises})


def shares_row(label: str, figures: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Any]:
    """Sum the sites up: medians, and within 10 bp the quartiles and the mean difference to the reference."""
    quartiles = [float(value) for value in figures["within 10"].quantile([0.25, 0.75])]
    difference = interval(figures["within 10"] - reference["within 10"])
    return {
        "method": label, **figures.median().to_dict(),
        "none positive": int(figures["within 10"].isna().sum()),
        "within 10, quartiles": quartiles, "within 10, difference": asdict(difference),
    }  # fmt: skip


def curves_row(label: str, found: Sequence[Curves], reference: Sequence[Curves]) -> dict[str, Any]:
    """Sum the sites up: means of the curves, of drop and rise, and of their difference to the reference."""
    mine, theirs = changes(found), changes(reference)
    row: dict[str, Any] = {"method": label, **mine.mean().to_dict()}
    for name in mine:
        row[f"{name}, difference"] = asdict(interval(mine[name] - theirs[name]))
    row["deletion"] = np.mean([curve.deletion for curve in found], axis=0).tolist()
    row["insertion"] = np.mean([curve.insertion for curve in found], axis=0).tolist()
    return row


def run_task(subject: Subject) -> dict[str, Any]:
    """Measure every method on the same sites."""
    task = subject.task
    one_hot, counts = found_sites(subject)
    print(f"{task.network}, {task.kind}s: {counts}", flush=True)
    scores, some = subject.scores(one_hot), thinned(len(one_hot), task.curve_sites)
    figures, drawn = {}, {}
    plain = np.empty(0)
    for method in METHODS:
        began = time.perf_counter()
        maps, books = explain(subject, method, one_hot)
        plain = maps if method.label == REFERENCE else plain
        if method.refined:
            maps = np.stack([refined(a, b) for a, b in zip(maps, plain, strict=True)])
        total = pd.DataFrame({"sum / score": maps.sum(1) / scores})
        parts = [near_site(maps, task.site), *([] if method.label == RANDOM else [total]), books]
        figures[method.label] = pd.concat(parts, axis=1)
        if method.curve:
            drawn[method.label] = draw_curves(subject, maps[some], one_hot[some])
        print(f"{method.label}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return {
        "network": task.network, "kind": task.kind, "sites": counts,
        "methods": [shares_row(label, part, figures[REFERENCE]) for label, part in figures.items()],
        "curve sites": len(some), "draws": task.draws, "positions replaced": task.counts,
        "curves": [curves_row(label, part, drawn[REFERENCE]) for label, part in drawn.items()],
    }  # fmt: skip


def shown(value: Any) -> str:
    """Print a figure, a pair of quartiles or an interval."""
    match value:
        case {"mean": mean, "low": low, "high": high}:
            return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"
        case [low, high]:
            return f"{low:.2f}-{high:.2f}"
        case float():
            return "-" if value != value else f"{value:.3g}"
        case _:
            return str(value)


def show(row: dict[str, Any]) -> None:
    """Print the two tables of a task."""
    print(pd.DataFrame(row["methods"]).map(shown).to_string(index=False))
    counts = row["positions replaced"]
    lines = []
    for curve in row["curves"]:
        means = {name: value for name, value in curve.items() if name not in ("deletion", "insertion")}
        for name in ("deletion", "insertion"):
            means |= {f"{name[:3]} {n}": v for n, v in zip(counts, curve[name], strict=True)}
        lines.append(means)
    print(f"curves of {row['curve sites']} sites; 'del 10': mean score with 10 positions replaced")
    print(pd.DataFrame(lines).map(shown).to_string(index=False), flush=True)


def tables(found: Sequence[dict[str, Any]]) -> Tables:
    """Lay out the tasks, and a row for each of their methods and curves."""
    tasks: list[Row] = []
    methods: list[Row] = []
    drawn: list[Row] = []
    for row in found:
        about = {"network": row["network"], "kind": row["kind"]}
        tasks.append({name: value for name, value in row.items() if name not in ("methods", "curves")})
        methods += [{**about, **method} for method in row["methods"]]
        drawn += [{**about, **curve} for curve in row["curves"]]
    return {"tasks": tasks, "methods": methods, "curves": drawn}


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--quick", action="store_true", help="few sites, and curves of one")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("splice_sites", given, torch.device("cpu"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            if given.quick:
                task = replace(task, sites=4, curve_sites=1, draws=1)
            rows.append(run_task(load(task, Path(folder))))
            show(rows[-1])
            keeper.keep_so_far(tables(rows))
    keeper.keep(tables(rows))


if __name__ == "__main__":
    main()
