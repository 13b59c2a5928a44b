"""Weights that aren't numbers, named before anything is computed with them."""

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sparselrp_cli.errors import ModelError


def require_finite(module: nn.Module, place: str) -> None:
    """Refuse NaN in parameters and buffers, and infinities in parameters; masks are buffers with -inf.

    Raises
    ------
    ModelError
        With the first tensor that holds some, and how many.
    """
    for name, parameter in module.named_parameters():
        _require(name, parameter, place, what="weights", infinite=True)
    for name, buffer in module.named_buffers():
        _require(name, buffer, place, what="numbers", infinite=False)


def _require(name: str, tensor: Tensor, place: str, *, what: str, infinite: bool) -> None:
    if is_lazy(tensor):
        raise ModelError(f"{place}: '{name}' has no shape and no values yet; give the weights with -w FILE")
    if tensor.is_meta:
        raise ModelError(f"{place}: '{name}' has no values (it is on the meta device)")
    if not tensor.is_floating_point():
        return
    is_nan = tensor.detach().isnan()
    kinds = [("NaN", is_nan)] if bool(is_nan.any()) else []
    if infinite and not kinds:
        is_infinite = tensor.detach().isinf()
        kinds = [("infinities", is_infinite)] if bool(is_infinite.any()) else []
    for kind, there in kinds:
        count = int(torch.count_nonzero(there))
        values = "value" if tensor.numel() == 1 else "values"
        raise ModelError(
            f"{place}: {what} of '{name}' hold {kind} ({count} of {tensor.numel()} {values}); training may"
            " have diverged: give weights from before that"
        )
