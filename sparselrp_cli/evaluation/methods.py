"""The methods of an evaluation: archives, and what is computed on the spot beside them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.evaluation.deeplift import hypothetical_deeplift_shap, require_deeplift_shap
from sparselrp_cli.evaluation.effects import observed_effects
from sparselrp_cli.evaluation.evaluated_windows import EvaluatedWindows, Reals
from sparselrp_cli.graph.operations.tokens import Tokens
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.relevance.scoring import Scorer
from sparselrp_cli.runs.models import PreparedModel

MUTAGENESIS = "mutagenesis"


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What a method says of some windows, as the model reads them.

    Attributes
    ----------
    contributions : ndarray, shape (n, L)
        Of the observed bases.
    hypothetical : ndarray, shape (n, 4, L)
        The contribution that each base would have.
    """

    contributions: Reals
    hypothetical: Reals


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What methods are asked for.

    Attributes
    ----------
    windows : EvaluatedWindows
    effects : ndarray, shape (n, 4, L), or None
        Of every single change, where mutagenesis is done.
    """

    windows: EvaluatedWindows
    effects: npt.NDArray[np.float64] | None


Method = Callable[[Asked], Maps]


class Archived:
    """The maps of an archive."""

    def __init__(self, reader: ArchiveReader, target: int) -> None:
        self.reader, self.target = reader, target

    def __call__(self, asked: Asked) -> Maps:
        rows, reverse = asked.windows.rows, asked.windows.reverse
        a = self.reader.contributions(rows, self.target)
        hypothetical = asked.windows.as_read(self.reader.read(rows, self.target)[1])
        return Maps(np.where(reverse[:, np.newaxis], a[:, ::-1], a), hypothetical)


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
