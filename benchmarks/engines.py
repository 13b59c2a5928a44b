"""What is timed against each other: one gradient x input, the reference, and the engines of LRP and PLRP."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.networks import Subject
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.choices import COMPOSITE, PROPORTION, UNIFORM
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.replay import Recorded

GRADIENT, CROPPED = "gradient", "gradient of the cropped input"


@dataclass(frozen=True)
class Engine:
    """A way to explain that is timed.

    Attributes
    ----------
    composite : str
    pruning : Pruning
    centre : tuple of float or None
        Base composition.
    """

    composite: str
    pruning: Pruning
    centre: tuple[float, ...] | None = UNIFORM


DEFAULT = f"PLRP-lambda {COMPOSITE}, p={PROPORTION:g}"
ENGINES = {
    "LRP epsilon": Engine("epsilon", Pruning(0.0)),
    "LRP epsilon-plus": Engine("epsilon-plus", Pruning(0.0), None),
    "LRP epsilon-gamma": Engine("epsilon-gamma", Pruning(0.0)),
    DEFAULT: Engine(COMPOSITE, Pruning(PROPORTION)),
    "PLRP-lambda epsilon-gamma, p=0.25": Engine("epsilon-gamma", Pruning(0.25)),
    "PLRP-lambda epsilon-plus, p=0.02": Engine("epsilon-plus", Pruning(0.02), None),
    "PLRP-M epsilon-gamma, p=0.1": Engine("epsilon-gamma", Pruning(0.1, redistribute="m")),
}
REPLAYED = f"{DEFAULT}, replayed"
"""On a GPU: the default as a CUDA graph, as the command explains batch after batch."""


def references(subject: Subject, x: Tensor) -> dict[str, Callable[[], object]]:
    """The gradient of the whole windows (N, 4, L), and of what the target sees of them where that is less.

    LRP crops what a target can't depend on. Against autograd on the whole window that looks like speed;
    autograd on the cropped window is the fair reference.
    """
    found: dict[str, Callable[[], object]] = {GRADIENT: gradient(subject.module, subject.target, x)}
    if subject.seen:
        cropped = x[:, :, subject.seen.start : subject.seen.end].contiguous()
        found[CROPPED] = gradient(subject.module, subject.seen.target, cropped)
    return found


def gradient(module: nn.Module, target: Target, x: Tensor) -> Callable[[], Tensor]:
    """One gradient x input with frozen parameters: forward, and backward to the input."""

    def run() -> Tensor:
        leaf = x.detach().requires_grad_()
        (grad,) = torch.autograd.grad(score(module(leaf), target).sum(), leaf)
        return grad * x

    return run


def score(y: Tensor, target: Target) -> Tensor:
    """The target's score (N,) of outputs (N, T) or (N, T, L)."""
    total = y.new_zeros(len(y))
    for term in target.terms:
        part = y[:, term.task]
        part = part[:, slice(*term.positions)] if term.positions else part.reshape(len(y), -1)
        total = total + term.weight * part.mean(1)
    return total


def explanation(subject: Subject, graph: CanonicalGraph, engine: str, x: Tensor) -> Callable[[], object]:
    """One explanation by an engine of `ENGINES`."""
    explainer = _explainer(subject, graph, engine)
    return lambda: explainer.explain(x)


def replayed(subject: Subject, graph: CanonicalGraph, x: Tensor) -> Callable[[], object]:
    """One explanation by the default engine, recorded before."""
    explainer = _explainer(subject, graph, DEFAULT)
    explainer.explain(x)
    recorded = Recorded(explainer.explain, x)
    return lambda: recorded(x)


def _explainer(subject: Subject, graph: CanonicalGraph, engine: str) -> Explainer:
    way = ENGINES[engine]
    names = [OutputNames(output.name) for output in graph.outputs]
    return Explainer(graph, [subject.target], names, PRESETS[way.composite], way.pruning, centre=way.centre)
