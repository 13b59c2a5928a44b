"""Relevance on a GPU against the CPU in float64: the zoo, the shipped network, and a deep one.

    python -m benchmarks.robustness.gpu_agreement --save [--model FOLDER] [--processes 8] [--only NAME]

For three composites, p = 0, 0.02 and 0.25, PLRP-lambda and PLRP-M: the largest difference of contributions,
relative to the largest contribution, in float64 and in float32; whether two runs give equal bytes; batches
of 1, 7 and 64; and each place where the walk makes the host wait for the GPU. What is out of bounds is
printed, and the exit code says whether anything was.
"""

import argparse
import itertools
import multiprocessing
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.targets import Target, TargetParser
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.relevance.batching import prepare_device
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import Pruning

if TYPE_CHECKING:
    from zoo.entry import Entry

COMPOSITES = ("epsilon-plus", "epsilon", "epsilon-gamma")
PRUNINGS = {
    "p=0": Pruning(0.0),
    "p=0.02": Pruning(0.02),
    "p=0.25": Pruning(0.25),
    "p=0.02 M": Pruning(0.02, redistribute="m"),
    "p=0.25 M": Pruning(0.25, redistribute="m"),
    "auto": Pruning(automatic=True),
}
BATCHES = (1, 7, 64)
LONG = 5_000
BOUNDS = {"float64": 1e-9, "float32": 1e-3}
"""Differences relative to the largest contribution; at the threshold float32 may decide otherwise."""
DECIDED_OTHERWISE = frozenset({("mpra-legnet", "epsilon", "p=0.02 M")})
"""Where float32 decides otherwise, on the CPU between batches too: a masked denominator nearly cancels."""
WAITING = {
    "esm-of-3-mers": ("graph/operations/tokens.py", "model/token_models.py"),
    "cumulative": ("graph/operations/homogeneous.py",),
}
"""Where the host has to wait: it cuts tokens, and torch's gradient of a running product looks for zeros."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network, what is explained of it, and windows."""

    name: str
    graph: CanonicalGraph
    names: tuple[OutputNames, ...]
    targets: tuple[Target, ...]
    windows: Tensor

    def explainer(self, composite: str, pruning: str, device: str, dtype: torch.dtype) -> Explainer:
        graph = self.graph.to(torch.device(device), dtype)
        return Explainer(graph, self.targets, self.names, PRESETS[composite], PRUNINGS[pruning])

    def x(self, device: str, dtype: torch.dtype, count: int) -> Tensor:
        return self.windows[:count].to(device, dtype)


def zoo() -> dict[str, "Entry"]:
    """The networks of the tests, by name."""
    sys.path.insert(0, str(ROOT / "tests"))
    from zoo.architectures import ZOO

    return {entry.name: entry for entry in ZOO}


def of_zoo(name: str) -> Subject:
    entry = zoo()[name]
    windows = entry.windows(max(BATCHES))
    graph = capture(entry.build(), windows[:2])
    names = tuple(OutputNames(o.name, (), entry.axes) for o in graph.outputs)
    parser = TargetParser(graph.outputs, names)
    return Subject(name, graph, names, tuple(parser.parse(t) for t in entry.targets.split()), windows)


def of_folder(folder: str, count: int) -> Subject:
    model = load_model(ModelRequest(folder))
    graph = capture_model(model)
    names = output_names(model, graph)
    count = count if model.window < LONG else 2
    parser = TargetParser(graph.outputs, names)
    tasks = names[0].tasks
    target = parser.parse(tasks[-1]) if len(tasks) > 1 else parser.default()
    return Subject(Path(folder).name, graph, names, (target,), model.example(count))


def differences(ours: list[Explanation], exact: list[Explanation]) -> Tensor:
    """The largest difference of contributions, relative to the largest contribution, by target and window."""
    found = []
    for a, b in zip(ours, exact, strict=True):
        truth = b.contributions.cpu().double().flatten(1)
        gaps = (a.contributions.cpu().double().flatten(1) - truth).abs().amax(1)
        found.append(gaps / truth.abs().amax(1).clamp(min=1e-9))
    return torch.stack(found)


def conservation(explanations: list[Explanation]) -> float:
    return max(float(e.conservation_error.max()) for e in explanations)


def equal(first: list[Explanation], second: list[Explanation]) -> bool:
    return all(
        torch.equal(a.hypothetical, b.hypothetical) and torch.equal(a.absorbed, b.absorbed)
        for a, b in zip(first, second, strict=True)
    )


