"""What a described network would take, found out before any memory is given to it."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sparselrp_cli.errors import ModelError

LARGEST_NUMBER = 10_000_000
"""Of any argument; the longest window, which is the largest one that makes sense."""
MOST_TENSORS = 20_000
_SAMPLES = 4
_SHARE_OF_MEMORY = 4


def outline(factory: Callable[..., nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network without memory for its numbers.

    Raises
    ------
    ValueError
        If an argument is too large, or it has too many tensors; besides what the factory raises.
    """
    _refuse_large_numbers(arguments)
    with torch.device("meta"), _counted():
        return factory(**arguments)


def memory() -> int:
    """Give this machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def require_room(module: nn.Module, window: int, place: str) -> None:
    """Refuse an outline that would compute a tensor larger than a quarter of this machine's memory.

    Raises
    ------
    ModelError
    """
    # What else is wrong with the network is told where it is traced.
    try:
        with torch.no_grad(), _Measured(place):
            module.eval()(torch.empty(_SAMPLES, 4, window, device="meta"))
    except ModelError:
        raise
    except Exception:  # noqa: BLE001
        return


def _refuse_large_numbers(value: Any) -> None:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Mapping):
            waiting.extend(found.values())
        elif isinstance(found, (list, tuple)):
            waiting.extend(found)
        elif isinstance(found, int) and abs(found) > LARGEST_NUMBER:
            raise ValueError(f"a number above {LARGEST_NUMBER:,}")


@contextmanager
def _counted() -> Iterator[None]:
    """Stop a factory that makes tensors without end."""
    count = 0

    def count_one(*_: object) -> None:
        nonlocal count
        count += 1
        if count > MOST_TENSORS:
            raise ValueError(f"more than {MOST_TENSORS:,} tensors")

    handle = register_module_parameter_registration_hook(count_one)
    try:
        yield
    finally:
        handle.remove()


class _Measured(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Looks at the size of every tensor that is computed."""

    def __init__(self, place: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.place = place
        self.limit = memory() // _SHARE_OF_MEMORY

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.numel() * tensor.element_size() > self.limit:
                raise ModelError(
                    f"{self.place}: it computes a tensor of {tensor.numel():,} numbers for {_SAMPLES}"
                    " windows; this machine's memory doesn't hold that"
                )
        return result
