"""Time of LRP and PLRP as ratios to one gradient x input of the same model, in the same run.

    python benchmarks/engine_speed.py            # what `make bench` runs
    python benchmarks/engine_speed.py --save     # also keep the figures in benchmarks/results/

Medians over interleaved repeats. The gradient has frozen parameters: forward, and backward to the input.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from sparselrp_cli.model.architectures import BPNet, PooledCNN, SpliceAI
from sparselrp_cli.model.capture import capture
from sparselrp_cli.model.loading import ModelRequest, load_model
from sparselrp_cli.model.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

ROOT = Path(__file__).parents[1]
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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)[self.name]


def networks() -> dict[str, tuple[nn.Module, int, Target]]:
    """The benchmark's networks, each with its window length and what is explained."""
    torch.manual_seed(0)
    scalar = Target("scalar", (Term(0, 0, None),))
    basset = PooledCNN(1000, [300, 200, 200], [19, 11, 7], [3, 4, 4], [1000, 164], dropout=0.3)
    spliceai = SpliceAI(32, [11] * 4 + [11] * 4, [1] * 4 + [4] * 4, 2000)
    return {
        "Basset-like 4x1000": (basset, 1000, scalar),
        "BPNet-like 4x2114": (OneOutput(BPNet(64, 8), "counts"), 2114, scalar),
        "SpliceAI-like 4x7000": (spliceai, 7000, Target("donor", (Term(0, 2, (2500, 2501)),))),
        "suhw-dm3 4x600": (load_model(ModelRequest(str(ROOT / "models" / "suhw-dm3"))).module, 600, scalar),
    }


def gradient(module: nn.Module, x: torch.Tensor, target: Target) -> Callable[[], object]:
    """One gradient x input, as the reference."""
    (term,) = target.terms

    def run() -> torch.Tensor:
        leaf = x.detach().requires_grad_()
        y = module(leaf)[:, term.task]
        score = y[:, slice(*term.positions)].mean(1) if term.positions else y
        (grad,) = torch.autograd.grad(score.sum(), leaf)
        return grad * x

    return run


def time_ratios(module: nn.Module, window: int, target: Target, batch: int, repeats: int) -> dict[str, float]:
    """Median time of each engine divided by the gradient's, measured alternately."""
    module = module.eval().requires_grad_(False)
    bases = torch.randint(4, (batch, window), generator=torch.Generator().manual_seed(1))
    x = nn.functional.one_hot(bases, 4).transpose(1, 2).float().contiguous()
    graph = capture(module, x[:1].repeat(2, 1, 1))
    runs: dict[str, Callable[[], object]] = {"gradient": gradient(module, x, target)}
    for name, (composite, pruning) in ENGINES.items():
        explainer = Explainer(graph, [target], composite=PRESETS[composite], pruning=pruning)
        runs[name] = lambda explainer=explainer: explainer.explain(x)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            if repeat:  # the first round warms up
                times[name].append(time.perf_counter() - began)
    reference = times.pop("gradient")
    ratios = {
        name: statistics.median(t / r for t, r in zip(taken, reference, strict=True))
        for name, taken in times.items()
    }
    return {"gradient, ms a window": 1000 * statistics.median(reference) / batch, **ratios}


def processor() -> str:
    """Name the processor, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    rows = []
    for batch in given.batch:
        for name, (module, window, target) in networks().items():
            ratios = time_ratios(module, window, target, batch, given.repeats)
            rows.append({"network": name, "batch": batch, **ratios})
    print(pd.DataFrame(rows).set_index(["network", "batch"]).T.to_string(float_format="%.2f"))
    if given.save:
        result = {
            "machine": processor(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "rows": rows,
        }
        path = ROOT / "benchmarks" / "results" / "engine_speed_cpu.json"
        path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
