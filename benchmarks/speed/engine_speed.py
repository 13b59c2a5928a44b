"""Time and memory of LRP and PLRP as ratios to one gradient x input of the same network, in the same run.

    python -m benchmarks.speed.engine_speed            # what `make bench` runs
    python -m benchmarks.speed.engine_speed --save --cispliceai ci-spliceai/1 22_20-21M.fa grch37.csv
    python -m benchmarks.speed.engine_speed --networks suhw --batches 1 --rounds 1 --no-memory
    python -m benchmarks.speed.engine_speed --device cuda --batches 1 16 256 --out DIR

Medians over interleaved rounds, half as many for CI-SpliceAI. The gradient has frozen parameters: forward,
and backward to the input. Where the target sees less than the window, the ratios are given twice: to the
gradient of the whole window, and to that of the part that is seen. Memory is what a call takes at its peak
over what is there before it: on the CPU for one batch, each in a process of its own; on a GPU for every
batch. A batch that a GPU has no memory for is left out with a line.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Collection, Sequence

import pandas as pd
import torch
from torch import Tensor

from benchmarks.engines import (
    CROPPED,
    DEFAULT,
    ENGINES,
    GRADIENT,
    REPLAYED,
    explanation,
    references,
    replayed,
)
from benchmarks.history import ROOT
from benchmarks.networks import Subject, networks
from benchmarks.options import add_cispliceai, timing_parser
from benchmarks.record import Keeper, Row
from benchmarks.timing import CLOCKS, Call, interleaved, peak_memory, ratios, ready_device
from sparselrp_cli.graph.canonical import CanonicalGraph

TARGETS = {
    "LRP epsilon": 0.9,
    "LRP epsilon-plus": 1.3,
    "LRP epsilon-gamma": 1.5,
    DEFAULT: 1.5,
    "PLRP-M epsilon-gamma, p=0.1": 2.6,
}
TRAINED_TARGETS = TARGETS | {DEFAULT: 0.7}
"""For CI-SpliceAI, whose pruned relevance is sparse."""
PRE_ACTIVATION_TARGETS = TARGETS | {DEFAULT: 2.0}
"""For networks whose convolutions follow ReLUs, so that their outputs have both signs."""
MEMORY_TARGET = 1.2
ABOUT = ["network", "batch", "clock", "rounds", "reference"]
MEMORY_BATCH = 8
"""Of which memory is measured on the CPU."""


def calls(
    subject: Subject, graph: CanonicalGraph, x: Tensor, engines: Collection[str] = tuple(ENGINES)
) -> dict[str, Call]:
    """What is measured of a network on windows (N, 4, L): the references, then the engines."""
    found = references(subject, x) | {name: explanation(subject, graph, name, x) for name in engines}
    if x.device.type == "cuda":
        found[REPLAYED] = replayed(subject, graph, x)
    return found


def against_each(about: Row, measured: dict[str, list[float]], unit: str, scale: float) -> list[Row]:
    """A row for each reference: its median, and the engines' ratios to it."""
    rows = []
    for reference in (GRADIENT, CROPPED):
        if reference in measured:
            figures = ratios(measured, reference)
            own = {"reference": reference, unit: scale * statistics.median(measured[reference])}
            engines = [engine for engine in (*ENGINES, REPLAYED) if engine in figures]
            rows.append({**about, **own, **{engine: figures[engine] for engine in engines}})
    return rows


def measure(
    subject: Subject, graph: CanonicalGraph, x: Tensor, rounds: int, clock: str
) -> tuple[list[Row], list[Row]]:
    """Time of a network on windows (N, 4, L), and on a GPU memory."""
    device, batch = x.device, len(x)
    runs = calls(subject, graph, x)
    times = interleaved(runs, rounds, device, clock)
    about = {"network": subject.name, "batch": batch}
    timing = {**about, "clock": clock, "rounds": rounds}
    time = against_each(timing, times, "reference, ms a window", 1000 / batch)
    if device.type != "cuda":
        return time, []
    peaks = {name: [peak_memory(run, device)] for name, run in runs.items() if name != REPLAYED}
    return time, against_each(about, peaks, "reference, MB", 1e-6)


