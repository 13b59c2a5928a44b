"""What the benchmarks share: networks, the reference, timing as ratios in one run, the record of a run."""

import argparse
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from Bio import SeqIO
from splice_sites import sites, windows
from torch import Tensor, nn

from sparselrp_cli import __version__
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.passes.ends import undo_ends
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.architectures import BPNet, PooledCNN, SpliceAI
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.relevance.batching import choose_device, prepare_device
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
ENGINES = {
    "LRP epsilon": ("epsilon", Pruning(0.0)),
    "PLRP-lambda epsilon, p=0.25": ("epsilon", Pruning(0.25)),
    "LRP epsilon-plus": ("epsilon-plus", Pruning(0.0)),
    "LRP epsilon-gamma": ("epsilon-gamma", Pruning(0.0)),
    "PLRP-lambda epsilon-plus, p=0.25": ("epsilon-plus", Pruning(0.25)),
    "PLRP-M epsilon-plus, p=0.25": ("epsilon-plus", Pruning(0.25, redistribute="m")),
}


class OneOutput(nn.Module):
    """One output of a network that has several."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[self.name]


@dataclass(frozen=True)
class Subject:
    """A network, what of it is explained, and its windows: random ones, or given (N, 4, L)."""

    name: str
    module: nn.Module
    window: int
    target: Target
    given: Tensor | None = None
    batches: tuple[int, ...] = (1, 8, 32)

    def inputs(self, batch: int) -> Tensor:
        """One-hot windows."""
        if self.given is not None:
            times = -(-batch // len(self.given))
            return self.given.repeat(times, 1, 1)[:batch].contiguous()
        return one_hot(random_bases(batch, self.window))

    def graph(self, device: torch.device) -> CanonicalGraph:
        """The captured network."""
        graph, _ = undo_ends(capture(self.module, self.inputs(1).repeat(2, 1, 1)))
        return graph.to(device, torch.float32)


def random_bases(count: int, length: int) -> Tensor:
    """Draw windows (count, length) of the numbers 0 to 3, the same at every call."""
    return torch.randint(4, (count, length), generator=torch.Generator().manual_seed(1))


def one_hot(bases: Tensor) -> Tensor:
    """Encode numbers (N, L) as windows (N, 4, L)."""
    return nn.functional.one_hot(bases, 4).transpose(1, 2).float().contiguous()


def networks(options: argparse.Namespace) -> list[Subject]:
    """The benchmark's networks: three kinds with random weights, and trained ones."""
    torch.manual_seed(0)
    scalar = Target("scalar", (Term(0, 0, None),))
    basset = PooledCNN(1000, [300, 200, 200], [19, 11, 7], [3, 4, 4], [1000, 164], dropout=0.3)
    spliceai = SpliceAI(32, [11] * 4 + [11] * 4, [1] * 4 + [4] * 4, 2000)
    suhw = load_model(ModelRequest(str(ROOT / "models" / "suhw-dm3"))).module
    subjects = [
        Subject("Basset-like 4x1000", basset, 1000, scalar),
        Subject("BPNet-like 4x2114", OneOutput(BPNet(64, 8), "counts"), 2114, scalar),
        Subject("SpliceAI-like 4x7000", spliceai, 7000, Target("donor", (Term(0, 2, (2500, 2501)),))),
        Subject("suhw-dm3 4x600", suhw, 600, scalar),
    ]
    match options.cispliceai:
        case None:
            pass
        case []:
            print("CI-SpliceAI is left out: give its imported folder with --cispliceai")
        case [folder]:
            model = load_model(ModelRequest(folder))
            subjects.append(trained_spliceai(model, planted_donors(8, model.window), "planted donors"))
        case [folder, sequence, table]:
            model = load_model(ModelRequest(folder))
            subjects.append(trained_spliceai(model, real_donors(model, sequence, table, 8), "trained"))
        case _:
            raise SystemExit("--cispliceai takes a folder, or a folder, a sequence and the junctions")
    for subject in subjects:
        subject.module.eval().requires_grad_(False)
    return subjects