def waits(explainer: Explainer, x: Tensor) -> list[str]:
    """Places of the package where the host waits for the GPU while it explains."""
    torch.cuda.synchronize()
    places: list[str] = []

    def show(message: Any, category: Any, filename: str, line: int, *_: Any) -> None:
        if "synchroniz" not in str(message):
            return
        own = [f for f in traceback.extract_stack() if "sparselrp_cli" in f.filename]
        if own:  # not where torch begins to look
            places.append(f"{own[-1].filename.split('sparselrp_cli/')[-1]}:{own[-1].lineno}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        torch.cuda.set_sync_debug_mode("warn")
        try:
            explainer.explain(x)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sorted(set(places))


def batches(explainer: Explainer, x: Tensor, together: list[Explanation]) -> float:
    """How far windows explained in smaller batches are from those explained together."""
    worst = 0.0
    for size in BATCHES[:-1]:
        parts = [explainer.explain(part) for part in x[: 2 * size].split(size)]
        for i, whole in enumerate(together):
            apart = torch.cat([part[i].contributions for part in parts]).double().flatten(1)
            truth = whole.contributions[: len(apart)].double().flatten(1)
            gaps = (apart - truth).abs().amax(1) / truth.abs().amax(1).clamp(min=1e-9)
            worst = max(worst, float(gaps.max()))
    return worst


def settings(subject: Subject) -> Iterator[tuple[str, str]]:
    """Composites and prunings; only the default composite where an exact explanation takes minutes."""
    composites = COMPOSITES if subject.windows.shape[-1] < LONG else COMPOSITES[:1]
    return itertools.product(composites, PRUNINGS)


def rows(subject: Subject, device: str) -> Iterator[dict[str, object]]:
    for composite, pruning in settings(subject):
        row: dict[str, object] = {"network": subject.name, "composite": composite, "pruning": pruning}
        count = len(subject.windows)
        few = min(count, 8)
        exact = subject.explainer(composite, pruning, "cpu", torch.float64)
        truth = exact.explain(subject.x("cpu", torch.float64, few))
        for dtype in (torch.float64, torch.float32):
            name = str(dtype).removeprefix("torch.")
            explainer = subject.explainer(composite, pruning, device, dtype)
            found = differences(explainer.explain(subject.x(device, dtype, few)), truth)
            row[name] = float(found.max())
            row[f"{name} beyond"] = float((~(found.amax(0) <= BOUNDS[name])).double().mean())
        x = subject.x(device, torch.float32, count)
        first = explainer.explain(x)
        row["equal twice"] = equal(first, explainer.explain(x))
        row["batches"] = batches(explainer, x, first)
        row["conservation"] = conservation(first)
        row["waits"] = waits(explainer, x) if device == "cuda" else []
        yield row


def measure(kind: str, given: str, device: str) -> list[dict[str, object]]:
    """Everything of one network, in a process of its own; a failure is a row, too."""
    torch.set_num_threads(1 if kind == "zoo" else 4)
    if device == "cuda":
        prepare_device(torch.device("cuda"))
    began = time.perf_counter()
    try:
        subject = of_zoo(given) if kind == "zoo" else of_folder(given, 8)
        found = list(rows(subject, device))
    except Exception as error:  # noqa: BLE001
        trace = traceback.format_exc().splitlines()[-6:]
        return [{"network": given, "error": f"{type(error).__name__}: {error}", "trace": trace}]
    found[0]["seconds"] = round(time.perf_counter() - began, 1)
    return found


def faults(row: dict[str, Any]) -> list[str]:
    if "error" in row:
        return [str(row["error"])]
    setting = row["network"], row["composite"], row["pruning"]
    wrong = [
        f"{name} differs by {row[name]:.1e} in {row[f'{name} beyond']:.0%} of the windows"
        for name, bound in BOUNDS.items()
        if not row[name] <= bound and not (name == "float32" and setting in DECIDED_OTHERWISE)
    ]
    if not row["equal twice"]:
        wrong.append("two runs give different bytes")
    known = WAITING.get(row["network"], ())
    if waits := [place for place in row["waits"] if place.split(":")[0] not in known]:
        wrong.append(f"the host waits at {', '.join(waits)}")
    return wrong


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--model", action="append", default=[], help="a model folder more")
    found.add_argument("--processes", type=int, default=min(14, os.cpu_count() or 1))
    found.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    found.add_argument("--only", default="", metavar="TEXT", help="networks with this in their name")
    return found


def report(rows: Sequence[dict[str, Any]]) -> bool:
    """Print what is out of bounds, and how far the rest goes; whether anything is."""
    wrong = [(row, faults(row)) for row in rows if faults(row)]
    for row, why in wrong:
        print(row["network"], row.get("composite", ""), row.get("pruning", ""), "; ".join(why))
        print(*row.get("trace", []), sep="\n", end="\n" if "trace" in row else "")
    whole = [row for row in rows if "error" not in row]
    for name in (*BOUNDS, "batches", "conservation"):
        worst = max((row[name] for row in whole), default=float("nan"))
        print(f"{name}: at most {worst:.1e} over {len(whole)} settings")
    print(f"{len({row['network'] for row in rows})} networks, {len(wrong)} settings out of bounds")
    return bool(wrong)


def main(arguments: Sequence[str] | None = None) -> int:
    given = options().parse_args(arguments)
    tasks = [("zoo", name) for name in zoo()]
    tasks += [("folder", str(folder)) for folder in (ROOT / "models" / "suhw-dm3", *given.model)]
    tasks = [task for task in reversed(tasks) if given.only in task[1]]  # the longest first
    keeper = Keeper.start("gpu_agreement", given, torch.device(given.device))
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(given.processes, multiprocessing.get_context("spawn")) as pool:
        for done in pool.map(measure, *zip(*tasks, strict=True), [given.device] * len(tasks)):
            rows += done
            keeper.keep_so_far({"rows": rows})
    keeper.keep({"rows": rows})
    return report(rows)


if __name__ == "__main__":
    sys.exit(main())
