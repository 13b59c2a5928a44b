"""Element-wise functions that a layer may end with, by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def _softmax(x: Tensor) -> Tensor:
    return torch.softmax(x, 1)


def _log_softmax(x: Tensor) -> Tensor:
    return torch.log_softmax(x, 1)


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "relu": torch.relu,
        "relu6": F.relu6,
        "elu": F.elu,
        "selu": F.selu,
        "gelu": F.gelu,
        "gelu-tanh": _gelu_tanh,
        "silu": F.silu,
        "mish": F.mish,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "softmax": _softmax,
        "log-softmax": _log_softmax,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "exponential": torch.exp,
    }
)


def check_activation(name: str, layer: str) -> None:
    """Refuse a function that isn't known.

    Raises
    ------
    ValueError
    """
    if name != "linear" and name not in ACTIVATIONS:
        raise ValueError(f"layer '{layer}' has unknown activation '{name}'")


def activate(x: Tensor, name: str) -> Tensor:
    """Apply a function to (N, C, L) or (N, C); softmax is over channels."""
    return x if name == "linear" else ACTIVATIONS[name](x)
