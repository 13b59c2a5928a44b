"""Whether a user's module is still the one that was traced: its weights, its parts, its attributes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten

_PLAIN = (bool, int, float, complex, str, bytes, torch.dtype, torch.device, type(None))


@dataclass(frozen=True, slots=True, eq=False)
class ModuleState:
    """What a module computes with, as it was at one moment.

    Numbers are copied and compared one by one. Versions and addresses of tensors don't tell: ``.data`` and
    numpy change weights without them. The copy takes as much memory as the weights do, and comparing reads
    both once. Objects that are neither modules, tensors nor plain values are known by their identity only.

    Attributes
    ----------
    tensors : tuple of Tensor
        Copies, on their devices.
    rest : tuple
        Names, types and plain values; other objects are those that they were.
    """

    tensors: tuple[Tensor, ...]
    rest: tuple[Any, ...]

    @classmethod
    def of(cls, module: nn.Module) -> "ModuleState":
        """Take a module's state."""
        tensors, rest = _parts(module)
        return cls(tuple(tensor.detach().clone() for tensor in tensors), tuple(rest))

    def holds(self, module: nn.Module) -> bool:
        """Whether a module is as it was."""
        tensors, rest = _parts(module)
        return (
            len(tensors) == len(self.tensors)
            and len(rest) == len(self.rest)
            and all(map(_same, rest, self.rest))
            and all(map(_same_numbers, tensors, self.tensors))
        )


def _parts(module: nn.Module) -> tuple[list[Tensor], list[Any]]:
    """Give all tensors that a module and its parts reach by their attributes, and the rest of these."""
    tensors: list[Tensor] = []
    rest: list[Any] = []
    waiting: list[nn.Module] = [module]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        rest.append(type(current))
        for leaf in _leaves(current):
            rest.append(leaf)
            if isinstance(leaf, Tensor):
                tensors.append(rest.pop())
            elif isinstance(leaf, nn.Module):
                waiting.append(leaf)
    return tensors, rest


def _leaves(module: nn.Module) -> Iterator[Any]:
    """Go through what the attributes of a module hold, with their names; whether it trains is no matter."""
    for name, value in vars(module).items():
        if name == "training":
            continue
        yield name
        if isinstance(value, _PLAIN):
            yield value
        elif not isinstance(value, dict) or value:
            leaves, structure = tree_flatten(value)
            yield structure
            yield from (torch.from_numpy(leaf) if _is_array(leaf) else leaf for leaf in leaves)


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


def _same(one: object, other: object) -> bool:
    if isinstance(one, _PLAIN) and type(one) is type(other):
        return one == other or one != one
    return one is other or (isinstance(one, TreeSpec) and one == other)


def _same_numbers(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype or one.device != other.device:
        return False
    return torch.equal(one.detach(), other)
