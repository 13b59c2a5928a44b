"""Assignments to parts of a tensor, such as ``y[:, 2:5] = x``, ``y[:, index] = x`` and ``y[y < 0] = 0``.

The new tensor holds what was assigned, which takes its relevance, and for the rest what was there before.
"""

from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Alias, Call, Chain, Converted, Converters, NoRule, Step, Steps, axis_of
from sparselrp_cli.graph.operations.concatenate import Concatenate
from sparselrp_cli.graph.operations.expand import Expand
from sparselrp_cli.graph.operations.index_select import IndexSelect
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.operations.where import Where
from sparselrp_cli.graph.shapes import BatchDim, Dim, sample_axis, size

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
    return _assigned(call, "src", axis, torch.arange(length)[slice(start, stop, step)])


def to_entry(call: Call) -> Converted:
    axis = axis_of(call["dim"], call.output)
    return _assigned(call, "src", axis, torch.tensor([call["index"] % size(call.output, axis)]))


def to_indices(call: Call) -> Converted:
    indices = call["indices"]
    used = [i for i, index in enumerate(indices) if index is not None]
    index = indices[used[0]]
    if len(used) != 1 or call.get("accumulate", False):
        raise NoRule("only assignments to a list of indices of one axis, or to a mask, have a rule")
    if isinstance(index, fx.Node):
        return _to_mask(call, index)
    if index.dim() != 1:
        raise NoRule("only assignments to a list of indices of one axis, or to a mask, have a rule")
    chosen = index.nonzero().flatten() if index.dtype == torch.bool else index
    axis = axis_of(used[0], call.output)
    return _assigned(call, "values", axis, chosen % size(call.output, axis))


def _to_mask(call: Call, mask: fx.Node) -> Converted:
    values, before = call.constant("values"), call["self"]
    if not call.is_decision(mask) or call.shape_of(mask) != call.output:
        raise NoRule("its index is neither constant nor the outcome of a comparison")
    if values is None or values.numel() != 1:
        raise NoRule("only one constant for all that a mask chooses has a rule; use torch.where")
    if isinstance(before, fx.Node):
        return Chain((Where.of(None, values.to(call.dtype).reshape(()), None),), (mask, before))
    return Chain((Where.of(None, values.to(call.dtype).reshape(()), before),), (mask,))


def _assigned(call: Call, name: str, axis: int, index: Tensor) -> Converted:
    """Put old and new entries side by side, and choose among them."""
    before, length = call["self"], size(call.output, axis)
    shape = (*call.output[:axis], len(index), *call.output[axis + 1 :])
    steps: list[Step] = []
    new = _new(call[name], shape, axis, call, steps)
    parts = [None if isinstance(p, (fx.Node, int)) else p for p in (before, new)]
    inputs = tuple(p for p in (before, new) if isinstance(p, (fx.Node, int)))
    if not inputs:
        raise NoRule("it assigns constants to constants")
    order = torch.arange(length)
    order[index] = length + torch.arange(len(index))
    joined = Concatenate(axis, tuple(parts), samples=sample_axis(call.output))
    steps += [(joined, inputs), (IndexSelect(axis, order), (len(steps),))]
    return Steps(tuple(steps))


def _new(value: Any, shape: tuple[Dim, ...], axis: int, call: Call, steps: list[Step]) -> Any:
    """Bring what is assigned to the shape of where it goes: a constant, an activation or a step's number."""
    sizes = [1 if isinstance(d, BatchDim) else d for d in shape]
    if isinstance(value, Tensor):
        return _fitted(value, axis, shape).to(call.dtype).expand(sizes).clone()
    given = call.shape_of(value)
    if len(given) < len(shape):
        given = (*given[:axis], 1, *given[axis:])
        steps.append((Reshape(call.shape_of(value), given), (value,)))
        value = len(steps) - 1
    if given != shape:
        steps.append((Expand(shape), (value,)))
        value = len(steps) - 1
    return value


def _fitted(value: Tensor, axis: int, shape: tuple[Dim, ...]) -> Tensor:
    return value.unsqueeze(axis) if 0 < value.dim() < len(shape) and value.dim() >= axis else value


CONVERTERS: Converters = MappingProxyType(
    {
        aten.copy.default: copied,
        aten.slice_scatter.default: to_slice,
        aten.select_scatter.default: to_entry,
        aten.index_put.default: to_indices,
    }
)
