"""Time and memory on a GPU: gradient x input, LRP, PLRP at batches of 1, 16 and 256; where the time goes.

    python benchmarks/gpu_speed.py --out DIR [--device cuda] [--repeats 5]

One row a network, batch and engine goes to DIR/gpu_speed.json (milliseconds a batch, ratio to the gradient in
the same round, peak memory above what lay there before); the profile of BPNet to DIR/profile.txt.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import Subject, gradient, networks, parser, ready_device

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

ENGINES = {
    "LRP epsilon": ("epsilon", Pruning(0.0)),
    "LRP epsilon-plus": ("epsilon-plus", Pruning(0.0)),
    "PLRP epsilon-plus, p=0.02": ("epsilon-plus", Pruning(0.02)),
    "PLRP epsilon-plus, p=0.25": ("epsilon-plus", Pruning(0.25)),
    "PLRP-M epsilon-plus, p=0.02": ("epsilon-plus", Pruning(0.02, redistribute="m")),
    "PLRP epsilon-gamma, p=0.02": ("epsilon-gamma", Pruning(0.02)),
}
BATCHES = (1, 16, 256)


def explanation(
    subject: Subject, graph: CanonicalGraph, engine: str, x: torch.Tensor
) -> Callable[[], object]:
    composite, pruning = ENGINES[engine]
    names = [OutputNames(output.name) for output in graph.outputs]
    explainer = Explainer(graph, [subject.target], names, PRESETS[composite], pruning)
    return lambda: explainer.explain(x)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def milliseconds(run: Callable[[], object], device: torch.device) -> float:
    synchronise(device)
    began = time.perf_counter()
    run()
    synchronise(device)
    return 1000 * (time.perf_counter() - began)


def peak(run: Callable[[], object], device: torch.device) -> float:
    """Megabytes above what lies there before."""
    if device.type != "cuda":
        return float("nan")
    synchronise(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    synchronise(device)
    return (torch.cuda.max_memory_allocated(device) - before) / 1e6


def measured(
    subject: Subject, graph: CanonicalGraph, batch: int, repeats: int, device: torch.device
) -> list[dict[str, object]]:
    x = subject.inputs(batch).to(device)
    runs = {"gradient": gradient(subject, x)}
    runs |= {name: explanation(subject, graph, name, x) for name in ENGINES}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            taken = milliseconds(run, device)
            if repeat:
                times[name].append(taken)
    rows = []
    for name, run in runs.items():
        ratio = statistics.median(t / g for t, g in zip(times[name], times["gradient"], strict=True))
        rows.append(
            {
                "network": subject.name, "batch": batch, "engine": name,
                "ms": round(statistics.median(times[name]), 3), "ratio": round(ratio, 2),
                "windows a second": round(1000 * batch / statistics.median(times[name])),
                "peak MB": round(peak(run, device), 1),
            }
        )  # fmt: skip
    return rows


def profile(subject: Subject, graph: CanonicalGraph, batch: int, device: torch.device, path: Path) -> None:
    x = subject.inputs(batch).to(device)
    run = explanation(subject, graph, "PLRP epsilon-plus, p=0.02", x)
    run()
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds, with_stack=False) as found:
        run()
        synchronise(device)
    by = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    path.write_text(found.key_averages().table(sort_by=by, row_limit=40, max_name_column_width=70))


def main() -> None:
    options = parser(__doc__, repeats=5)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    options.set_defaults(device="cuda")
    given: argparse.Namespace = options.parse_args()
    device = ready_device(given)
    subjects = networks(given)
    with (given.out / "gpu_speed.json").open("w") as stream:
        for subject in subjects:
            graph = subject.graph(device)  # traced before the module moves
            subject.module.to(device)
            if "BPNet" in subject.name:
                profile(subject, graph, max(given.batches), device, given.out / "profile.txt")
            for batch in given.batches:
                try:
                    rows = measured(subject, graph, batch, given.repeats, device)
                except torch.OutOfMemoryError as error:
                    print(f"{subject.name}, {batch}: {error}", file=sys.stderr)
                    continue
                for row in rows:
                    stream.write(json.dumps(row) + "\n")
                    print(*row.values(), sep="\t", flush=True)


if __name__ == "__main__":
    main()
