"""Wrappers around a network that change nothing of what it computes on one device."""

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

_INNER: Mapping[str, str] = MappingProxyType(
    {
        "DataParallel": "module",
        "DistributedDataParallel": "module",
        "FullyShardedDataParallel": "_fsdp_wrapped_module",
        "OptimizedModule": "_orig_mod",
        "AveragedModel": "module",
    }
)
"""Classes of torch by name, since some are loaded only where they are used; and where the network is."""


def unwrapped(module: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Give the network within what torch wraps around it to train or compile it, and a note for each."""
    notes: tuple[str, ...] = ()
    while (inner := _inner(module)) is not None:
        notes += (f"the network within a {type(module).__name__} is taken",)
        module = inner
    return module, notes


def _inner(module: nn.Module) -> nn.Module | None:
    kind = type(module)
    if kind.__module__.partition(".")[0] != "torch" or kind.__name__ not in _INNER:
        return None
    inner = getattr(module, _INNER[kind.__name__], None)
    return inner if isinstance(inner, nn.Module) else None
