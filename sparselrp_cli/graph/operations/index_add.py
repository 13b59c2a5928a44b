"""Sums into chosen places of a tensor: ``index_add``, ``scatter_add`` and what else counts up."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.building import Building, Part, Shape
from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, axis_of
from sparselrp_cli.graph.operation import At, Lies, Operation, Pulled
from sparselrp_cli.graph.sample_rows import numbered_entries, rows, scattered_places, unrolled, values_of
from sparselrp_cli.graph.shapes import Dim, sample_axis, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class IndexAdd(Operation):
    """Each entry of one axis is added to a chosen entry of a new one, which is 0 where none is.

    Attributes
    ----------
    axis : int
    index : Tensor, shape (length of the axis,)
        Where each entry goes.
    length : int
        Of the new axis.
    """

    axis: int
    index: Tensor
    length: int
    kind: ClassVar[str] = "index-add"
    passes: ClassVar[str] = "in proportion to the terms"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        shape = [self.length if a == self.axis else length for a, length in enumerate(x.shape)]
        return x.new_zeros(shape).index_add_(self.axis, self.index, x), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c.index_select(self.axis, self.index),)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        return (None if axis == self.axis else Lies(axis),)

    def describe(self) -> str:
        return f"axis {self.axis}, to {self.length}"


def added_up(building: Building, value: Part, axis: int, index: Tensor, shape: Shape) -> Part:
    """Add the entries of an axis into those of an axis of zeros; `shape` is that of the result."""
    operation = IndexAdd(axis, index, size(shape, axis))
    if isinstance(value, Tensor):
        return operation.forward(value)[0]
    return building.put(operation, shape, value)


def index_add(call: Call) -> Converted:
    axis, index = axis_of(call["dim"], call.output), call.weight("index")
    index = index.reshape(-1) % size(call.output, axis)
    building = Building(call)
    chosen = (*call.output[:axis], len(index), *call.output[axis + 1 :])
    value = building.broadcast(call["source"], chosen)
    value = building.scaled(value, torch.tensor(float(call.get("alpha", 1)), dtype=call.dtype))
    total = added_up(building, value, axis, index, call.output)
    return building.built(building.added(building.broadcast(call["self"], call.output), total))


def scatter_add(call: Call) -> Converted:
    return _scattered(call, "src", scattered_places(call), "sum", keeps=True)


def scatter_reduce(call: Call) -> Converted:
    return _scattered(
        call, "src", scattered_places(call), call["reduce"], keeps=call.get("include_self", True)
    )


def index_reduce(call: Call) -> Converted:
    axis, samples = axis_of(call["dim"], call.output), sample_axis(call.output)
    index = call.weight("index").reshape(-1) % size(call.output, axis)
    places = numbered_entries(call.output).index_select(axis - (axis > samples), index)
    return _scattered(call, "source", places, call["reduce"], keeps=call.get("include_self", True))


def _scattered(call: Call, name: str, places: Tensor, reduction: str, *, keeps: bool) -> Converted:
    """Add up at numbered places of each sample, or take the mean there.

    Parameters
    ----------
    keeps : bool
        Whether what was there before counts where something is added.
    """
    if reduction not in ("sum", "mean"):
        raise NoRule(f"its reduction '{reduction}' has no rule; 'sum' and 'mean' have one")
    building = Building(call)
    before = rows(building, building.broadcast(call["self"], call.output), call.output)
    shape = (call.output[sample_axis(call.output)], numbered_entries(call.output).numel())
    counts = places.flatten().bincount(minlength=shape[1]).to(call.dtype)
    stays = torch.ones_like(counts) if keeps else (counts == 0).to(call.dtype)
    value = values_of(building, call[name], places)
    total = building.added(
        building.scaled(before, stays), added_up(building, value, 1, places.flatten(), shape)
    )
    if reduction == "mean":
        total = building.scaled(total, 1 / (counts + stays))
    return building.built(unrolled(building, total, call.output))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.index_add.default: index_add,
        aten.scatter_add.default: scatter_add,
        aten.scatter_reduce.two: scatter_reduce,
        aten.index_reduce.default: index_reduce,
    }
)
