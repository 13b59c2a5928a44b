"""Assignments to parts of a tensor, such as ``y[:, 2:5] = x``, ``y[:, index] = x`` and ``y[y < 0] = 0``.

The new tensor holds what was assigned, which takes its relevance, and for the rest what was there before.
"""

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.building import Building, Part, Shape
from sparselrp_cli.graph.call import Alias, Call, Chain, Converted, Converters, NoRule, axis_of
from sparselrp_cli.graph.operations.expand import Expand
from sparselrp_cli.graph.operations.index_add import added_up
from sparselrp_cli.graph.operations.index_select import IndexSelect, numbered
from sparselrp_cli.graph.operations.where import Where
from sparselrp_cli.graph.sample_rows import numbered_entries, rows, scattered_places, unrolled, values_of
from sparselrp_cli.graph.shapes import BatchDim, sample_axis, size

aten = torch.ops.aten


def copied(call: Call) -> Converted:
    """Convert ``copy(self, source)``, which is the source, broadcast."""
    source = call.activation("src")
    return Alias(source) if call.shape_of(source) == call.output else Chain((Expand(call.output),), (source,))


def to_slice(call: Call) -> Converted:
    axis, length = call.get("dim", 0) % len(call.output), call.output[call.get("dim", 0)]
    start, stop, step = call.get("start", 0), call.get("end"), call.get("step", 1)
    if isinstance(length, BatchDim):
        everything = start == 0 and step == 1 and (stop is None or stop >= 2**31)
        if not everything or not isinstance(call["src"], fx.Node):
            raise NoRule("it assigns to part of the samples; treat all of them alike")
        return Alias(call["src"])
    building, index = Building(call), torch.arange(length)[slice(start, stop, step)]
    return building.built(_assigned(building, call["self"], call["src"], axis, index, call.output))


def to_entry(call: Call) -> Converted:
    axis, building = axis_of(call["dim"], call.output), Building(call)
    index = torch.tensor([call["index"] % size(call.output, axis)])
    one = (*call.output[:axis], *call.output[axis + 1 :])
    value = building.reshaped(building.broadcast(call["src"], one), (*one[:axis], 1, *one[axis:]))
    return building.built(_assigned(building, call["self"], value, axis, index, call.output))


def to_indices(call: Call) -> Converted:
    """Convert an assignment or addition to constant numbers along some axes, or to a mask."""
    given = [index for index in call["indices"] if index is not None]
    if len(given) == 1 and isinstance(given[0], Tensor) and _covers(given[0], call.output):
        return _to_mask(call, given[0])
    indices = numbered(call["indices"])
    used = [i for i, index in enumerate(indices) if index is not None]
    if any(isinstance(indices[i], fx.Node) for i in used):
        return _to_decided(call, [indices[i] for i in used])
    axes = [axis_of(i, call.output) for i in used]
    lengths = [size(call.output, axis) for axis in axes]
    flat = torch.zeros((), dtype=torch.long)
    for i, length in zip(used, lengths, strict=True):
        flat = flat * length + indices[i] % length
    return _to_axes(call, axes, flat)


def _covers(index: Tensor, shape: Shape) -> bool:
    """Whether an index is a mask of all of a tensor, of which one row is kept as of any constant."""
    return index.dtype == torch.bool and index.dim() == len(shape)


def _to_axes(call: Call, axes: Sequence[int], index: Tensor) -> Converted:
    """Write to numbered entries of some axes taken together, which are moved side by side and merged."""
    shape, building = call.output, Building(call)
    first = axes[0] if list(axes) == list(range(axes[0], axes[-1] + 1)) else 0
    others = [a for a in range(len(shape)) if a not in axes]
    order = (*others[:first], *axes, *others[first:])
    moved = tuple(shape[a] for a in order)
    before, behind = moved[:first], moved[first + len(axes) :]
    merged = (*before, math.prod(size(shape, a) for a in axes), *behind)
    value = building.broadcast(call["values"], (*before, *index.shape, *behind))
    value = building.reshaped(value, (*before, index.numel(), *behind))
    old = building.reshaped(building.permuted(building.broadcast(call["self"], shape), order), merged)
    write = _summed if call.get("accumulate", False) else _assigned
    made = building.reshaped(write(building, old, value, first, index.flatten(), merged), moved)
    return building.built(building.permuted(made, tuple(order.index(a) for a in range(len(order)))))


