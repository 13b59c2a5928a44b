"""Whether a model computes in less than its own precision, by torch.autocast or casts in its forward."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sparselrp_cli.graph.apart import apart


class _Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the least precise floating-point type that anything is computed in."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dtype = dtype

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for made in tree_leaves(result):
            if isinstance(made, Tensor) and made.is_floating_point():
                self.dtype = max(self.dtype, made.dtype, key=lambda dtype: torch.finfo(dtype).eps)
        return result


def reduced_precision(module: nn.Module, x: Tensor) -> torch.dtype | None:
    """Give the floating-point type that a model computes in where it has fewer digits than its input."""
    with warnings.catch_warnings(), torch.no_grad(), apart(module) as copied, _Watching(x.dtype) as watching:
        warnings.simplefilter("ignore")
        copied(x.clone())
    return None if watching.dtype == x.dtype else watching.dtype
