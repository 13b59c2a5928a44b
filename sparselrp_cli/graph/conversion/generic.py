"""Converters for whole families: functions shared by their gradient, and functions that only decide."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.conversion.call import Call, Chain, Converted, NoRule, axis_of
from sparselrp_cli.graph.operations import BatchDim, Decision, Homogeneous, Place

_AXES = ("dim", "dims", "dim0", "dim1", "dimension")


def homogeneous(name: str, *, degree: float = 1.0, sign: bool = False) -> Callable[[Call], Converted]:
    """Make a converter for a homogeneous function; `sign` says that it keeps non-negative non-negative."""

    def convert(call: Call) -> Converted:
        return _homogeneous(call, name, degree, sign=sign)

    return convert


def _homogeneous(call: Call, name: str, degree: float | Tensor, *, sign: bool = False) -> Converted:
    arguments, inputs = _arguments(call)
    operation = Homogeneous(call.function, arguments, name, call.item, degree, sign)
    return Chain((operation,), inputs)


def _arguments(call: Call) -> tuple[tuple[tuple[str, Any], ...], tuple[fx.Node, ...]]:
    """Give the arguments with activations replaced by their places, and the activations."""
    _check_axes(call)
    inputs: list[fx.Node] = []
    named = tuple((n, _placed(v, inputs)) for n, v in call.arguments.items())
    return named, tuple(inputs)


def _placed(value: Any, inputs: list[fx.Node]) -> Any:
    """Replace activations by their places, and note them."""
    if isinstance(value, (list, tuple)):
        return tuple(_placed(v, inputs) for v in value)
    if isinstance(value, BatchDim):
        raise NoRule("one of its arguments depends on the number of samples")
    if isinstance(value, fx.Node):
        inputs.append(value)
        return Place(len(inputs) - 1)
    return value


def _check_axes(call: Call) -> None:
    shape = call.shape_of(call.activations()[0])
    for name in _AXES:
        axes = call.arguments.get(name)
        if axes is None:
            continue
        for axis in axes if isinstance(axes, (list, tuple)) else (axes,):
            axis_of(int(axis), shape)


def product_over(call: Call) -> Converted:
    shape = call.shape()
    axis = axis_of(call["dim"], shape)
    return _homogeneous(call, "product", float(str(shape[axis])), sign=True)


def running_product(call: Call) -> Converted:
    shape = call.shape()
    axis = axis_of(call["dim"], shape)
    factors = torch.arange(1, int(str(shape[axis])) + 1, dtype=call.dtype)
    degree = factors.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return _homogeneous(call, "running product", degree, sign=True)


def first_only(converter: Callable[[Call], Converted]) -> Callable[[Call], Converted]:
    """Refuse the indices that go with values."""

    def convert(call: Call) -> Converted:
        return converter(call) if call.item == 0 else decision("indices")(call)

    return convert


def decision(name: str) -> Callable[[Call], Converted]:
    """Make a converter for a function that decides and carries no relevance."""

    def convert(call: Call) -> Converted:
        arguments, inputs = _arguments(call)
        return Chain((Decision(call.function, arguments, name, call.item),), inputs)

    return convert
