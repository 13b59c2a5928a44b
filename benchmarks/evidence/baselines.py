"""Methods without rules: the gradient and what is made of it, DeepLIFT/SHAP, and in-silico mutagenesis.

Each takes windows (n, 4, L) and gives `Maps`. Where it has references, they are dinucleotide shuffles.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from sparselrp_cli.evaluation.deeplift import SHUFFLES, hypothetical_deeplift_shap
from sparselrp_cli.evaluation.effects import observed_effects
from sparselrp_cli.evaluation.faithfulness import shuffled_backgrounds
from sparselrp_cli.evaluation.methods import Gradient, Maps
from sparselrp_cli.evaluation.mutagenesis import SingleChanges
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.graph.targets.functional import NOTHING, Touched
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.relevance.explainer import Explainer

NOISE, NOISY = 0.15, 20
"""Standard deviation of SmoothGrad's noise, as a share of the range of the input, and how many draws."""
STEPS, REFERENCES = 20, 5
"""Of integrated gradients."""
LONG, FEW_STEPS, FEW_REFERENCES = 2000, 5, 4
"""Windows longer than this, in bp, get integrated gradients at the cost of SmoothGrad."""


class ModuleGradient(Gradient):
    """The gradient of a module as PyTorch has it, where the explained number is a module's own output.

    Costs are counted in it: what the tool's graph of the module takes doesn't flatter the tool. Where the
    output has an end that is undone, such as a softmax, it is the graph's.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    explainer : Explainer
        Of the module's graph and one target.
    layout : InputLayout
    """

    def __init__(self, module: nn.Module, explainer: Explainer, layout: InputLayout) -> None:
        super().__init__(explainer, layout)
        self.module = module

    def _terms(self, x: Tensor, touched: Touched = NOTHING) -> dict[str, Tensor]:
        if self.tail.nodes:
            return super()._terms(x, touched)
        outputs, leaves = self.explainer.graph.outputs, tree_leaves(self.module(x))
        values = {outputs[t.output].node: leaves[t.output] for t in self.target.every_term}
        with torch.no_grad():
            seeds = self.target.seeds(outputs, self.explainer.names, values, touched)
        return {node: values[node].double() * seed.double() for node, seed in seeds.items()}


def centred(hypothetical: np.ndarray) -> np.ndarray:
    """Take the mean over the four bases off at each position (Majdandzic et al. 2023), (n, 4, L)."""
    return hypothetical - hypothetical.mean(axis=1, keepdims=True)


def maps_of(one_hot: np.ndarray, hypothetical: np.ndarray) -> Maps:
    """Give maps from contributions that each base would have, (n, 4, L)."""
    return Maps((hypothetical * one_hot).sum(axis=1), hypothetical)


@dataclass(frozen=True)
class GradientTimesInput:
    """Gradient x input, as it is or centred."""

    gradient: Gradient
    centre: bool

    def __call__(self, one_hot: np.ndarray) -> Maps:
        found = self.gradient.gradient(one_hot)
        return maps_of(one_hot, centred(found) if self.centre else found)


@dataclass(frozen=True)
class SmoothGrad:
    """The mean of the gradient over windows with Gaussian noise (Smilkov et al. 2017), times the input."""

    gradient: Gradient

    def __call__(self, one_hot: np.ndarray) -> Maps:
        rng, total = np.random.default_rng(0), np.zeros(one_hot.shape)
        for _ in range(NOISY):
            total += self.gradient.gradient(one_hot + NOISE * rng.standard_normal(one_hot.shape))
        return maps_of(one_hot, total / NOISY)


@dataclass(frozen=True)
class IntegratedGradients:
    """The mean of the gradient along straight ways from shuffles (Sundararajan et al. 2017, equation 1).

    The hypothetical contribution of a base is what it would have with the same gradients; the observed base
    has the contributions of the method: their sum is the score less the mean score of the references, but
    for the finite number of steps, which are midpoints.
    """

    gradient: Gradient
    steps: int = STEPS
    references: int = REFERENCES

    def __call__(self, one_hot: np.ndarray) -> Maps:
        references = shuffled_backgrounds(one_hot, self.references)
        total = np.zeros(one_hot.shape)
        for reference in references.swapaxes(0, 1).astype(np.float64):
            mean = np.zeros(one_hot.shape)
            for step in range(self.steps):
                mean += self.gradient.gradient(reference + (step + 0.5) / self.steps * (one_hot - reference))
            mean /= self.steps
            total += mean - (mean * reference).sum(axis=1, keepdims=True)
        return maps_of(one_hot, total / self.references)


@dataclass(frozen=True)
class DeepLift:
    """DeepLIFT/SHAP by tangermeme."""

    model: LoadedModel
    target: Target

    def __call__(self, one_hot: np.ndarray) -> Maps:
        return maps_of(one_hot, hypothetical_deeplift_shap(self.model, self.target, one_hot))


@dataclass(frozen=True)
class Mutagenesis:
    """Every single change: the ceiling of what is measured against it."""

    changes: SingleChanges
    within: slice = field(default_factory=lambda: slice(None))

    def __call__(self, one_hot: np.ndarray) -> Maps:
        found = np.stack([self.changes.effects(window, within=self.within) for window in one_hot])
        return Maps(np.stack([*map(observed_effects, found)]), found)


@dataclass(frozen=True)
class Baseline:
    """A method, by name, and how many gradients it takes by count."""

    name: str
    gradients: float
    run: GradientTimesInput | SmoothGrad | IntegratedGradients | DeepLift


def baselines(module: nn.Module, gradient: Gradient, layout: InputLayout, window: int) -> Iterator[Baseline]:
    """Give all but mutagenesis; DeepLIFT/SHAP where tangermeme is installed and takes the target."""
    yield Baseline("gradient x input", 1, GradientTimesInput(gradient, centre=False))
    yield Baseline("gradient x input, centred", 1, GradientTimesInput(gradient, centre=True))
    yield Baseline("SmoothGrad", NOISY, SmoothGrad(gradient))
    steps, references = (FEW_STEPS, FEW_REFERENCES) if window > LONG else (STEPS, REFERENCES)
    integrated = IntegratedGradients(gradient, steps, references)
    yield Baseline("integrated gradients", steps * references, integrated)
    target = gradient.target
    by_position = any(term.profile or term.positions is not None for term in target.terms)
    if find_spec("tangermeme") and not by_position:
        model = LoadedModel("compared", module, window, layout, (), ())
        yield Baseline("DeepLIFT/SHAP", SHUFFLES, DeepLift(model, target))
