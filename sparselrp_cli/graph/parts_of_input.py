"""What a forward takes out of an input that isn't a tensor: a dict, a tuple, an object, any keywords.

Found by handing it something that notes what it is asked for.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from sparselrp_cli.model.inputs import WithConstantInputs, parameters_of
from sparselrp_cli.model.prints import silently

_LIKELY = ("sequence", "sequences", "seq", "one_hot", "onehot", "dna", "x", "inputs", "input", "data")
"""What people call the sequence among others, the likeliest first."""
_MOST = 16
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "dict": "its forward's '{parameter}' is a dict with {names}",
        "object": "its forward's '{parameter}' is an object with the attributes {names}",
        "tuple": "its forward's '{parameter}' is a tuple of {count}",
        "keywords": "its forward asks for {names} among its keywords",
        "arguments": "its forward reads {count} arguments",
    }
)
_CALLS: Mapping[str, str] = MappingProxyType(
    {
        "dict": "{{{items}}}",
        "object": "SimpleNamespace({keywords})",
        "tuple": "({values},)",
        "keywords": "{keywords}",
        "arguments": "{values}",
    }
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is to be handed to a forward as one.

    Attributes
    ----------
    how : str
        A key of the tables above.
    parameter : str
        Of forward; empty where it is all of them.
    names : tuple of str
        Keys or attributes; numbers of members.
    beside : bool
        Whether the sequence is an argument of its own, before these.
    """

    how: str
    parameter: str
    names: tuple[str, ...]
    beside: bool = False

    def describe(self) -> str:
        """Say it in words."""
        listed = ", ".join(f"'{name}'" for name in self.names)
        return _WORDS[self.how].format(parameter=self.parameter, names=listed, count=len(self.names))

    def variables(self) -> dict[str, str]:
        """Give each part the name of a variable; the one that is the sequence is x."""
        likely = [name for name in _LIKELY if name in self.names]
        sequence = None if self.beside else (likely or list(self.names))[0]
        return {name: "x" if name == sequence else _variable(name) for name in self.names}

    def call(self) -> str:
        """Write the arguments of a call of forward."""
        variables = self.variables()
        made = _CALLS[self.how].format(
            items=", ".join(f'"{name}": {value}' for name, value in variables.items()),
            keywords=", ".join(f"{name}={value}" for name, value in variables.items()),
            values=", ".join(variables.values()),
        )
        named = f"{self.parameter}={made}" if self.beside and self.how != "keywords" else made
        return f"x, {named}" if self.beside else named


def _variable(name: str) -> str:
    return name if name.isidentifier() and name != "x" else f"input_{re.sub(r'[^0-9A-Za-z_]', '_', name)}"


def parts_advice(module: nn.Module, example: Tensor) -> tuple[str, tuple[str, ...]] | None:
    """Say how to give a forward its inputs one by one; None where it seems to take tensors.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    example : Tensor
        Windows as the model is given them.

    Returns
    -------
    text : str
        What it takes and what to do.
    lines : tuple of str
        A class that takes tensors, to be pasted; none where options are enough.
    """
    if isinstance(module, WithConstantInputs):
        module = module.module
    if isinstance(module, torch.jit.ScriptModule):
        return None  # it doesn't say what it takes
    found = next(_found(module, example), None)
    if found is None:
        return None
    kind = type(module)
    others = [value for value in found.variables().values() if value != "x"]
    held = "".join(f" --input {name}=SHAPE:VALUE" for name in others)
    if found.how == "keywords" and found.beside:
        return f"{found.describe()}; give them with{held}", ()
    text = (
        f"{found.describe()}; write these lines to explained.py and give -m explained.py:Explained{held}"
        f" (and what {kind.__name__} is made with, if it needs arguments)"
    )
    imported = ("from types import SimpleNamespace",) if found.how == "object" else ()
    parameters = ", ".join(["self", "x", *others])
    return text, (
        *imported,
        f"from {kind.__module__} import {kind.__qualname__}",
        f"class Explained({kind.__qualname__}):",
        f"    def forward({parameters}): return super().forward({found.call()})",
    )


def _found(module: nn.Module, example: Tensor) -> Iterator[Parts]:
    """Go through what a forward may want, the surest first."""
    everything = inspect.signature(module.forward).parameters.values()
    named = list(parameters_of(module))
    needed = [n for n, p in parameters_of(module).items() if p.default is p.empty]
    for parameter in named[:1] if needed[1:] == [] else ():
        yield from _of_one(module, parameter, {}, example)
    for parameter in named[1:]:
        plain = {n: example for n in needed if n != parameter}
        yield from _of_one(module, parameter, plain, example)
    kinds = {p.kind for p in everything}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        yield from _of_keywords(module, needed, example)
    if inspect.Parameter.VAR_POSITIONAL in kinds and not named:
        yield from _of_arguments(module, example)