def all_batches(
    subject: Subject, given: argparse.Namespace, device: torch.device
) -> tuple[list[Row], list[Row]]:
    """Measure a network at all its batches, and print its times."""
    trained = subject.given is not None
    rounds = (given.rounds + 1) // 2 if trained else given.rounds
    clock = "events" if device.type == "cuda" else given.clock
    graph = subject.graph(device)
    subject.module.to(device)
    time, memory = [], []
    for batch in given.batches:
        if device.type == "cpu" and subject.most_on_cpu and batch > subject.most_on_cpu:
            continue
        try:
            found = measure(subject, graph, subject.inputs(batch).to(device), rounds, clock)
        except torch.OutOfMemoryError:
            print(f"{subject.name}, batch {batch}: out of memory")
            torch.cuda.empty_cache()
            continue
        time += found[0]
        memory += found[1]
    if time:
        print(f"\n{subject.name}\n{shown(time, targets(subject, trained=trained))}", flush=True)
    return time, memory


def targets(subject: Subject, *, trained: bool) -> dict[str, float]:
    """What the ratios are to stay below."""
    if trained:
        return TRAINED_TARGETS
    return PRE_ACTIVATION_TARGETS if subject.name.startswith("SpliceAI-like") else TARGETS


def peak_of(subject: Subject, batch: int, name: str, device: torch.device) -> float:
    """Bytes that one reference or engine takes."""
    graph, x = subject.graph(device), subject.inputs(batch).to(device)
    subject.module.to(device)
    return peak_memory(calls(subject, graph, x, {name} & set(ENGINES))[name], device)


def memory_apart(given: argparse.Namespace, index: int, subject: Subject) -> list[Row]:
    """Peaks on the CPU, each measured in a process of its own."""
    peaks = {}
    # CI-SpliceAI takes long to load, and is the last: the others are found without it.
    folders = ["--cispliceai", *given.cispliceai] if subject.given is not None else []
    for name in (GRADIENT, *([CROPPED] if subject.seen else []), *ENGINES):
        command = [sys.executable, "-m", "benchmarks.speed.engine_speed", *folders]
        command += ["--peak", str(index), str(MEMORY_BATCH), name]
        answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        peaks[name] = [float(answer.split()[-1])]
    print(f"{subject.name}, memory: done", file=sys.stderr)
    about = {"network": subject.name, "batch": MEMORY_BATCH}
    return against_each(about, peaks, "reference, MB", 1e-6)


def shown(rows: Sequence[Row], targets: dict[str, float]) -> str:
    """One column a row, with what is aimed at."""
    frame = pd.DataFrame(rows).drop(columns=ABOUT, errors="ignore").T
    frame.columns = [
        f"{'cropped, ' if row['reference'] == CROPPED else ''}batch {row['batch']}" for row in rows
    ]
    frame.insert(0, "at most", pd.Series(targets))
    return frame.to_string(float_format="%.2f", na_rep="")


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__)
    add_cispliceai(found)
    found.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], metavar="N")
    found.add_argument(
        "--networks", nargs="+", default=[""], metavar="TEXT", help="those with one of these in their name"
    )
    found.add_argument("--clock", choices=list(CLOCKS), default="wall", help="on the CPU; cpu: see timing.py")
    found.add_argument("--no-memory", action="store_true", help="time alone")
    found.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    device = ready_device(given.device)
    everything = networks(given)
    if given.peak:
        index, batch, name = given.peak
        print(peak_of(everything[int(index)], int(batch), name, device))
        return
    keeper = Keeper.start("engine_speed", given, device)
    chosen = {
        index: subject
        for index, subject in enumerate(everything)
        if any(text.lower() in subject.name.lower() for text in given.networks)
    }
    time: list[Row] = []
    memory: list[Row] = []
    for subject in chosen.values():
        found = all_batches(subject, given, device)
        time += found[0]
        memory += found[1]
        keeper.keep_so_far({"time": time, "memory": memory})
    if device.type == "cpu" and not given.no_memory:
        for index, subject in chosen.items():
            memory += memory_apart(given, index, subject)
            keeper.keep_so_far({"time": time, "memory": memory})
    for name in dict.fromkeys(row["network"] for row in memory):
        rows = [row for row in memory if row["network"] == name]
        print(f"\n{name}, peak memory\n{shown(rows, dict.fromkeys(ENGINES, MEMORY_TARGET))}")
    keeper.keep({"time": time, "memory": memory})


if __name__ == "__main__":
    main()
