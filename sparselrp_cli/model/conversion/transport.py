"""Reshapes, slices, padding and whatever else only moves neurons."""

import torch
from torch import Tensor, fx

from sparselrp_cli.model.conversion.call import Alias, Call, Chain, Converted, NoRule, axis_of, chain
from sparselrp_cli.model.operations import (
    BatchDim,
    Concatenate,
    Expand,
    Flip,
    IndexSelect,
    Pad,
    Permute,
    Reshape,
    Slice,
)


def alias(call: Call) -> Converted:
    return Alias(call.activation("self" if "self" in call.arguments else "input"))


def cast(call: Call) -> Converted:
    dtype = call.get("dtype")
    if dtype is not None and not dtype.is_floating_point:
        raise NoRule(f"a cast to {dtype} carries no relevance")
    return alias(call)


def reshape(call: Call) -> Converted:
    node = call.activation("self")
    if call.shape_of(node) == call.output:
        return Alias(node)
    return chain(call, Reshape(call.shape_of(node), call.output))


def permute(call: Call) -> Converted:
    n_axes = len(call.shape_of(call.activation("self")))
    return _ordered(call, [axis_of(a, n_axes) for a in call["dims"]])


def transpose(call: Call) -> Converted:
    n_axes = len(call.shape_of(call.activation("self")))
    first, second = axis_of(call.get("dim0", 0), n_axes), axis_of(call.get("dim1", n_axes - 1), n_axes)
    order = list(range(n_axes))
    order[first], order[second] = order[second], order[first]
    return _ordered(call, order)


def _ordered(call: Call, order: list[int]) -> Converted:
    if order[0] != 0:
        raise NoRule("it moves the sample axis; keep samples first")
    return chain(call, Permute(tuple(order)))


def slice_axis(call: Call) -> Converted:
    node = call.activation("self")
    shape = call.shape_of(node)
    if shape == call.output:
        return Alias(node)
    axis = axis_of(call.get("dim", 0), len(shape))
    length = shape[axis]
    if isinstance(length, BatchDim):
        raise NoRule("it takes part of the samples; keep them all")
    start, stop, step = slice(call.get("start"), call.get("end"), call.get("step", 1)).indices(length)
    return chain(call, Slice(axis, start, stop, step))


def select(call: Call) -> Converted:
    shape = call.shape_of(call.activation("self"))
    axis = axis_of(call["dim"], len(shape))
    length = shape[axis]
    if isinstance(length, BatchDim):
        raise NoRule("it takes one of the samples; keep them all")
    index = call["index"] % length
    return chain(call, Slice(axis, index, index + 1, drop=True))


def split(call: Call) -> Converted:
    axis = axis_of(call.get("dim", 0), len(call.output))
    lengths = [shape[axis] for shape in call.output_shapes]
    if not all(isinstance(n, int) for n in lengths):
        raise NoRule("it splits the samples; keep them together")
    start = sum(n for n in lengths[: call.item] if isinstance(n, int))
    stop = start + int(str(lengths[call.item]))
    return chain(call, Slice(axis, start, stop))


def unbind(call: Call) -> Converted:
    axis = axis_of(call.get("dim", 0), len(call.shape_of(call.activation("self"))))
    return chain(call, Slice(axis, call.item, call.item + 1, drop=True))


def flip(call: Call) -> Converted:
    n_axes = len(call.output)
    axes = tuple(axis_of(a, n_axes) for a in call["dims"])
    if 0 in axes:
        raise NoRule("it reverses the order of the samples")
    return chain(call, Flip(axes))


def index_select(call: Call) -> Converted:
    axis = axis_of(call["dim"], len(call.output))
    if axis == 0:
        raise NoRule("it chooses among the samples")
    return chain(call, IndexSelect(axis, call.weight("index")))


def index(call: Call) -> Converted:
    indices = call["indices"]
    used = [i for i, index in enumerate(indices) if index is not None]
    if len(used) != 1 or used[0] == 0 or not isinstance(indices[used[0]], Tensor):
        raise NoRule("only a constant list of indices along one axis has a rule")
    index = indices[used[0]]
    if index.dim() != 1 or index.dtype == torch.bool:
        raise NoRule("only a constant list of indices along one axis has a rule")
    shape = call.shape_of(call.activation("self"))
    return chain(call, IndexSelect(used[0], index % int(str(shape[used[0]]))))


def expand(call: Call) -> Converted:
    return chain(call, Expand(call.output))


def pad(call: Call) -> Converted:
    if call.get("mode", "constant") != "constant":
        raise NoRule(f"padding mode '{call['mode']}' has no rule; only constant padding has")
    return chain(call, Pad(tuple(call["pad"]), float(call.get("value", 0.0))))


def concatenate(call: Call) -> Converted:
    pieces = list(call["tensors"])
    axis = axis_of(call.get("dim", 0), len(call.output))
    parts = tuple(None if isinstance(p, fx.Node) else p for p in pieces)
    inputs = tuple(p for p in pieces if isinstance(p, fx.Node))
    stacked = len(call.output) > len(call.shape_of(inputs[0]))
    return Chain((Concatenate(axis, parts, stacked),), inputs)
