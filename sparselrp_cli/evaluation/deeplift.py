"""DeepLIFT/SHAP by tangermeme, for comparison."""

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from sparselrp_cli.errors import InputError, require_extra
from sparselrp_cli.graph.packed.network import PackedNetwork
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.prints import silently
from sparselrp_cli.model.results import leaves_of

SHUFFLES = 20

OneHot = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.floating]


class _Scalar(torch.nn.Module):
    """A copy of a model whose output is the explained number, one for each window."""

    def __init__(self, model: LoadedModel, target: Target) -> None:
        super().__init__()
        self.model, self.target = _copy_of(model), target
        self.layout = model.layout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = leaves_of(self.model(self.layout.to_model(x)))
        score = _sum(self.target.terms, outputs, x)
        for each in self.target.logarithms:
            score = score + each.weight * _sum(each.terms, outputs, x).log()
        return score[:, None]


def _sum(terms: Sequence[Term], outputs: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Sum terms: shape (N,)."""
    score = x.new_zeros(len(x))
    for term in terms:
        part = outputs[term.output]
        if term.profile or part.dim() > 2 or term.positions is not None:
            raise InputError("the baseline deeplift-shap takes outputs without positions; leave it out")
        score = score + term.weight * _mean(part, term.task)
    return score


def _mean(output: torch.Tensor, task: int | range | None) -> torch.Tensor:
    """Give the mean over tasks of an output, (N,) or (N, tasks): shape (N,)."""
    if output.dim() == 1:
        return output
    if task is None:
        return output.mean(1)
    return output[:, task.start : task.stop].mean(1) if isinstance(task, range) else output[:, task]


def deeplift_shap(model: LoadedModel, target: Target, one_hot: OneHot) -> Reals:
    """Let tangermeme compute DeepLIFT/SHAP: contributions of the observed bases, shape (n, L).

    Raises
    ------
    InputError
        See `hypothetical_deeplift_shap`.
    """
    contributions: Reals = (hypothetical_deeplift_shap(model, target, one_hot) * one_hot).sum(axis=1)
    return contributions


def require_deeplift_shap(model: LoadedModel) -> None:
    """Stop where tangermeme isn't installed, or can't hang its hooks onto a model.

    Raises
    ------
    InputError
    """
    if isinstance(model.module, PackedNetwork):
        raise InputError(
            "the baseline deeplift-shap hangs hooks onto the model's modules, which a packed graph doesn't"
            " have; give the model that was packed, or leave the baseline out"
        )
    require_extra("baselines", "the baseline deeplift-shap", "tangermeme")


def hypothetical_deeplift_shap(model: LoadedModel, target: Target, one_hot: OneHot) -> Reals:
    """Let tangermeme compute DeepLIFT/SHAP with 20 dinucleotide shuffles, of all four bases: shape (n, 4, L).

    It gets a copy: it hangs hooks onto the modules, moves them, switches gradients on, and leaves all of them
    in training mode, in which dropout and batch normalisation would change what comes after.

    Raises
    ------
    InputError
        If tangermeme isn't installed, the model is a packed graph or can't be copied, or the target has
        positions.
    """
    require_deeplift_shap(model)
    from tangermeme.deep_lift_shap import deep_lift_shap

    scalar = _Scalar(model, target)
    for module in scalar.modules():  # what .eval() does; exported programs refuse the call
        module.training = False
    x = torch.from_numpy(np.ascontiguousarray(one_hot)).float()
    with silently():
        found = deep_lift_shap(
            scalar,
            x,
            n_shuffles=SHUFFLES,
            device="cpu",
            random_state=0,
            warning_threshold=1e9,
            hypothetical=True,
        )
    values: Reals = found.detach().numpy()
    return values


def _copy_of(model: LoadedModel) -> torch.nn.Module:
    try:
        return copy.deepcopy(model.module)
    except RuntimeError as error:
        # Of tensors that were computed, as by the old form of weight normalisation.
        raise InputError(
            f"the baseline deeplift-shap works on a copy of the model, and '{model.name}' can't be copied"
            f" ({error}); leave it out"
        ) from error
