"""What a model returns, taken apart where torch doesn't know how: dataclasses, mappings, namespaces."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map


def leaves_of(result: Any) -> list[Any]:
    """Give every part of what a model returns, in order; a None is one."""
    return tree_leaves(apart_from_classes(result))


def apart_from_classes(result: Any) -> Any:
    """Put dictionaries in place of objects of classes that nobody has registered with torch."""
    return tree_map(_as_dictionary, result)


def _as_dictionary(part: Any) -> Any:
    """Give the parts of an object by name; what isn't known to have any stays."""
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        names = [field.name for field in dataclasses.fields(part)]
        return {name: apart_from_classes(getattr(part, name)) for name in names}
    if isinstance(part, (Mapping, SimpleNamespace)):
        named = part if isinstance(part, Mapping) else vars(part)
        return {str(name): apart_from_classes(value) for name, value in named.items()}
    return part


@contextmanager
def returning_dictionaries(module: nn.Module) -> Iterator[None]:
    """Let a module's forward return dictionaries in place of objects, while it is traced."""
    if isinstance(module, torch.jit.ScriptModule):
        yield
        return
    forward = module.forward

    @functools.wraps(forward)
    def plain(*given: Any, **named: Any) -> Any:
        return apart_from_classes(forward(*given, **named))

    module.forward = plain
    try:
        yield
    finally:
        del module.forward
