"""DeepLIFT/SHAP by tangermeme, for comparison."""

import warnings

import numpy as np
import numpy.typing as npt
import torch

from sparselrp_cli.errors import InputError
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.model.loading import LoadedModel

SHUFFLES = 20

OneHot = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.floating]


class _Scalar(torch.nn.Module):
    """A model whose output is the explained number, one for each window."""

    def __init__(self, model: LoadedModel, target: Target) -> None:
        super().__init__()
        self.model, self.target = model.module, target
        self.layout = model.layout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = torch.utils._pytree.tree_leaves(self.model(self.layout.to_model(x)))
        score = x.new_zeros(len(x))
        for term in self.target.terms:
            part = outputs[term.output]
            if term.profile or part.dim() > 2 or term.positions is not None:
                raise InputError("the baseline deeplift-shap takes outputs without positions; leave it out")
            score = score + term.sign * (part if part.dim() == 1 else part[:, term.task or 0])
        return score[:, None]


def deeplift_shap(model: LoadedModel, target: Target, one_hot: OneHot) -> Reals:
    """Let tangermeme compute DeepLIFT/SHAP with 20 dinucleotide shuffles: shape (n, L).

    Raises
    ------
    InputError
        If tangermeme isn't installed, or the target has positions.
    """
    try:
        from tangermeme.deep_lift_shap import deep_lift_shap
    except ImportError:
        raise InputError(
            "the baseline deeplift-shap needs tangermeme: pip install 'sparselrp[baselines]'"
        ) from None
    x = torch.from_numpy(np.ascontiguousarray(one_hot)).float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = deep_lift_shap(
            _Scalar(model, target),
            x,
            n_shuffles=SHUFFLES,
            device="cpu",
            random_state=0,
            warning_threshold=1e9,
        )
    values: Reals = found.sum(dim=1).detach().numpy()
    return values
