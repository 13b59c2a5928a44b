"""The same function by other weights: what moving constants between the stem's taps and its bias changes.

    python -m benchmarks.evidence.gauge --save     five minutes

One-hot columns sum to 1, so a number added to all four weights of a tap and taken off the bias is the same
function on DNA (but where taps hang over a border). The first layer of the shipped models is written in other
ways: with its bias in the columns of the central tap, or over all taps; with each tap's mean over the bases
in the bias. For each the centred map is compared with that of the model as it is, as the norm of the
difference over the norm of the map, and measured against mutagenesis and by the curves.
"""

import argparse
import copy
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.evidence.attention import chosen
from benchmarks.evidence.comparison import DECIDING, Subject, Walk, Windows, in_parts, measured, mutated
from benchmarks.evidence.insulator_peaks import SUHW, Peaks
from benchmarks.evidence.methods import Method
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.relevance.pruning import Pruning

MODELS = ("suhw-dm3", "insulators-dm3")
METHODS = (
    Method("zero", "gradient x input, centred", Pruning(0.0), centred=True),
    Method("epsilon-gamma", "LRP", Pruning(0.0), centred=True),
    Method("epsilon-gamma", "PLRP-lambda", Pruning(0.05), centred=True),
)
COUNT = 30


def stem(module: nn.Module) -> nn.Conv1d:
    """The convolution that reads the sequence."""
    return next(m for m in module.modules() if isinstance(m, nn.Conv1d))


def folded(module: nn.Module) -> nn.Module:
    """The same model with a bias in its stem: that of the batch norm behind it, if there is one."""
    module = copy.deepcopy(module)
    modules = list(module.modules())
    conv = stem(module)
    behind = modules[modules.index(conv) + 1]
    if isinstance(behind, nn.BatchNorm1d):
        assert behind.running_mean is not None
        assert behind.running_var is not None
        deviation = (behind.running_var + behind.eps).sqrt()
        with torch.no_grad():
            before = torch.zeros_like(behind.bias) if conv.bias is None else conv.bias
            bias = (before - behind.running_mean) / deviation * behind.weight + behind.bias
            conv.weight *= (behind.weight / deviation)[:, None, None]
            conv.bias = nn.Parameter(bias)
            behind.weight.copy_(deviation)
            behind.bias.copy_(behind.running_mean)
    return module


def rewritten(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Give the model as it is, then with its stem written in other ways."""
    yield "as it is", module
    for name in ("bias in the central tap", "bias over all taps", "means of taps in the bias"):
        other = copy.deepcopy(module)
        conv = stem(other)
        assert conv.bias is not None
        with torch.no_grad():
            if name == "means of taps in the bias":
                mean = conv.weight.mean(1, keepdim=True)
                conv.weight -= mean
                conv.bias += mean.sum((1, 2))
            else:
                width = conv.weight.shape[2]
                taps = slice(width // 2, width // 2 + 1) if "central" in name else slice(None)
                conv.weight[:, :, taps] += conv.bias[:, None, None] / conv.weight[0, 0, taps].numel()
                conv.bias.zero_()
        yield name, other


def compared(model: str, count: int) -> Iterator[dict[str, object]]:
    """Give a row for each way to write a model and each method."""
    loaded = load_model(ModelRequest(str(ROOT / "models" / model)))
    windows = chosen(loaded.module.eval(), Peaks((SUHW,)), 0, SUHW, count)
    if windows is None:
        raise SystemExit(f"{model}: too few windows")
    before: dict[str, np.ndarray] = {}
    for name, module in rewritten(folded(loaded.module.double())):
        subject = subject_of(module, windows)
        truth, _ = mutated(subject, windows.one_hot, windows.within)
        for method in METHODS:
            maps = in_parts(Walk(subject, method), windows.one_hot)
            first = before.setdefault(method.name, maps.hypothetical)
            table = measured(subject, windows, truth, maps.contributions, maps.hypothetical)
            change = np.linalg.norm(maps.hypothetical - first) / np.linalg.norm(first)
            yield {
                "model": model, "stem": name, "method": method.name, "map changed by": float(change),
                **{metric: float(table[metric].mean()) for metric in DECIDING},
            }  # fmt: skip


def subject_of(module: nn.Module, windows: Windows) -> Subject:
    """What explains a model, in float64; su(Hw) is the first task of both."""
    module = module.double().eval().requires_grad_(False)
    graph = capture(module, torch.from_numpy(windows.one_hot[:1]).double())
    return Subject(module, graph, Target("suhw", (Term(0, 0, None),)))


def options() -> argparse.ArgumentParser:
    return parser(__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("gauge", given, torch.device("cpu"))
    rows = [row for model in MODELS for row in compared(model, COUNT)]
    print(pd.DataFrame(rows).round(4).to_string(index=False))
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
