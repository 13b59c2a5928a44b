"""Methods of an evaluation that ask the model: what is computed on the spot, beside archives."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from sparselrp_cli.errors import InputError
from sparselrp_cli.evaluation.deeplift import hypothetical_deeplift_shap, require_deeplift_shap
from sparselrp_cli.evaluation.effects import observed_effects
from sparselrp_cli.evaluation.maps import MUTAGENESIS, Asked, Maps, Method
from sparselrp_cli.graph.operations.tokens import Tokens
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.relevance.scoring import Scorer
from sparselrp_cli.runs.models import PreparedModel


class Gradient(Scorer):
    """Gradient times input, by automatic differentiation; the gradient is hypothetical contributions."""

    def __call__(self, asked: Asked) -> Maps:
        seen = asked.windows.seen
        gradient = self.gradient(seen, asked.windows.seen_marks)
        return Maps((gradient * seen).sum(axis=1), gradient)


class Mutagenesis:
    """In-silico mutagenesis, the model's own truth: the ceiling of what is measured against it."""

    def __call__(self, asked: Asked) -> Maps:
        assert asked.effects is not None
        return Maps(np.stack([*map(observed_effects, asked.effects)]), asked.effects)


class DeepLiftShap:
    """DeepLIFT/SHAP by tangermeme."""

    def __init__(self, model: LoadedModel, target: Target) -> None:
        require_deeplift_shap(model)
        self.model, self.target = model, target

    def __call__(self, asked: Asked) -> Maps:
        seen = asked.windows.seen
        hypothetical = hypothetical_deeplift_shap(self.model, self.target, seen)
        return Maps((hypothetical * seen).sum(axis=1), hypothetical)


BASELINES: Mapping[str, Callable[[PreparedModel, int], Method]] = MappingProxyType(
    {
        "gradient-x-input": lambda model, t: Gradient(model.explainer, model.model.layout, t),
        MUTAGENESIS: lambda *_: Mutagenesis(),
        "deeplift-shap": lambda model, t: DeepLiftShap(model.model, model.explainer.targets[t]),
    }
)
"""Methods that are computed on the spot, given the model and the number of a target."""
_OF_ANY_MODEL = (MUTAGENESIS,)


def baseline(name: str, model: PreparedModel, target: int) -> Method:
    """Make one of `BASELINES`.

    Raises
    ------
    InputError
        If it needs a gradient by bases, and the model reads ids of tokens.
    """
    graph = model.explainer.graph
    if name not in _OF_ANY_MODEL and any(isinstance(node.operation, Tokens) for node in graph.nodes):
        raise InputError(
            f"--baseline {name} needs a gradient by bases, which a model of tokens doesn't have; compare with"
            f" {', '.join(_OF_ANY_MODEL)}"
        )
    return BASELINES[name](model, target)
