"""Parameters of operations as JSON, and back: exactly, and nothing but what an operation may hold."""

import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

import torch
from torch import Tensor

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.packed.kinds import function_name, function_of
from sparselrp_cli.graph.shapes import BatchDim, Dim

SAMPLES = "N"
"""An axis with one entry a sample."""
_INFINITIES: Mapping[str, float] = types.MappingProxyType({"inf": math.inf, "-inf": -math.inf})
_DTYPES: Mapping[str, torch.dtype] = types.MappingProxyType(
    {
        str(dtype).removeprefix("torch."): dtype
        for dtype in (
            torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
            torch.int16, torch.int8, torch.uint8, torch.bool,
        )
    }
)  # fmt: skip
_FORMATS: Mapping[str, torch.memory_format] = types.MappingProxyType(
    {"contiguous": torch.contiguous_format, "preserved": torch.preserve_format}
)
_MOST_DIGITS = 2**63


class UnpackableError(Exception):
    """A value that no file can hold; the message says what it is."""


class PackedError(Exception):
    """What stands in a file isn't what may stand there; the message says what is wrong."""


def dtype_name(dtype: torch.dtype) -> str:
    """Name a type of numbers.

    Raises
    ------
    UnpackableError
    """
    if dtype not in _DTYPES.values():
        raise UnpackableError(f"numbers of type {dtype}")
    return str(dtype).removeprefix("torch.")


def dtype_of(name: object) -> torch.dtype:
    """Give a type of numbers by its name.

    Raises
    ------
    PackedError
    """
    if not isinstance(name, str) or name not in _DTYPES:
        raise PackedError(f"unknown type of numbers {shown(name)}")
    return _DTYPES[name]


def shown(value: object) -> str:
    """Write a value for a message, not all of it where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} ..."


def shape_to_json(shape: Sequence[Dim]) -> list[Any]:
    """Write a shape."""
    return [_dim_to_json(d) if isinstance(d, BatchDim) else d for d in shape]


def _dim_to_json(dim: BatchDim) -> Any:
    return SAMPLES if dim == BatchDim() else _samples_to_json(dim)


def _samples_to_json(dim: BatchDim) -> dict[str, int]:
    return {"samples": dim.multiple, **({} if dim.inner is None else {"inner": dim.inner})}


def shape_from_json(value: Any) -> tuple[Dim, ...]:
    """Read a shape.

    Raises
    ------
    PackedError
    """
    if not isinstance(value, list):
        raise PackedError(f"a shape must be a list, not {shown(value)}")
    return tuple(_dim_from_json(d) for d in value)


def _dim_from_json(value: Any) -> Dim:
    if value == SAMPLES:
        return BatchDim()
    if isinstance(value, dict):
        return _batch_dim(value)
    if not _is_int(value) or value < 0:
        raise PackedError(f"a length must be a whole number or '{SAMPLES}', not {shown(value)}")
    return int(value)


def _batch_dim(value: dict[str, Any]) -> BatchDim:
    multiple: Any = value.get("samples")
    inner: Any = value.get("inner")
    of_samples = set(value) <= {"samples", "inner"} and _is_int(multiple) and multiple > 0
    if not of_samples or not (inner is None or (_is_int(inner) and inner > 0 and multiple % inner == 0)):
        raise PackedError(f"not an axis of samples: {shown(value)}")
    return BatchDim(multiple, inner)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def to_json(value: Any, kept: Callable[[Tensor, str], str], name: str) -> Any:
    """Write a parameter.

    Parameters
    ----------
    value : Any
    kept : callable
        Takes a tensor and a name that would suit it, and gives its name in the file.
    name : str
        Of the parameter.

    Raises
    ------
    UnpackableError
    """
    match value:
        case None | bool() | str():
            return value
        case tuple() | list():
            return [to_json(part, kept, f"{name}.{i}") for i, part in enumerate(value)]
        case Tensor():
            if value.is_floating_point() and bool(value.isnan().any()):
                raise UnpackableError(f"{name}: a tensor that holds NaN")
            return {"tensor": kept(value, name)}
        case BatchDim():
            return _samples_to_json(value)
        case Place():
            return {"input": value.index}
        case torch.dtype():
            return {"dtype": dtype_name(value)}
        case torch.memory_format() if value in _FORMATS.values():
            return {"memory": next(n for n, known in _FORMATS.items() if known is value)}
        case int() | float():
            return _number_to_json(value)
    if callable(value) and (function := function_name(value)) is not None:
        return {"function": function}
    raise UnpackableError(f"{name}: {shown(value)}")


def _number_to_json(value: float) -> Any:
    if math.isnan(value):
        raise UnpackableError("NaN")
    if math.isinf(value):
        return {"float": "inf" if value > 0 else "-inf"}
    return value


def from_json(value: Any, tensor: Callable[[str], Tensor]) -> Any:
    """Read a parameter.

    Parameters
    ----------
    value : Any
        Out of a JSON document.
    tensor : callable
        Gives the tensor of a name.

    Raises
    ------
    PackedError
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            if abs(value) >= _MOST_DIGITS:
                raise PackedError(f"a number too large: {shown(value)}")
            return value
        case float():
            if not math.isfinite(value):
                raise PackedError("a number too large")
            return value
        case list():
            return tuple(from_json(part, tensor) for part in value)
        case {"samples": _}:
            return _batch_dim(value)
    if isinstance(value, dict) and len(value) == 1:
        ((tag, content),) = value.items()
        if (read := _tagged(tag, content, tensor)) is not None:
            return read
    raise PackedError(f"not a parameter: {shown(value)}")


def _tagged(tag: str, content: Any, tensor: Callable[[str], Tensor]) -> Any:
    """Read what its tag tells; None where it isn't."""
    match tag, content:
        case "tensor", str():
            return tensor(content)
        case "float", str():
            return _INFINITIES.get(content)
        case "input", int() if _is_int(content) and content >= 0:
            return Place(content)
        case "dtype", str():
            return dtype_of(content)
        case "memory", str():
            return _FORMATS.get(content)
        case "function", str():
            if (function := function_of(content)) is None:
                raise PackedError(f"unknown function {shown(content)}")
            return function
    return None


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that a field is annotated with."""
    if hint is Any:
        return True
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return isinstance(value, str) and value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and _all_fit(value, arguments)
    if origin is not None:  # collections.abc.Callable
        return callable(value)
    if hint is float:
        return isinstance(value, float) or _is_int(value)
    return _is_int(value) if hint is int else isinstance(value, hint)


def _all_fit(values: tuple[Any, ...], hints: tuple[Any, ...]) -> bool:
    if len(hints) == 2 and hints[1] is Ellipsis:
        return all(fits(value, hints[0]) for value in values)
    return len(values) == len(hints) and all(map(fits, values, hints))


def places_in(value: Any) -> Iterable[int]:
    """Give the numbers of the inputs that stand somewhere in a parameter."""
    if isinstance(value, Place):
        yield value.index
    elif isinstance(value, tuple):
        for part in value:
            yield from places_in(part)
