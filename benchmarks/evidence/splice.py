"""Real splice sites of hg19 chr22:20-21 Mb, and the published networks that find them.

CI-SpliceAI's five networks (windows of 10,001 bp) and MMSplice's donor and acceptor (18 and 53 bp), at exon
ends before GT, or after AG, that the network finds. `public.py` fetches the networks, the table of junctions
and the sequence. The explained score is the logit of the site less that of neither (CI-SpliceAI), or the only
logit (MMSplice).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from Bio import SeqIO

from benchmarks.evidence.public import public_path
from benchmarks.junctions import sites, windows
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.targets import Target, TargetParser
from sparselrp_cli.model.importing import ImportRequest, import_model, write_folders
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.scoring import Scorer

SEQUENCE, JUNCTIONS, CHROM, FIRST_BASE = "22_20-21M.fa", "grch37.csv", "chr22", 20_000_000
AT_ONCE = 20_000
"""Positions in one batch; more would only take more memory."""

OneHot = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]


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
    near : int
        What counts as the site's own: bases so far from it.
    counts : tuple of int
        How many positions the curves replace.
    sites : int
        How many are explained at most.
    """

    network: str
    kind: str
    checkpoint: str
    target: str | None
    site: int
    near: int
    counts: tuple[int, ...]
    sites: int


_LONG, _SHORT = (0, 3, 10, 30, 100, 200), (0, 1, 2, 3, 4, 6, 8, 12)
LONG_TASKS = (
    Task("CI-SpliceAI", "donor", "CI-SpliceAI.pb", "donor-neither", 5000, 10, _LONG, 10),
    Task("CI-SpliceAI", "acceptor", "CI-SpliceAI.pb", "acceptor-neither", 5000, 10, _LONG, 10),
)
SHORT_TASKS = (
    # The donor network reads 5 bases of the exon and 13 of the intron, the acceptor network 50 and 3.
    Task("MMSplice", "donor", "Donor.h5", None, 4, 2, _SHORT, 40),
    Task("MMSplice", "acceptor", "Acceptor.h5", None, 50, 2, _SHORT, 40),
)


@dataclass(frozen=True, eq=False)
class Subject:
    """A task's network, ready to explain."""

    task: Task
    model: LoadedModel
    graph: CanonicalGraph
    names: tuple[OutputNames, ...]
    target: Target

    @cached_property
    def scorer(self) -> Scorer:
        explainer = Explainer(self.graph, [self.target], self.names, base_axis=self.model.layout.base_axis)
        return Scorer(explainer, self.model.layout)

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


def found_sites(subject: Subject) -> OneHot:
    """Give windows (n, 4, L) of sites the network finds, its score being above 0."""
    task, model = subject.task, subject.model
    sequence = str(next(SeqIO.parse(public_path(SEQUENCE), "fasta")).seq).upper()
    places = sites(sequence, FIRST_BASE, public_path(JUNCTIONS), CHROM, task.kind)
    tried = [places[i] for i in thinned(len(places), 3 * task.sites)]
    inputs = [model.layout.from_model(x) for _, x in windows(model, sequence, tried, task.site)]
    one_hot = torch.cat(inputs).numpy().astype(np.uint8)
    found = one_hot[subject.scores(one_hot) > 0]
    if not len(found):
        raise SystemExit(f"{task.network} finds none of the {len(one_hot)} {task.kind}s that were tried")
    return found[thinned(len(found), task.sites)]
