"""A user's module, called and traced without a trace of it: on a copy, in evaluation mode."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def apart(module: nn.Module, dtype: torch.dtype | None = None) -> Iterator[nn.Module]:
    """Give a copy of a module in evaluation mode, for one call or one trace.

    Buffers that its forward writes, counters and caches that it keeps stay as they were in the module itself.
    A module that can't be copied is used itself: its buffers and its mode are put back.

    Parameters
    ----------
    module : nn.Module
    dtype : torch.dtype, optional
        What parameters and buffers of the copy are cast to, as ``module.to(dtype)`` does.

    Raises
    ------
    TypeError, RuntimeError
        If it can't be copied and was to be cast.
    """
    try:
        copied = _copied(module, dtype)
    except Exception:
        # Whatever a stranger's __deepcopy__ raises.
        if dtype is not None:
            raise
        with _put_back(module):
            yield _evaluating(module)
        return
    yield _evaluating(copied)


def _copied(module: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """Copy a module; parameters that aren't cast are shared, as nothing writes them in evaluation mode."""
    known: dict[int, object] = {}
    for parameter in module.parameters():
        known[id(parameter)] = nn.Parameter(_cast(parameter, dtype), requires_grad=False)
    for buffer in module.buffers():
        known[id(buffer)] = _cast(buffer, dtype).clone()
    return copy.deepcopy(module, known)


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.detach().to(dtype if dtype and tensor.is_floating_point() else tensor.dtype)


def _evaluating(module: nn.Module) -> nn.Module:
    for submodule in module.modules():  # what .eval() does; exported programs refuse the call
        submodule.training = False
    return module


@contextmanager
def _put_back(module: nn.Module) -> Iterator[None]:
    modes = {submodule: submodule.training for submodule in module.modules()}
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for submodule, mode in modes.items():
            submodule.training = mode
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
