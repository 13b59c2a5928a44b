"""Reshapes, slices, padding and whatever else only moves neurons."""

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.conversion.call import Alias, Call, Chain, Converted, NoRule, axis_of, chain
from sparselrp_cli.graph.conversion.generic import decision, homogeneous
from sparselrp_cli.graph.operations import (
    BatchDim,
    Concatenate,
    Expand,
    Flip,
    IndexSelect,
    Pad,
    Permute,
    Reshape,
    Slice,
    Where,
)
from sparselrp_cli.graph.operations.base import numbers, sample_axis


def alias(call: Call) -> Converted:
    return Alias(call.activation("self" if "self" in call.arguments else "input"))


def cast(call: Call) -> Converted:
    dtype = call.get("dtype")
    if dtype is not None and not dtype.is_floating_point:
        return decision("cast")(call)
    return alias(call)


def reshape(call: Call) -> Converted:
    node = call.activation("self")
    if call.shape_of(node) == call.output:
        return Alias(node)
    return chain(call, Reshape(call.shape_of(node), call.output))


def permute(call: Call) -> Converted:
    n_axes = len(call.shape())
    return chain(call, Permute(tuple(a % n_axes for a in call["dims"])))


def transpose(call: Call) -> Converted:
    n_axes = len(call.shape())
    order = list(range(n_axes))
    first, second = call.get("dim0", 0) % n_axes, call.get("dim1", n_axes - 1) % n_axes
    order[first], order[second] = order[second], order[first]
    return chain(call, Permute(tuple(order)))


def slice_axis(call: Call) -> Converted:
    node = call.activation("self")
    shape = call.shape_of(node)
    if shape == call.output:
        return Alias(node)
    axis = call.get("dim", 0) % len(shape)
    length = shape[axis]
    if isinstance(length, BatchDim):
        raise NoRule("it takes part of the samples; keep them all")
    start, stop, step = slice(call.get("start"), call.get("end"), call.get("step", 1)).indices(length)
    return chain(call, Slice(axis, start, stop, step))


def select(call: Call) -> Converted:
    shape = call.shape_of(call.activation("self"))
    axis = call["dim"] % len(shape)
    length = shape[axis]
    if isinstance(length, BatchDim):
        raise NoRule("it takes one of the samples; keep them all")
    index = call["index"] % length
    return chain(call, Slice(axis, index, index + 1, drop=True))


def split(call: Call) -> Converted:
    axis = axis_of(call.get("dim", 0), call.shape())
    lengths = [shape[axis] for shape in call.output_shapes]
    start = sum(n for n in lengths[: call.item] if isinstance(n, int))
    stop = start + int(str(lengths[call.item]))
    return chain(call, Slice(axis, start, stop))


def unbind(call: Call) -> Converted:
    axis = axis_of(call.get("dim", 0), call.shape())
    return chain(call, Slice(axis, call.item, call.item + 1, drop=True))


def flip(call: Call) -> Converted:
    axes = tuple(axis_of(a, call.output) for a in call["dims"])
    return chain(call, Flip(axes))


def index_select(call: Call) -> Converted:
    return chain(call, IndexSelect(axis_of(call["dim"], call.shape()), call.weight("index")))


def index(call: Call) -> Converted:
    indices = call["indices"]
    used = [i for i, index in enumerate(indices) if index is not None]
    if len(used) != 1 or not isinstance(indices[used[0]], Tensor):
        raise NoRule("only a constant list of indices along one axis has a rule")
    index = indices[used[0]]
    if index.dim() != 1 or index.dtype == torch.bool:
        raise NoRule("only a constant list of indices along one axis has a rule")
    axis = axis_of(used[0], call.shape())
    return chain(call, IndexSelect(axis, index % int(str(call.shape()[axis]))))


def strided(call: Call) -> Converted:
    """Convert a view by strides of contiguous memory: entries chosen within each row of the first axis."""
    shape, stride = call.shape(), call["stride"]
    rows, offset = shape[0], int(call.get("storage_offset", 0))
    if not isinstance(rows, BatchDim) or rows != call.output[0]:
        raise NoRule("it mixes samples")
    length = numbers(shape[1:])
    if stride[0] != length:
        raise NoRule("it mixes samples")
    sizes = [int(str(d)) for d in call.output[1:]]
    index = torch.arange(length).as_strided(sizes, list(stride[1:]), offset).flatten()
    return chain(
        call,
        Reshape(shape, (rows, length)),
        IndexSelect(1, index),
        Reshape((rows, index.numel()), call.output),
    )


def expand(call: Call) -> Converted:
    return chain(call, Expand(call.output))


def pad(call: Call) -> Converted:
    amounts = tuple(call["pad"])
    for i in range(0, len(amounts), 2):
        if any(amounts[i : i + 2]):
            axis_of(-1 - i // 2, call.shape())
    if call.get("mode", "constant") != "constant":
        return homogeneous(f"{call['mode']} padding")(call)
    return chain(call, Pad(amounts, float(call.get("value") or 0.0)))


def concatenate(call: Call) -> Converted:
    pieces = list(call["tensors"])
    parts = tuple(None if isinstance(p, fx.Node) else p for p in pieces)
    inputs = tuple(p for p in pieces if isinstance(p, fx.Node))
    axis = axis_of(call.get("dim", 0), call.output)
    shape = call.shape_of(inputs[0])
    stacked = len(call.output) > len(shape)
    return Chain((Concatenate(axis, parts, stacked, sample_axis(shape)),), inputs)


def where(call: Call) -> Converted:
    names = ("condition", "self", "other")
    parts = tuple(None if isinstance(call[n], fx.Node) else _part(call, n) for n in names)
    inputs = tuple(call[n] for n in names if isinstance(call[n], fx.Node))
    if isinstance(call["condition"], fx.Node) and not call.is_decision(call["condition"]):
        raise NoRule("its condition isn't a comparison")
    return Chain((Where((parts[0], parts[1], parts[2])),), inputs)


def _part(call: Call, name: str) -> Tensor:
    value = call.weight(name)
    return value if name == "condition" else value.to(call.dtype)


def masked_fill(call: Call) -> Converted:
    mask, value, source = call["mask"], call.constant("value"), call["self"]
    if value is None:
        raise NoRule("its value is missing")
    values = (mask, value.to(call.dtype), source)
    parts = tuple(None if isinstance(v, fx.Node) else v for v in values)
    if isinstance(mask, fx.Node) and not call.is_decision(mask):
        raise NoRule("its mask isn't a comparison")
    return Chain((Where((parts[0], parts[1], parts[2])),), tuple(v for v in values if isinstance(v, fx.Node)))
