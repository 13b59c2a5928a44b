"""What a packed graph may be made of: kinds of operation with their parameters, and ATen functions."""

import dataclasses
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import torch

from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.complex_numbers import summed, times, times_matrix, with_imaginary
from sparselrp_cli.graph.operations.homogeneous import gathered
from sparselrp_cli.graph.operations.resampling import resampled
from sparselrp_cli.graph.operations.scatter import marked
from sparselrp_cli.graph.overloads import CONVERTERS, operation_files

_OUR_FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {f.__name__: f for f in (gathered, marked, resampled, summed, times, times_matrix, with_imaginary)}
)
_OVERLOAD = re.compile(r"aten\.([A-Za-z_]\w*)\.([A-Za-z_]\w*)")
_PURE = (torch.Tag.core, torch.Tag.pointwise)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of operation as files know it.

    Attributes
    ----------
    name : str
    operation : type
    parameters : mapping of str to type
        Its fields, as they are annotated.
    optional : frozenset of str
        Fields that have a default.
    """

    name: str
    operation: type[Operation]
    parameters: Mapping[str, Any]
    optional: frozenset[str]

    @classmethod
    def of(cls, operation: type[Operation]) -> "Kind":
        """Describe a class of `graph.operations`."""
        hints = typing.get_type_hints(operation)
        declared = dataclasses.fields(operation)  # type: ignore[arg-type]
        return cls(
            name=kind_name(operation),
            operation=operation,
            parameters={f.name: hints[f.name] for f in declared},
            optional=frozenset(f.name for f in declared if f.default is not dataclasses.MISSING),
        )


def kind_name(operation: type[Operation]) -> str:
    """Give what a class is called in files: `MaxPool` is ``max-pool``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", operation.__name__).lower()


def _classes() -> Iterator[type[Operation]]:
    for name in operation_files():
        for _, found in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if found.__module__ == name and issubclass(found, Operation) and not inspect.isabstract(found):
                yield found


@cache
def kinds() -> Mapping[str, Kind]:
    """Give every kind by its name in files: each class in a file of `graph.operations`."""
    return MappingProxyType({kind.name: kind for kind in map(Kind.of, _classes())})


def function_name(function: object) -> str | None:
    """Give what a function is called in files; None for one that no file may name."""
    ours = next((name for name, known in _OUR_FUNCTIONS.items() if known is function), None)
    return ours or (str(function) if _is_pure(function) else None)


def function_of(name: str) -> Callable[..., Any] | None:
    """Give the function of a name in a file; None where no file may name it."""
    if name in _OUR_FUNCTIONS:
        return _OUR_FUNCTIONS[name]
    match = _OVERLOAD.fullmatch(name)
    if match is None:
        return None
    packet = getattr(torch.ops.aten, match[1], None)
    found = getattr(packet, match[2], None) if isinstance(packet, torch._ops.OpOverloadPacket) else None
    return found if isinstance(found, torch._ops.OpOverload) and _is_pure(found) else None


def _is_pure(function: object) -> bool:
    """Whether a function computes from its arguments alone: no file, no state, no random number.

    It has a converter, or torch counts it among its core or its pointwise functions.
    """
    if not isinstance(function, torch._ops.OpOverload) or function.namespace != "aten":
        return False
    known = function in CONVERTERS or any(tag in function.tags for tag in _PURE)
    random = torch.Tag.nondeterministic_seeded in function.tags and function not in CONVERTERS
    return known and not random and not function._schema.is_mutable
