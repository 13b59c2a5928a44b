"""Time and memory of LRP and PLRP as ratios to one gradient x input of the same network, in the same run.

    python benchmarks/engine_speed.py            # what `make bench` runs
    python benchmarks/engine_speed.py --save --cispliceai ci-spliceai/1 22_20-21M.fa grch37.csv
    python benchmarks/engine_speed.py --only suhw --batch 1 --repeats 1 --no-memory

Medians over interleaved repeats, half as many for CI-SpliceAI. The gradient has frozen parameters: forward,
and backward to the input. Memory is what a call takes at its peak over what is there before it.
"""

import argparse
import ctypes
import gc
import statistics
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch
from common import (
    ENGINES,
    Subject,
    explanation,
    gradient,
    interleaved,
    networks,
    parser,
    ratios,
    ready_device,
    save,
)

TARGETS = {
    "LRP epsilon": 0.9,
    "PLRP-lambda epsilon, p=0.25": 1.15,
    "LRP epsilon-plus": 1.3,
    "LRP epsilon-gamma": 1.5,
    "PLRP-lambda epsilon-plus, p=0.25": 1.6,
    "PLRP-M epsilon-plus, p=0.25": 2.6,
}
TRAINED_TARGETS = TARGETS | {"PLRP-lambda epsilon-plus, p=0.25": 0.7}
"""For CI-SpliceAI, whose pruned relevance is sparse."""
MEMORY_TARGET = 1.2
GRADIENT, MILLISECONDS = "gradient", "gradient, ms a window"


def speed(subject: Subject, batch: int, repeats: int, device: torch.device) -> dict[str, float]:
    """Ratios of time for one network and batch."""
    x, graph = subject.inputs(batch).to(device), subject.graph(device)
    subject.module.to(device)
    runs = {GRADIENT: gradient(subject, x)}
    runs |= {engine: explanation(subject, graph, engine, x) for engine in ENGINES}
    times = interleaved(runs, repeats, device)
    return {MILLISECONDS: 1000 * statistics.median(times[GRADIENT]) / batch, **ratios(times, GRADIENT)}


def _memory(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0


def peak(options: argparse.Namespace, index: int, batch: int, engine: str) -> float:
    """Bytes that one call takes at its peak over what lies there before it; in a process of its own."""
    device = ready_device(options)
    subject = networks(options)[index]
    x = subject.inputs(batch).to(device)
    subject.module.to(device)
    run = (
        gradient(subject, x) if engine == GRADIENT else explanation(subject, subject.graph(device), engine, x)
    )
    run()
    run()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return float(torch.cuda.max_memory_allocated(device) - before)
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = _memory("VmRSS")
    run()
    return 1024.0 * (_memory("VmHWM") - before)


def memory(options: argparse.Namespace, subjects: dict[int, Subject], batch: int) -> list[dict[str, object]]:
    """Peaks of all engines as ratios to that of the gradient, each in a process of its own."""
    rows: list[dict[str, object]] = []
    given = ["--cispliceai", *options.cispliceai] if options.cispliceai else []
    for index, subject in subjects.items():
        peaks = {}
        for engine in (GRADIENT, *ENGINES):
            command = [sys.executable, __file__, "--device", options.device, *given]
            command += ["--peak", str(index), str(batch), engine]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peaks[engine] = float(answer.split()[-1])
        shares = {engine: peaks[engine] / peaks[GRADIENT] for engine in ENGINES}
        megabytes = peaks[GRADIENT] / 1e6
        rows.append({"network": subject.name, "batch": batch, "gradient, MB": megabytes, **shares})
        print(f"{subject.name}, memory: done", file=sys.stderr)
    return rows


def table(rows: list[dict[str, object]], targets: dict[str, float], column: str) -> str:
    """One column a row, with what is aimed at."""
    frame = pd.DataFrame(rows).drop(columns=["network", "batch"]).T
    frame.columns = [row[column] if column == "network" else f"{column} {row[column]}" for row in rows]
    frame.insert(0, "at most", pd.Series(targets))
    return frame.to_string(float_format="%.2f", na_rep="")


def times(subject: Subject, options: argparse.Namespace, device: torch.device) -> list[dict[str, object]]:
    """Measure a network at all its batches, and print that."""
    trained = subject.given is not None
    repeats = (options.repeats + 1) // 2 if trained else options.repeats
    rows: list[dict[str, object]] = [
        {"network": subject.name, "batch": batch, **speed(subject, batch, repeats, device)}
        for batch in sorted(set(options.batch) & set(subject.batches))
    ]
    if rows:
        shown = table(rows, TRAINED_TARGETS if trained else TARGETS, "batch")
        print(f"\n{subject.name}\n{shown}", flush=True)
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32], choices=[1, 8, 32])
    options.add_argument("--only", default="", metavar="TEXT", help="networks with this in their name")
    options.add_argument("--no-memory", action="store_true")
    options.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.peak:
        index, batch, engine = given.peak
        print(peak(given, int(index), int(batch), engine))
        return
    device = ready_device(given)
    subjects = {i: s for i, s in enumerate(networks(given)) if given.only.lower() in s.name.lower()}
    rows = [row for subject in subjects.values() for row in times(subject, given, device)]
    used = [] if given.no_memory else memory(given, subjects, 8)
    if used:
        print("\nPeak memory in batches of 8, as ratios to the gradient's")
        print(table(used, dict.fromkeys(ENGINES, MEMORY_TARGET), "network"))
    if given.save:
        save("engine_speed", {"time": rows, "memory": used}, device)


if __name__ == "__main__":
    main()
