"""The networks that are timed, what of each is explained, and their windows."""

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from Bio import SeqIO
from torch import Tensor, nn

from benchmarks.history import ROOT
from benchmarks.junctions import sites, windows
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.architectures import BPNet, PooledCNN, SpliceAI
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.request import ModelRequest

SCALAR = Target("scalar", (Term(0, 0, None),))
# The published network of 2,000 bp of context (Jaganathan et al. 2019, Cell 176:535): its convolutions, two a
# block, reach 2 (4 x 10 + 4 x 10 x 4 + 4 x 20 x 10) = 2,000 bp beyond a position, half on each side.
CONTEXT, SPLICEAI_WINDOW = 2000, 7000
WIDTHS, DILATIONS = [11] * 8 + [21] * 4, [1] * 4 + [4] * 4 + [10] * 4


class OneOutput(nn.Module):
    """One output of a network that has several."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[self.name]


@dataclass(frozen=True)
class Seen:
    """The part of a window that the target depends on, and the target in a window cropped to it."""

    start: int
    end: int
    target: Target


@dataclass(frozen=True)
class Subject:
    """A network, what of it is explained, and its windows.

    Attributes
    ----------
    name : str
    module : Module
    window : int
        Length of its windows in bp.
    target : Target
    given : Tensor of shape (N, 4, window) or None
        Its windows; random ones if None.
    seen : Seen or None
        None where the target depends on the whole window.
    most_on_cpu : int or None
        The largest batch that is measured on the CPU, where it takes long.
    """

    name: str
    module: nn.Module
    window: int
    target: Target
    given: Tensor | None = None
    seen: Seen | None = None
    most_on_cpu: int | None = None

    def inputs(self, batch: int) -> Tensor:
        """One-hot windows (batch, 4, window)."""
        if self.given is not None:
            times = -(-batch // len(self.given))
            return self.given.repeat(times, 1, 1)[:batch].contiguous()
        return one_hot(random_bases(batch, self.window))

    def graph(self, device: torch.device) -> CanonicalGraph:
        """The captured network, on a device; captured on the CPU, wherever the module is by now."""
        module = copy.deepcopy(self.module).cpu()
        graph = capture(module, self.inputs(1).repeat(2, 1, 1))
        return graph.to(device, torch.float32)


def random_bases(count: int, length: int) -> Tensor:
    """Draw windows (count, length) of the numbers 0 to 3, the same at every call."""
    return torch.randint(4, (count, length), generator=torch.Generator().manual_seed(1))


def one_hot(bases: Tensor) -> Tensor:
    """Encode numbers (N, L) as windows (N, 4, L)."""
    return nn.functional.one_hot(bases, 4).transpose(1, 2).float().contiguous()


def networks(given: argparse.Namespace) -> list[Subject]:
    """The benchmark's networks: three kinds with random weights, then the trained ones."""
    return [*random_networks(), *trained_networks(given)]


def frozen(subjects: list[Subject]) -> list[Subject]:
    """Set networks up to be explained: no dropout, no gradients of weights."""
    for subject in subjects:
        subject.module.eval().requires_grad_(False)
    return subjects


def random_networks() -> list[Subject]:
    """Networks like Basset, BPNet and SpliceAI, with random weights."""
    torch.manual_seed(0)
    basset = PooledCNN(1000, [300, 200, 200], [19, 11, 7], [3, 4, 4], [1000, 164], dropout=0.3)
    spliceai = spliceai_like()
    bpnet = OneOutput(BPNet(64, 8), "counts")
    return frozen(
        [
            Subject("Basset-like 4x1000", basset, 1000, SCALAR),
            Subject("BPNet-like 4x2114", bpnet, 2114, SCALAR),
            spliceai,
        ]
    )


def spliceai_like() -> Subject:
    """A network like SpliceAI with 2,000 bp of context, and the donor's logit in the middle of its window."""
    network = SpliceAI(32, WIDTHS, DILATIONS, CONTEXT)
    middle = (SPLICEAI_WINDOW - CONTEXT) // 2
    seen = Seen(middle, middle + CONTEXT + 1, donor(0))
    return Subject(f"SpliceAI-like 4x{SPLICEAI_WINDOW}", network, SPLICEAI_WINDOW, donor(middle), seen=seen)


def donor(position: int) -> Target:
    """The donor's logit at one position of SpliceAI's output."""
    return Target("donor", (Term(0, 2, (position, position + 1)),))


def trained_networks(given: argparse.Namespace) -> list[Subject]:
    """The shipped model, and CI-SpliceAI where it is given."""
    return [suhw(), *frozen(cispliceai(given.cispliceai))]


def suhw() -> Subject:
    """The shipped model."""
    module = load_model(ModelRequest(str(ROOT / "models" / "suhw-dm3"))).module
    (subject,) = frozen([Subject("suhw-dm3 4x600", module, 600, SCALAR)])
    return subject


def cispliceai(given: list[str] | None) -> list[Subject]:
    """CI-SpliceAI on planted donors, or on real ones where their files are given."""
    match given:
        case None:
            return []
        case []:
            print("CI-SpliceAI is left out: give its imported folder with --cispliceai")
            return []
        case [folder]:
            model = load_model(ModelRequest(folder))
            return [trained_spliceai(model, planted_donors(8, model.window), "planted donors")]
        case [folder, sequence, table]:
            model = load_model(ModelRequest(folder))
            return [trained_spliceai(model, real_donors(model, sequence, table, 8), "trained")]
        case _:
            raise SystemExit("--cispliceai takes a folder, or a folder, a sequence and the junctions")


def trained_spliceai(model: LoadedModel, given: Tensor, what: str) -> Subject:
    """CI-SpliceAI with windows that have a donor in the middle: donor less neither is explained."""
    target = Target("donor-neither", (Term(0, 2, None), Term(0, 0, None, weight=-1)))
    name = f"CI-SpliceAI 4x{model.window}, {what}"
    return Subject(name, model.module, model.window, target, given, most_on_cpu=8)


def real_donors(model: LoadedModel, sequence: str, table: str, count: int) -> Tensor:
    """Windows at donors of chr22 that the network finds. For the files see evidence/splice_sites.py."""
    letters = str(next(SeqIO.parse(sequence, "fasta")).seq).upper()
    places = sites(letters, 20_000_000, Path(table), "chr22", "donor")
    found = []
    for _, x in windows(model, letters, places, model.window // 2):
        with torch.no_grad():
            logits = model.module(x)[0, :, 0]
        if logits[2] > logits[0]:
            found.append(x)
        if len(found) == count:
            break
    if not found:
        raise SystemExit(f"none of the {len(places)} donors in {sequence} is found by the network")
    return torch.cat(found)


def planted_donors(count: int, window: int) -> Tensor:
    """Random windows with an exon of 120 bp between consensus sites, its last base in the middle."""
    bases, middle = random_bases(count, window), window // 2
    for piece, start in (("TACTAACTTTTTCTTTTCCTTTTTCTTGCAG", middle - 150), ("AAGGTAAGTATGG", middle - 2)):
        bases[:, start : start + len(piece)] = torch.tensor(["ACGT".index(letter) for letter in piece])
    return one_hot(bases)
