"""Where the time of pruned explanations goes on a GPU: a table of operations and kernels, by time.

python -m benchmarks.speed.gpu_profile [--network BPNet] [--batch 256] [--replayed] > profile.txt
"""

import argparse
from collections.abc import Sequence

import torch

from benchmarks.engines import DEFAULT, explanation, replayed
from benchmarks.networks import networks
from benchmarks.options import add_cispliceai, timing_parser
from benchmarks.timing import ready_device


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__)
    add_cispliceai(found)
    found.set_defaults(device="cuda")
    found.add_argument("--network", default="BPNet", metavar="TEXT", help="the first with this in its name")
    found.add_argument("--engine", default=DEFAULT)
    found.add_argument("--batch", type=int, default=256)
    found.add_argument("--replayed", action="store_true", help="the default engine as a CUDA graph")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    device = ready_device(given.device)
    subject = next(s for s in networks(given) if given.network.lower() in s.name.lower())
    x = subject.inputs(given.batch).to(device)
    graph = subject.graph(device)
    run = replayed(subject, graph, x) if given.replayed else explanation(subject, graph, given.engine, x)
    run()
    on_gpu = device.type == "cuda"
    kinds = [torch.profiler.ProfilerActivity.CPU, *([torch.profiler.ProfilerActivity.CUDA] if on_gpu else [])]
    with torch.profiler.profile(activities=kinds) as found:
        run()
        if on_gpu:
            torch.cuda.synchronize(device)
    print(f"{subject.name}, batch {given.batch}, {given.engine}, {device}")
    by = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=by, row_limit=40, max_name_column_width=70))


if __name__ == "__main__":
    main()
