"""One exported operation as converters see it, and what they give back.

A converter reads a `Call` of an ATen function, as torch.export names it, and gives operations on its input
activations, or `Alias` where the function changes nothing. Where there can't be a rule it raises `NoRule`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.shapes import BatchDim, Dim

if TYPE_CHECKING:
    from sparselrp_cli.graph.bases import LookUp
    from sparselrp_cli.graph.token_rows import TokenRows


class NoRule(Exception):  # noqa: N818 - a statement, turned into an error once all of them are known
    """An operation that can't be converted; the message says why."""


@dataclass(frozen=True, slots=True)
class Alias:
    """The operation passes this activation on as it is."""

    node: fx.Node


Step = tuple[Operation, tuple[fx.Node | int, ...]]
"""An operation and what it reads: activations, or numbers of earlier steps."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Operations one after the other; the first reads `inputs`."""

    operations: tuple[Operation, ...]
    inputs: tuple[fx.Node, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Write them as steps, each but the first reading the one before it."""
        return tuple((o, (i - 1,) if i else self.inputs) for i, o in enumerate(self.operations))


@dataclass(frozen=True, slots=True)
class Steps:
    """Operations that read one another."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of the exported graph.

    Attributes
    ----------
    arguments : mapping
        By name of the operator's schema; activations are `fx.Node`, constants tensors or numbers.
    item : int
        Which of several outputs is meant.
    output : tuple of Dim
        Shape of that output.
    output_shapes : tuple of tuple of Dim
        Shapes of all outputs.
    shape_of : callable
        Gives the shape of an activation.
    dtype : torch.dtype
        The model's floating-point type.
    function : callable
        The ATen function itself.
    floating : bool
        Whether the output is of floating-point numbers.
    is_gate, is_decision : callable
        Whether an activation is a gate (a sigmoid, for example), or depends on the sequence by steps only, as
        the outcome of a comparison does.
    look_up : callable
        Says of an activation which base decides each of its rows, and gives the sequences; None where several
        bases decide a row.
    made_by : callable
        Gives the function that made an activation, and its arguments.
    token_rows : callable
        Says of ids which token of the sequence each is; None where they aren't made of tokens.
    """

    arguments: Mapping[str, Any]
    item: int
    output: tuple[Dim, ...]
    output_shapes: tuple[tuple[Dim, ...], ...]
    shape_of: Callable[[fx.Node], tuple[Dim, ...]]
    dtype: torch.dtype
    function: Callable[..., Any]
    floating: bool
    is_gate: Callable[[fx.Node], bool]
    is_decision: Callable[[fx.Node], bool]
    look_up: Callable[[fx.Node], tuple["LookUp", fx.Node] | None]
    made_by: Callable[[fx.Node], tuple[object, Mapping[str, Any]]]
    token_rows: Callable[[fx.Node], "TokenRows | None"]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        value = self.arguments.get(name)
        if isinstance(value, BatchDim):
            raise NoRule(f"its argument '{name}' depends on the number of samples")
        return default if value is None else value

    def activation(self, name: str) -> fx.Node:
        value = self.arguments[name]
        if not isinstance(value, fx.Node):
            raise NoRule(f"its argument '{name}' is a constant where an activation is expected")
        return value

    def constant(self, name: str) -> Tensor | None:
        value = self.arguments.get(name)
        if isinstance(value, fx.Node):
            raise NoRule(f"its argument '{name}' is an activation; only constants have a rule here")
        if isinstance(value, BatchDim):
            raise NoRule(f"its argument '{name}' depends on the number of samples")
        if value is None or isinstance(value, Tensor):
            return value
        return torch.tensor(value, dtype=self.dtype)

    def weight(self, name: str) -> Tensor:
        value = self.constant(name)
        if value is None:
            raise NoRule(f"its argument '{name}' is missing")
        return value

    def shape(self, name: str = "self") -> tuple[Dim, ...]:
        """Give the shape of an argument that is an activation."""
        return self.shape_of(self.activation(name))

    def activations(self) -> tuple[fx.Node, ...]:
        """Give the arguments that are activations, in order, those in lists too."""
        found: list[fx.Node] = []
        for value in self.arguments.values():
            parts = value if isinstance(value, (list, tuple)) else (value,)
            found += [v for v in parts if isinstance(v, fx.Node)]
        return tuple(found)


Converted = Chain | Alias | Steps
Converter = Callable[[Call], Converted]
Converters = Mapping[object, Converter]
"""ATen functions, each with the converter that reads its calls."""


def chain(call: Call, *operations: Operation, name: str = "self") -> Chain:
    """Apply operations one after the other to one argument."""
    return Chain(operations, (call.activation(name),))


def each(value: Any, count: int) -> tuple[int, ...]:
    """Give one number per spatial axis."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * count if len(values) == 1 else values


def axis_of(axis: int, shape: Sequence[Dim]) -> int:
    """Count an axis from the front.

    Raises
    ------
    NoRule
        If samples lie along it: what is done along it would mix them.
    """
    axis = axis % max(len(shape), 1)
    if isinstance(shape[axis], BatchDim):
        raise NoRule("it works along the samples, which must stay apart")
    return axis