def _of_one(
    module: nn.Module, parameter: str, others: Mapping[str, Tensor], example: Tensor
) -> Iterator[Parts]:
    """Find what a parameter is asked for, the others being tensors."""
    beside = bool(others)
    if keys := _keys_missed(lambda given: _call(module, **others, **{parameter: given}), example):
        yield Parts("dict", parameter, _with_written(keys, module, parameter), beside)
    asked = _Asked(example)
    error = _call(module, **others, **{parameter: asked})
    if asked.attributes:
        yield Parts("object", parameter, tuple(asked.attributes), beside)
    if asked.gone_through and (unpacked := re.search(r"to unpack \(expected (\d+)", str(error))):
        yield Parts("tuple", parameter, _numbered(int(unpacked[1])), beside)
    if asked.numbers:
        members = (example,) * (max(asked.numbers) + 1)
        if len(members) > 1 or _call(module, **others, **{parameter: members}) is None:
            yield Parts("tuple", parameter, _numbered(len(members)), beside)


def _keys_missed(call: Callable[[dict[str, Tensor]], Exception | None], example: Tensor) -> tuple[str, ...]:
    """Give a call each key that it finds missing, and list them; none where keys aren't what it misses."""
    given: dict[str, Tensor] = {}
    for _ in range(_MOST):
        error = call(dict(given))
        key = error.args[0] if isinstance(error, KeyError) and error.args else None
        if key in given or (given and _is_asked_for_a_key(error)):
            return ()  # it looks the key up elsewhere, or another in the tensor
        if not isinstance(key, str):
            break
        given[key] = example
    return tuple(given)


def _with_written(keys: tuple[str, ...], module: nn.Module, parameter: str) -> tuple[str, ...]:
    """Add the other keys that stand in forward's code: one that got a sequence may have stopped it."""
    try:
        code = inspect.getsource(type(module).forward)
    except (OSError, TypeError):
        return keys
    written = re.findall(rf"""\b{re.escape(parameter)}\[(['"])([^'"]+)\1\]""", code)
    return tuple(dict.fromkeys((*keys, *(key for _, key in written))))


def _is_asked_for_a_key(error: Exception | None) -> bool:
    """Whether an error is what tensors raise where they are taken for a dict."""
    text = str(error)
    return isinstance(error, IndexError) or (isinstance(error, TypeError) and "data type 'str'" in text)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(1, count + 1)))


def _of_keywords(module: nn.Module, needed: list[str], example: Tensor) -> Iterator[Parts]:
    plain = dict.fromkeys(needed, example)
    if keys := _keys_missed(lambda given: _call(module, **plain, **given), example):
        yield Parts("keywords", "", keys, beside=bool(needed))


def _of_arguments(module: nn.Module, example: Tensor) -> Iterator[Parts]:
    """Give it more until none is missing."""
    for count in range(2, _MOST):
        error = _call(module, *(example,) * count)
        if not isinstance(error, IndexError) and not re.search("to unpack", str(error)):
            yield Parts("arguments", "", _numbered(count))
            return


def _call(module: nn.Module, *values: Any, **named: Any) -> Exception | None:
    """Call a module; give what it raises."""
    try:
        with torch.no_grad(), silently():
            module(*values, **named)
    except Exception as error:  # noqa: BLE001 - what it says is the answer
        return error
    return None


class _Asked:
    """Gives the same tensor for every number and attribute, and notes them."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self.attributes: dict[str, None] = {}
        self.numbers: dict[int, None] = {}
        self.gone_through = False

    def __getitem__(self, key: Any) -> Tensor:
        if not isinstance(key, int) or not 0 <= key < _MOST:
            raise KeyError(key)
        self.numbers[key] = None
        return self._tensor

    def __iter__(self) -> Iterator[Any]:
        self.gone_through = True
        return iter([self._tensor] * _MOST)

    def __getattr__(self, name: str) -> Tensor:
        # What every tensor has doesn't tell an object from a tensor.
        if name.startswith("_") or hasattr(Tensor, name):
            raise AttributeError(name)
        self.attributes[name] = None
        return self._tensor
