"""Operations that are a call of an ATen function as it was traced, with activations at some places of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, NoRule, axis_of
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.shapes import BatchDim

Arguments = tuple[tuple[str, Any], ...]
"""Names and values, with a `Place` for each activation, also inside of tuples."""
_AXES = ("dim", "dims", "dim0", "dim1", "dimension")


@dataclass(frozen=True, slots=True)
class Place:
    """Where among the arguments of a function the activation number `index` goes."""

    index: int


@dataclass(frozen=True, eq=False)
class AtenCall(Operation):
    """A call of an ATen function.

    Attributes
    ----------
    function : callable
    arguments : tuple of (name, value)
    name : str
        What it does, in words.
    item : int
        Which of several results is meant.
    """

    function: Callable[..., Any]
    arguments: Arguments
    name: str
    item: int = 0

    def call(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Call the function."""

        def placed(value: Any) -> Any:
            if isinstance(value, tuple):
                return [placed(v) for v in value]
            return inputs[value.index] if isinstance(value, Place) else value

        result = self.function(**{name: placed(value) for name, value in self.arguments})
        chosen: Tensor = result[self.item] if isinstance(result, (tuple, list)) else result
        return chosen

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return self.call(inputs), None

    def describe(self) -> str:
        return self.name


def places(call: Call) -> tuple[Arguments, tuple[fx.Node, ...]]:
    """Give the arguments of a call with activations replaced by their places, and the activations.

    Raises
    ------
    NoRule
        If the function works along the samples, or an argument depends on their number.
    """
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
