"""Which names and tensors of a checkpoint are a network's: found by what fits, whatever is around them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sparselrp_cli.errors import ModelError, number_of

_DEEPEST = 4
_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""Parts of names that torch.compile and its like put in, at the front or further in."""
_SHOWN = 3


class MisfitError(ModelError):
    """No part of a file has a network's names and shapes."""


@dataclass(frozen=True, slots=True)
class StateDict:
    """Names and tensors at one place of a file.

    Attributes
    ----------
    place : str
        The keys that lead there, such as ``'state_dict'``; empty at the top.
    prefix : str
        What was taken off the names, such as ``model.``.
    weights : dict of str to Tensor
        By the network's names.
    left_out : tuple of str
        Names in the file that don't begin with the prefix.
    """

    place: str
    prefix: str
    weights: dict[str, Tensor]
    left_out: tuple[str, ...] = ()

    def describe(self) -> str:
        """Say where the weights were found; nothing where they simply are the file."""
        parts = [f"weights are taken from '{self.place}'"] if self.place else []
        parts += [f"the prefix '{self.prefix}' is taken off their names"] if self.prefix else []
        if self.left_out:
            parts.append(
                f"{number_of(len(self.left_out), 'other is', 'others are')} left out"
                f" ({_listed(self.left_out)})"
            )
        return ", ".join(parts)


def find_weights(module: nn.Module, document: object, path: Path) -> StateDict:
    """Find a network's weights in what a file holds.

    Parameters
    ----------
    module : nn.Module
    document : object
        Names and tensors, perhaps nested in dictionaries.
    path : Path
        For messages.

    Raises
    ------
    MisfitError
        If no part of the file fits.
    ModelError
        If it holds no tensors, or several parts fit and differ.
    """
    candidates = list(places(document))
    if not candidates:
        raise ModelError(f"{path}: holds no state dict (names and tensors)")
    expected = expected_tensors(module)
    fitting = [found for place, tensors in candidates for found in _fitting(expected, place, tensors)]
    exact = [found for found in fitting if not found.left_out and not found.prefix and not found.place]
    fitting = exact or _without_equals(fitting)
    if not fitting:
        raise MisfitError(f"{path}: {_nearest_misfit(expected, candidates)}")
    if len(fitting) > 1:
        names = " and ".join(f"'{_joined(f.place, f.prefix)}'" for f in fitting[:_SHOWN])
        raise ModelError(
            f"{path}: {len(fitting)} sets of weights in it fit the model, at {names}, and they differ; save"
            " the one you mean alone"
        )
    return fitting[0]


def _joined(place: str, prefix: str) -> str:
    return ".".join(part for part in (place, prefix.rstrip(".")) if part) or "the top"


def expected_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Give the tensors that a network wants, by name; equal ones are the same object."""
    expected = {}
    seen: dict[Any, Tensor] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor):
            expected[name] = seen.setdefault(_identity(tensor), tensor)
    return expected


def _identity(tensor: Tensor) -> object:
    """Tell tensors that are one: the same numbers in the same places, not only of the same storage."""
    if is_lazy(tensor) or tensor.is_meta or not tensor.numel() or tensor.layout != torch.strided:
        return id(tensor)
    place = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.device)
    return (*place, tensor.shape, tensor.stride(), tensor.dtype)


def _missing(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """List names that a network wants and a file lacks; a tensor's second name isn't missed."""
    there = {id(expected[name]) for name in weights if name in expected}
    return [
        name
        for name, tensor in expected.items()
        if name not in weights and id(tensor) not in there and not _dispensable(name)
    ]


def _dispensable(name: str) -> bool:
    """Whether older files lack it, and nothing depends on it."""
    return name.endswith("num_batches_tracked")


def _misshapen(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """List names under which a file's tensor has another shape than the network's."""
    both = [name for name in weights if name in expected and not is_lazy(expected[name])]
    return [name for name in both if weights[name].shape != expected[name].shape]


def places(document: object, place: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Go through dictionaries that hold tensors, the outermost first."""
    if not isinstance(document, dict) or depth > _DEEPEST:
        return
    # A pickle can hang attributes on dictionaries and tensors that stand before their own methods.
    entries = list(dict.items(document))
    tensors = {k: Tensor.detach(v) for k, v in entries if isinstance(k, str) and isinstance(v, Tensor)}
    if tensors:
        yield place, tensors
    for key, value in entries:
        yield from places(value, f"{place}.{key}" if place else str(key), depth + 1)


