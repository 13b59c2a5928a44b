"""Pickled modules as their weights: read from stand-ins, without the code of their classes."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from sparselrp_cli.model.unpickling import Stub, foreign_class

_MOST_MODULES = 100_000


def with_weights_of_modules(document: Any) -> Any:
    """Put in the place of a pickled module, or of those in a dictionary, its state dict."""
    if is_module(document):
        return dict(_weights(document))
    if not isinstance(document, dict):
        return document
    return {k: dict(_weights(v)) if is_module(v) else v for k, v in dict.items(document)}


def is_module(value: object) -> bool:
    """Whether a value stands for a pickled module."""
    if not isinstance(value, Stub):
        return False
    return isinstance(value.state.get("_modules"), dict) and isinstance(value.state.get("_parameters"), dict)


def _weights(module: Stub) -> Iterator[tuple[str, Tensor]]:
    """Go through the tensors of a state dict by name."""
    waiting = [("", module)]
    for _ in range(_MOST_MODULES):
        if not waiting:
            return
        prefix, here = waiting.pop(0)
        yield from _own_weights(here, prefix)
        children = dict.items(here.state["_modules"])
        waiting += [(f"{prefix}{name}.", child) for name, child in children if is_module(child)]


def _own_weights(module: Stub, prefix: str) -> Iterator[tuple[str, Tensor]]:
    passing = _not_persistent(module.state.get("_non_persistent_buffers_set"))
    for table in ("_parameters", "_buffers"):
        entries = module.state.get(table)
        for name, tensor in dict.items(entries) if isinstance(entries, dict) else ():
            if isinstance(tensor, Tensor) and name not in passing:
                yield f"{prefix}{name}", tensor


def _not_persistent(names: object) -> list[object]:
    """Read a set, of which the pickle has a list."""
    held = names.arguments[0] if isinstance(names, Stub) and names.arguments else ()
    return list(held) if isinstance(held, list | tuple) else []


def foreign_classes(document: object) -> list[str]:
    """Name the classes of all stand-ins in a document, each once."""
    found: dict[str, None] = {}
    seen: set[int] = set()
    waiting = [document]
    while waiting:
        value = waiting.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        if name := foreign_class(value):
            found[name] = None
        elif isinstance(value, dict):
            waiting += dict.values(value)
        elif isinstance(value, list | tuple):
            waiting += value
    return list(found)