def _to_decided(call: Call, indices: Sequence[Any]) -> Converted:
    """Write one constant to what a comparison chooses."""
    if len(indices) != 1 or call.get("accumulate", False):
        raise NoRule("only assignments to constant indices, or to one mask, have a rule")
    if not call.is_decision(indices[0]) or call.shape_of(indices[0]) != call.output:
        raise NoRule("its index is neither constant nor the outcome of a comparison")
    return _to_mask(call, indices[0])


def _to_mask(call: Call, mask: Any) -> Converted:
    values, before = call["values"], call["self"]
    if not isinstance(values, Tensor) or values.numel() != 1:
        raise NoRule("only one constant for all that a mask chooses has a rule; use torch.where")
    parts = mask, values.to(call.dtype).reshape(()), before
    condition, chosen, rest = (None if isinstance(part, fx.Node) else part for part in parts)
    inputs = tuple(part for part in parts if isinstance(part, fx.Node))
    return Chain((Where.of(condition, chosen, rest),), inputs)


def to_places(call: Call) -> Converted:
    """Convert ``scatter`` by an index that is the same for every sample."""
    name = "src" if "src" in call.arguments else "value"
    return _placed(call, call[name], scattered_places(call))


def to_diagonal(call: Call) -> Converted:
    samples = sample_axis(call.output)
    axes = (axis_of(call.get(name, nth), call.output) for nth, name in enumerate(("dim1", "dim2")))
    first, second = (axis - (axis > samples) for axis in axes)
    places = numbered_entries(call.output).diagonal(call.get("offset", 0), first, second)
    return _placed(call, call["src"], places)


def _placed(call: Call, value: Any, places: Tensor) -> Converted:
    """Write to numbered entries of each sample."""
    building = Building(call)
    value = value if isinstance(value, (fx.Node, Tensor)) else torch.tensor(float(value), dtype=call.dtype)
    before = rows(building, building.broadcast(call["self"], call.output), call.output)
    shape = (call.output[sample_axis(call.output)], numbered_entries(call.output).numel())
    value = values_of(building, value, places)
    made = _assigned(building, before, value, 1, places.flatten(), shape)
    return building.built(unrolled(building, made, call.output))


def to_copies(call: Call) -> Converted:
    """Convert ``index_copy``."""
    axis, building = axis_of(call["dim"], call.output), Building(call)
    index = call.weight("index").reshape(-1) % size(call.output, axis)
    return building.built(_assigned(building, call["self"], call["source"], axis, index, call.output))


def _assigned(building: Building, before: Part, value: Part, axis: int, index: Tensor, shape: Shape) -> Part:
    """Put old and new entries side by side, and choose among them."""
    before = building.broadcast(before, shape)
    value = building.broadcast(value, (*shape[:axis], len(index), *shape[axis + 1 :]))
    length = size(shape, axis)
    if isinstance(before, Tensor) and isinstance(value, Tensor):
        raise NoRule("it assigns constants to constants")
    order = torch.arange(length)
    order[index] = length + torch.arange(len(index))
    both = building.joined(axis, (before, value), (*shape[:axis], length + len(index), *shape[axis + 1 :]))
    return building.put(IndexSelect(axis, order), shape, both)


def _summed(building: Building, before: Part, value: Part, axis: int, index: Tensor, shape: Shape) -> Part:
    return building.added(before, added_up(building, value, axis, index, shape))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.copy.default: copied,
        aten.slice_scatter.default: to_slice,
        aten.select_scatter.default: to_entry,
        aten.diagonal_scatter.default: to_diagonal,
        aten.index_put.default: to_indices,
        aten._unsafe_index_put.default: to_indices,
        aten.index_copy.default: to_copies,
    }
)
