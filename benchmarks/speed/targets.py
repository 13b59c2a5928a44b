"""What each further target of a model costs, in forward passes: several targets share one.

    python -m benchmarks.speed.targets --save
    python -m benchmarks.speed.targets --rounds 1 --targets 8 --batch 2

Networks with random weights and many tasks, the default. Processor time with one thread, in turns: the
module's own forward pass, an explanation of its first target, and one of so many. Each beyond the first
costs the difference over their number. `first, in forwards` is all that one target takes, its forward pass
included.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.networks import OneOutput, one_hot, random_bases
from benchmarks.options import timing_parser
from benchmarks.record import Keeper, Row
from benchmarks.timing import interleaved, ready_device
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.architectures import BPNet, PooledCNN
from sparselrp_cli.relevance.explainer import Explainer

TASKS, BATCH = 64, 8
FORWARD, FIRST, ALL = "forward", "first target", "all targets"


@dataclass(frozen=True, slots=True)
class Subject:
    """A network of many tasks.

    Attributes
    ----------
    name : str
    build : callable
        Takes the number of tasks.
    window : int
        In bp.
    """

    name: str
    build: Callable[[int], nn.Module]
    window: int


def basset_like(tasks: int) -> nn.Module:
    return PooledCNN(1000, [300, 200, 200], [19, 11, 7], [3, 4, 4], [1000, 164], tasks)


def bpnet_like(tasks: int) -> nn.Module:
    return OneOutput(BPNet(64, 8, count_tasks=tasks), "counts")


SUBJECTS = (
    Subject("Basset-like 4x1000", basset_like, 1000),
    Subject("BPNet-like 4x2114", bpnet_like, 2114),
)


def explainers(module: nn.Module, x: Tensor, tasks: int, device: torch.device) -> tuple[Explainer, Explainer]:
    """Make what explains the first task, and what explains all."""
    graph = capture(module, x[:2]).to(device, torch.float32)
    targets = [Target(f"task {task}", (Term(0, task, None),)) for task in range(tasks)]
    return Explainer(graph, targets[:1]), Explainer(graph, targets)


def measured(subject: Subject, tasks: int, batch: int, rounds: int, device: torch.device) -> Row:
    """Measure a network."""
    torch.manual_seed(0)
    module = subject.build(tasks).eval().requires_grad_(False)
    x = one_hot(random_bases(max(2, batch), subject.window))
    one, several = explainers(module, x, tasks, device)
    module.to(device)
    x = x[:batch].to(device)

    def forward() -> Tensor:
        with torch.inference_mode():
            found: Tensor = module(x)
        return found

    runs = {FORWARD: forward, FIRST: lambda: one.explain(x), ALL: lambda: several.explain(x)}
    return row_of(subject, tasks, batch, interleaved(runs, rounds, device, "cpu"))


def row_of(subject: Subject, tasks: int, batch: int, times: dict[str, list[float]]) -> Row:
    """Take medians of the ratios of a round."""
    rounds = list(zip(times[FORWARD], times[FIRST], times[ALL], strict=True))
    return {
        "network": subject.name, "batch": batch, "targets": tasks, "rounds": len(rounds),
        "forward, ms a window": 1000 * statistics.median(times[FORWARD]) / batch,
        "first, in forwards": statistics.median(first / forward for forward, first, _ in rounds),
        "each, in forwards": statistics.median(
            (several - first) / (tasks - 1) / forward for forward, first, several in rounds
        ),
    }  # fmt: skip


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__, rounds=5)
    found.add_argument("--targets", type=int, default=TASKS, metavar="N", help="two or more")
    found.add_argument("--batch", type=int, default=BATCH, metavar="N")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    torch.set_num_threads(1)
    device = ready_device(given.device)
    keeper = Keeper.start("targets", given, device)
    rows: list[Row] = []
    for subject in SUBJECTS:
        rows.append(measured(subject, given.targets, given.batch, given.rounds, device))
        print(pd.DataFrame(rows[-1:]).to_string(index=False, float_format="%.2f", header=len(rows) == 1))
        keeper.keep_so_far({"rows": rows})
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