def trained_spliceai(model: LoadedModel, given: Tensor, what: str) -> Subject:
    """CI-SpliceAI with windows that have a donor in the middle: donor less neither is explained."""
    target = Target("donor-neither", (Term(0, 2, None), Term(0, 0, None, sign=-1)))
    return Subject(f"CI-SpliceAI 4x10001, {what}", model.module, model.window, target, given, (1, 8))


def real_donors(model: LoadedModel, sequence: str, table: str, count: int) -> Tensor:
    """Windows at donors of chr22 that the network finds. For the files see splice_sites.py."""
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


def gradient(subject: Subject, x: Tensor) -> Callable[[], object]:
    """One gradient x input with frozen parameters, as the reference."""

    def run() -> Tensor:
        leaf = x.detach().requires_grad_()
        y = subject.module(leaf)
        score = x.new_zeros(len(x))
        for term in subject.target.terms:
            part = y[:, term.task]
            part = (
                part[:, slice(*term.positions)].mean(1)
                if term.positions
                else part.reshape(len(x), -1).mean(1)
            )
            score = score + term.sign * part
        (grad,) = torch.autograd.grad(score.sum(), leaf)
        return grad * x

    return run


def explanation(subject: Subject, graph: CanonicalGraph, engine: str, x: Tensor) -> Callable[[], object]:
    """One explanation by an engine of `ENGINES`."""
    composite, pruning = ENGINES[engine]
    names = [OutputNames(output.name) for output in graph.outputs]
    explainer = Explainer(graph, [subject.target], names, PRESETS[composite], pruning)
    return lambda: explainer.explain(x)


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def interleaved(
    runs: Mapping[str, Callable[[], object]], repeats: int, device: torch.device
) -> dict[str, list[float]]:
    """Times of each, measured in turns after a round that warms up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            seconds = timed(run, device)
            if repeat:
                times[name].append(seconds)
    return times


def ratios(times: Mapping[str, list[float]], reference: str) -> dict[str, float]:
    """Medians of the ratios to the reference of the same round."""
    return {
        name: statistics.median(t / r for t, r in zip(taken, times[reference], strict=True))
        for name, taken in times.items()
        if name != reference
    }


def parser(description: str | None, repeats: int = 7) -> argparse.ArgumentParser:
    """Options that all benchmarks have."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--repeats", type=int, default=repeats)
    options.add_argument("--device", default="cpu")
    options.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    options.add_argument(
        "--cispliceai", nargs="+", metavar=("FOLDER", "FASTA JUNCTIONS"),
        default=list(filter(None, os.environ.get("SPARSELRP_CISPLICEAI", "").split(os.pathsep))),
        help=f"CI-SpliceAI's imported folder, on windows with planted donors; with the two files of\n"
        f"splice_sites.py on real ones (default: $SPARSELRP_CISPLICEAI, joined by '{os.pathsep}')",
    )  # fmt: skip
    return options


def ready_device(options: argparse.Namespace) -> torch.device:
    """Choose the device, set as the command sets it: full float32, repeatable."""
    device = choose_device(options.device)
    prepare_device(device)
    return device


def save(name: str, rows: Any, device: torch.device) -> None:
    """Keep figures with the machine and versions they come from."""
    where = "cpu" if device.type == "cpu" else short_name(torch.cuda.get_device_name(device))
    record = {
        "machine": processor() if device.type == "cpu" else torch.cuda.get_device_name(device),
        "python": platform.python_version(),
        "sparselrp": __version__,
        "torch": torch.__version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY"),
        "rows": rows,
    }
    path = RESULTS / f"{name}_{where}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"kept in {path.relative_to(ROOT)}")


def short_name(gpu: str) -> str:
    """Shorten a GPU's name to what has a number in it: 'NVIDIA A100-SXM4-80GB' is a100."""
    found = re.search(r"[a-z]*\d+\w*", gpu.lower())
    return found[0] if found else "cuda"


def processor() -> str:
    """Name the processor, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor()
