"""Time and memory of LRP and PLRP as ratios to one gradient x input of the same network, in the same run.

    python benchmarks/engine_speed.py            # what `make bench` runs
    python benchmarks/engine_speed.py --save --cispliceai ci-spliceai/1 22_20-21M.fa grch37.csv

Medians over interleaved repeats. The gradient has frozen parameters: forward, and backward to the input.
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
from common import ENGINES, Subject, explanation, gradient, interleaved, networks, parser, ratios, save

TARGETS = {
    "LRP epsilon": 0.9,
    "PLRP-lambda epsilon, p=0.25": 1.15,
    "LRP epsilon-plus": 1.3,
    "LRP epsilon-gamma": 1.5,
    "PLRP-lambda epsilon-plus, p=0.25": 1.6,
    "PLRP-M epsilon-plus, p=0.25": 2.6,
}
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
    device = torch.device(options.device)
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


def memory(options: argparse.Namespace, subjects: list[Subject], batch: int) -> list[dict[str, object]]:
    """Peaks of all engines as ratios to that of the gradient, each in a process of its own."""
    rows: list[dict[str, object]] = []
    given = ["--cispliceai", *options.cispliceai] if options.cispliceai else []
    for index, subject in enumerate(subjects):
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


def table(rows: list[dict[str, object]], targets: dict[str, float]) -> str:
    """Networks side by side, with what is aimed at."""
    frame = pd.DataFrame(rows)
    names = frame.pop("network") + ", " + frame.pop("batch").astype(str)
    turned = frame.T.set_axis(names, axis=1)
    return pd.concat([pd.Series(targets, name="at most").reindex(turned.index), turned], axis=1).to_string(
        float_format="%.2f", na_rep=""
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    options.add_argument("--no-memory", action="store_true")
    options.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.peak:
        index, batch, engine = given.peak
        print(peak(given, int(index), int(batch), engine))
        return
    device = torch.device(given.device)
    subjects = networks(given)
    rows: list[dict[str, object]] = []
    for subject in subjects:
        for batch in sorted(set(given.batch) & set(subject.batches)):
            rows.append(
                {"network": subject.name, "batch": batch, **speed(subject, batch, given.repeats, device)}
            )
            print(f"{subject.name}, batch {batch}: done", file=sys.stderr)
    print(table(rows, TARGETS))
    used = [] if given.no_memory else memory(given, subjects, 8)
    if used:
        print("\nPeak memory, as ratios to the gradient's")
        print(table(used, dict.fromkeys(ENGINES, 1.2)))
    if given.save:
        save("engine_speed", {"time": rows, "memory": used}, device)


if __name__ == "__main__":
    main()