def _fitting(expected: Mapping[str, Tensor], place: str, tensors: Mapping[str, Tensor]) -> list[StateDict]:
    """Try the names as they are, then without each prefix under which the network's may stand."""
    plain, wrappers = _without_wrappers(expected, tensors)
    found = list(_with_prefix(expected, place, tensors, ""))
    return found or list(_with_prefix(expected, place, plain, wrappers))


def _with_prefix(
    expected: Mapping[str, Tensor], place: str, tensors: Mapping[str, Tensor], wrappers: str
) -> Iterator[StateDict]:
    if _fits(expected, tensors):
        yield StateDict(place, wrappers, dict(tensors))
        return
    for prefix in _prefixes(expected, tensors):
        inner = _cut(tensors, prefix)
        if _fits(expected, inner):
            left_out = tuple(name for name in tensors if not name.startswith(prefix))
            yield StateDict(place, prefix + wrappers, inner, left_out)


def _fits(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> bool:
    return bool(weights) and not misfit(expected, weights)


def _without_wrappers(
    expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], str]:
    there = [w for w in _WRAPPERS if any(w in name for name in tensors)]
    wrappers = [w for w in there if not any(w in name for name in expected)]
    plain = {}
    for name, tensor in tensors.items():
        for wrapper in wrappers:
            name = name.replace(wrapper, "")
        plain[name] = tensor
    if len(plain) < len(tensors):  # Two names would become one.
        return dict(tensors), ""
    return plain, "".join(wrappers)


def _prefixes(expected: Mapping[str, Tensor], names: Mapping[str, Tensor]) -> list[str]:
    """List what stands before a name of the network in the file's names."""
    needed = [name for name in expected if not _dispensable(name)]
    if not needed:
        return []
    sought = max(needed, key=lambda name: (name.count("."), len(name)))
    twins = [name for name, tensor in expected.items() if tensor is expected[sought]]
    ends = [f".{twin}" for twin in twins]
    found = [name.removesuffix(end[1:]) for name in names for end in ends if name.endswith(end)]
    return sorted(dict.fromkeys(found), key=len)


def _without_equals(found: list[StateDict]) -> list[StateDict]:
    """Drop sets that hold the same numbers as one before them."""
    kept: list[StateDict] = []
    for one in found:
        if not any(_same(one.weights, other.weights) for other in kept):
            kept.append(one)
    return kept


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(equal(t, other[name]) for name, t in one.items())


def equal(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers, NaN in the same places."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    both_nan = (one != one) & (other != other)
    return bool(((one == other) | both_nan).all())


def _nearest_misfit(expected: Mapping[str, Tensor], candidates: list[tuple[str, dict[str, Tensor]]]) -> str:
    """Say how the set that comes nearest doesn't fit."""
    tried = [
        (_joined(place, prefix) if place or prefix else "", _cut(tensors, prefix))
        for place, tensors in candidates
        for prefix in ("", *_prefixes(expected, tensors))
    ]
    place, weights = max(tried, key=lambda t: len(expected.keys() & t[1].keys()))
    return misfit(expected, weights, f" under '{place}'" if place else "")


def misfit(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], where: str = "") -> str:
    """Say how weights don't fit, with names of both sides; nothing where they do."""
    unknown = [name for name in weights if name not in expected]
    known = [name for name in weights if name in expected]
    if missing := _missing(expected, weights):
        return (
            f"weights for '{missing[0]}' are missing{where} ({len(missing)} in all): the model's names are"
            f" {_listed(list(expected))}; the file's are {_listed(unknown + known)}"
        )
    if unknown:
        return (
            f"the model has no '{unknown[0]}'{where} ({len(unknown)} such in all): the model's names are"
            f" {_listed(list(expected))}; others of the file are {_listed(unknown)}"
        )
    for name in _misshapen(expected, weights):
        shapes = f"{tuple(weights[name].shape)}, the model's is {tuple(expected[name].shape)}"
        return f"'{name}' has shape {shapes}"
    return ""


def _cut(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _listed(names: list[str] | tuple[str, ...]) -> str:
    if not names:
        return "none"
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return f"{shown}, ..." if len(names) > _SHOWN else shown
