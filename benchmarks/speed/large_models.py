"""Time and memory of one window of Enformer and Borzoi, up to their full size: the gradient and the default.

    python -m benchmarks.speed.large_models --save
    python -m benchmarks.speed.large_models --models Enformer --parts 8

The packages' own classes with random weights: `enformer-pytorch` 0.8 and `borzoi-pytorch` 0.5, installed with
`pip install --no-deps` beside `einops`, `transformers` 4.57, `huggingface-hub` below 1 and what these import.
A part of 8 is a window of an eighth of the full length. Each figure is that of a process of its own, whose
peak is its maximum resident memory. The target is one output number in the middle of the window.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.shapes import size
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.memory import collect
from sparselrp_cli.relevance.choices import UNIFORM
from sparselrp_cli.relevance.explainer import Explainer

PARTS = (8, 4, 2, 1)
GIB = 2**30
FULL = {"Enformer": 196_608, "Borzoi": 524_288}
BIN = {"Enformer": 128, "Borzoi": 32}
CROPPED = {"Enformer": 320, "Borzoi": 5120}
"""Bins that the full-size models leave out at each end; shorter windows leave out as large a part."""


class Large(nn.Module):
    """One of the models, for windows of (N, 4, L); gives bins along the last axis."""

    def __init__(self, name: str, length: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        bins, cropped = length // BIN[name], CROPPED[name] * length // FULL[name]
        self.by_position = name == "Enformer"
        self.net = (_enformer if self.by_position else _borzoi)(bins - 2 * cropped)

    def forward(self, x: Tensor) -> Tensor:
        if self.by_position:
            bins: Tensor = self.net(x.transpose(1, 2))["human"]
            return bins.transpose(1, 2)
        tracks: Tensor = self.net(x)
        return tracks


def _enformer(bins: int) -> nn.Module:
    from enformer_pytorch import Enformer

    made: nn.Module = Enformer.from_hparams(
        dim=1536, depth=11, heads=8, output_heads={"human": 5313}, target_length=bins, use_tf_gamma=False
    )
    return made


def _borzoi(bins: int) -> nn.Module:
    from borzoi_pytorch import Borzoi
    from borzoi_pytorch.config_borzoi import BorzoiConfig

    config = BorzoiConfig(flashed=False)
    config.bins_to_return = bins
    made: nn.Module = Borzoi(config)
    return made


def peak() -> float:
    """Most memory of this process until now, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def window(length: int) -> Tensor:
    """A random window (1, 4, L)."""
    bases = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (1, length)))
    return nn.functional.one_hot(bases, 4).transpose(1, 2).float().contiguous()


def gradient(name: str, length: int) -> dict[str, float]:
    """Measure the gradient by automatic differentiation."""
    module = Large(name, length).eval().requires_grad_(False)
    x = window(length).requires_grad_()
    loaded, began = peak(), _clock()
    y = module(x)
    torch.autograd.grad(y[0, 0, y.shape[2] // 2], x)
    return {"loaded": loaded, **_since(began)}


def explanation(name: str, length: int) -> dict[str, float]:
    """Measure what a run does: the graph, the check of it, and an explanation by the default."""
    module = Large(name, length).eval().requires_grad_(False)
    x = window(length)
    began = _clock()
    graph = capture(module, x)
    difference = max(check_against_module(graph, module, x).values())
    traced = _since(began)
    del module
    collect()
    middle = size(graph.outputs[0].shape, 2) // 2
    target = Target("middle", (Term(0, 0, (middle, middle + 1)),))
    explainer = Explainer(graph, [target], centre=UNIFORM)
    del graph
    began = _clock()
    (explained,) = explainer.explain(x)
    return {
        **{f"graph {key}": value for key, value in traced.items()},
        "difference": difference,
        "conservation error": float(explained.conservation_error.max()),
        "computed again": sum(len(part.nodes) for part in explainer.keeping(1).again.values()),
        "operations": len(explainer.program.graph.nodes),
        **_since(began),
    }


def _clock() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> dict[str, float]:
    wall, processor = (b - a for a, b in zip(began, _clock(), strict=True))
    return {"seconds": wall, "processor": processor, "peak": peak()}


MEASURED = {"gradient": gradient, "the default": explanation}


def apart(method: str, name: str, length: int) -> dict[str, float]:
    """Measure in a process of its own, which takes memory as the command does."""
    command = [sys.executable, "-m", "benchmarks.speed.large_models", "--one", method, name, str(length)]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", "THP_MEM_ALLOC_ENABLE": "1", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{method}, {name}, {length} bp ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--models", nargs="+", choices=sorted(FULL), default=sorted(FULL))
    found.add_argument(
        "--parts", nargs="+", type=int, default=PARTS, help="windows of 1/N of the full length"
    )
    found.add_argument("--one", nargs=3, metavar=("METHOD", "MODEL", "LENGTH"), help=argparse.SUPPRESS)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    if given.one:
        method, name, length = given.one
        print(json.dumps(MEASURED[method](name, int(length))))
        return
    keeper = Keeper.start("large_models", given, torch.device("cpu"))
    rows: list[dict[str, Any]] = []
    for name in given.models:
        for part in given.parts:
            length = FULL[name] // part
            for method in MEASURED:
                rows.append({"model": name, "bp": length, "method": method, **apart(method, name, length)})
                print(pd.DataFrame(rows[-1:]).round(2).to_string(index=False), flush=True)
            keeper.keep_so_far({"rows": rows})
    print(pd.DataFrame(rows).round(2).to_string(index=False))
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
