"""Time of a pruned explanation beside peers', and whether the peers' relevance adds up to what is explained.

    pip install captum zennit tangermeme
    python benchmarks/peers.py --save

As ratios to one gradient x input of the same network, for one window. The sum of relevance stands beside the
logit: rules leave a part to biases, but a sum of another magnitude is wrong. A peer that isn't installed, or
that refuses the network, is left out with a line.
"""

import copy
import statistics
import sys
import types
import warnings
from collections.abc import Callable
from importlib.util import find_spec

import pandas as pd
import torch
from common import Subject, explanation, gradient, networks, parser, save, timed
from torch import Tensor, nn

REFERENCES = 20
Run = Callable[[], Tensor]


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
            _, relevance = active(leaf, lambda y: torch.eye(y.shape[1])[[0] * len(y)] * y)
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
    from captum.attr._utils.lrp_rules import EpsilonRule, IdentityRule

    model = copy.deepcopy(subject.module)
    known = {nn.Conv1d: EpsilonRule, nn.Linear: EpsilonRule, nn.BatchNorm1d: EpsilonRule}

    def run() -> Tensor:
        for module in model.modules():
            if not list(module.children()) and not isinstance(module, nn.ReLU):
                module.rule = known.get(type(module), IdentityRule)()
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
        model, x, references=references, device="cpu", batch_size=REFERENCES, random_state=0
    )


def shuffled(x: Tensor) -> Tensor:
    """References: the window's bases in random orders."""
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(x.shape[2], generator=generator) for _ in range(REFERENCES)]
    return torch.stack([x[0][:, order] for order in orders])


CONTENDERS = {
    "LRP epsilon-plus": ours("LRP epsilon-plus"),
    "PLRP-lambda epsilon-plus, p=0.25": ours("PLRP-lambda epsilon-plus, p=0.25"),
    "zennit LRP epsilon-plus": zennit_epsilon_plus,
    "captum LRP epsilon": captum_lrp,
    f"tangermeme DeepLIFT/SHAP, {REFERENCES} references": tangermeme_deep_lift_shap,
    f"captum DeepLIFT/SHAP, {REFERENCES} references": captum_deep_lift_shap,
}


def compare(subject: Subject, repeats: int) -> list[dict[str, object]]:
    """Ratio of time and sum of relevance of every contender."""
    x = subject.inputs(1)
    reference = gradient(subject, x)
    with torch.no_grad():
        logit = float(subject.module(x)[0, 0])
    rows = []
    for name, make in CONTENDERS.items():
        try:
            run = make(subject, x)
            total = float(run().sum())
            pairs = [(timed(run, x.device), timed(reference, x.device)) for _ in range(repeats + 1)][1:]
        except ImportError as error:
            print(f"{name}: left out, {error}")
            continue
        except Exception as error:  # noqa: BLE001 -- a peer may refuse in any way
            print(
                f"{name} refuses {subject.name}: {type(error).__name__}: {str(error).splitlines()[0][:100]}"
            )
            continue
        ratio = statistics.median(t / r for t, r in pairs)
        rows.append({"network": subject.name, "contender": name, "time": ratio, "sum": total, "logit": logit})
    return rows


def main() -> None:
    warnings.filterwarnings("ignore")
    given = parser(__doc__, repeats=5).parse_args()
    rows = [row for subject in networks(given)[:2] for row in compare(subject, given.repeats)]
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    if given.save:
        save("peers", rows, torch.device("cpu"))


if __name__ == "__main__":
    main()
