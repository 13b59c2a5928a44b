"""Time of a pruned explanation beside peers', and whether the peers' relevance adds up to what is explained.

    pip install torch==2.13.0 captum==0.9.0 tangermeme==1.6.0
    pip install zennit==0.5.1 --no-deps       # leaves out torchvision, which isn't needed here
    python -m benchmarks.speed.peers --save

As ratios to one gradient x input of the same network, for one window. The sum of relevance stands beside
what it should be: for LRP the logit, of which rules leave a part to biases, so that only a sum of another
magnitude counts as wrong; for DeepLIFT/SHAP exactly the logit less the mean over the references. BPNet's
ReLUs and additions are function calls, which tools made of hooks don't see: it runs again with its ReLUs as
modules. A peer that isn't installed, or that refuses the network, is left out with a line.
"""

import argparse
import copy
import statistics
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.engines import DEFAULT, explanation, gradient
from benchmarks.networks import OneOutput, Subject, random_networks
from benchmarks.options import timing_parser
from benchmarks.record import Keeper
from benchmarks.timing import ready_device, timed
from sparselrp_cli.model.architectures import BPNet

REFERENCES = 20
SHAP = f"DeepLIFT/SHAP, {REFERENCES} references"
Run = Callable[[], Tensor]


class BPNetOfModules(nn.Module):
    """The counts of a BPNet, each ReLU a module of its own."""

    def __init__(self, network: BPNet) -> None:
        super().__init__()
        self.stem, self.residual, self.counts = network.stem, network.residual, network.counts
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(len(network.residual) + 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.relus[0](self.stem(x))
        for layer, relu in zip(self.residual, self.relus[1:], strict=True):
            h = h + relu(layer(h))
        return self.counts(h.mean(2))


def ours(engine: str) -> Callable[[Subject, Tensor], Run]:
    """One of our engines, giving contributions."""

    def make(subject: Subject, x: Tensor) -> Run:
        run = explanation(subject, subject.graph(x.device), engine, x)
        return lambda: run()[0].contributions

    return make


def zennit_epsilon_plus(subject: Subject, x: Tensor) -> Run:
    """LRP epsilon-plus by zennit, with its canonizer for batch normalisation."""
    _stand_in_for_torchvision()
    from zennit.attribution import Gradient
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.composites import EpsilonPlus

    model = copy.deepcopy(subject.module).requires_grad_(True)
    attributor = Gradient(model, EpsilonPlus(canonizers=[SequentialMergeBatchNorm()]))

    def run() -> Tensor:
        leaf = x.detach().requires_grad_()
        with attributor as active:
            _, relevance = active(leaf, lambda y: torch.eye(y.shape[1], device=y.device)[[0] * len(y)] * y)
        return relevance

    return run


def _stand_in_for_torchvision() -> None:
    """Give zennit the two names of torchvision that it imports, and uses for torchvision's models only."""
    if "torchvision" not in sys.modules and find_spec("torchvision") is None:
        resnet = types.ModuleType("torchvision.models.resnet")
        resnet.BasicBlock = resnet.Bottleneck = type("Block", (), {})
        sys.modules |= {name: types.ModuleType(name) for name in ("torchvision", "torchvision.models")}
        sys.modules["torchvision.models.resnet"] = resnet


def captum_lrp(subject: Subject, x: Tensor) -> Run:
    """LRP by captum, with the rules set by hand before each call, which forgets them."""
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule

    model = copy.deepcopy(subject.module)

    def run() -> Tensor:
        for module in model.modules():
            if isinstance(module, nn.Conv1d | nn.Linear | nn.BatchNorm1d | nn.MaxPool1d):
                module.rule = EpsilonRule()
        return LRP(model).attribute(x.detach().requires_grad_(), target=0)

    return run


def captum_deep_lift_shap(subject: Subject, x: Tensor) -> Run:
    """DeepLIFT/SHAP by captum."""
    from captum.attr import DeepLiftShap

    model, references = copy.deepcopy(subject.module), shuffled(x)
    return lambda: DeepLiftShap(model).attribute(x, references, target=0)


def tangermeme_deep_lift_shap(subject: Subject, x: Tensor) -> Run:
    """DeepLIFT/SHAP by tangermeme."""
    from tangermeme.deep_lift_shap import deep_lift_shap

    model, references = copy.deepcopy(subject.module), shuffled(x)[None]
    return lambda: deep_lift_shap(
        model, x, references=references, device=x.device.type, batch_size=REFERENCES, random_state=0
    )


def shuffled(x: Tensor) -> Tensor:
    """References: the window's bases in random orders."""
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(x.shape[2], generator=generator) for _ in range(REFERENCES)]
    return torch.stack([x[0][:, order] for order in orders])


CONTENDERS = {
    "LRP epsilon-plus": ours("LRP epsilon-plus"),
    DEFAULT: ours(DEFAULT),
    "zennit LRP epsilon-plus": zennit_epsilon_plus,
    "captum LRP epsilon": captum_lrp,
    f"tangermeme {SHAP}": tangermeme_deep_lift_shap,
    f"captum {SHAP}": captum_deep_lift_shap,
}


def expected(subject: Subject, x: Tensor, contender: str) -> tuple[float, float]:
    """What relevance should add up to, and how far off it may be."""
    with torch.no_grad():
        logit = float(subject.module(x)[0, 0])
        if SHAP not in contender:
            return logit, 10 * max(abs(logit), 0.1)
        difference = logit - float(subject.module(shuffled(x))[:, 0].mean())
    return difference, 0.02 * abs(difference) + 1e-4


def compare(subject: Subject, rounds: int, device: torch.device) -> list[dict[str, object]]:
    """Ratio of time and sum of relevance of every contender."""
    x = subject.inputs(1).to(device)
    subject.module.to(device)
    reference = gradient(subject.module, subject.target, x)
    rows: list[dict[str, object]] = []
    for name, make in CONTENDERS.items():
        try:
            run = make(subject, x)
            total = float(run().sum())
            pairs = [(timed(run, x.device), timed(reference, x.device)) for _ in range(rounds)]
        except ImportError as error:
            print(f"{name}: left out, {error}")
            continue
        except Exception as error:  # noqa: BLE001 -- a peer may refuse in any way
            reason = (str(error).splitlines() or [""])[0][:100]
            print(f"{name} refuses {subject.name}: {type(error).__name__}: {reason}")
            continue
        ratio = statistics.median(t / r for t, r in pairs)
        aim, tolerance = expected(subject, x, name)
        # Not "further off than", so that what isn't a number is wrong too.
        verdict = "" if abs(total - aim) <= tolerance else "wrong"
        rows.append(
            {
                "network": subject.name, "contender": name, "time": ratio, "sum": total, "should be": aim,
                "verdict": verdict,
            }
        )  # fmt: skip
    return rows


def subjects() -> list[Subject]:
    """Basset-like and BPNet-like networks, the latter as written and with ReLUs as modules."""
    basset, bpnet = random_networks()[:2]
    if not isinstance(bpnet.module, OneOutput):
        raise TypeError("the second network isn't BPNet's counts")
    modular = BPNetOfModules(bpnet.module.network).eval()
    return [basset, bpnet, replace(bpnet, name=f"{bpnet.name}, ReLU modules", module=modular)]


def options() -> argparse.ArgumentParser:
    return timing_parser(__doc__, rounds=5)


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    warnings.filterwarnings("ignore")
    device = ready_device(given.device)
    keeper = Keeper.start("peers", given, device)
    rows = [row for subject in subjects() for row in compare(subject, given.rounds, device)]
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
