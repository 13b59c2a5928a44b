"""Tensors written as one row a sample, whose entries are numbered, so that any of them can be told."""

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.building import Building, Part, Shape
from sparselrp_cli.graph.call import Call, NoRule, axis_of
from sparselrp_cli.graph.shapes import BatchDim, numbers, sample_axis, size


def _samples_first(shape: Shape) -> tuple[int, ...]:
    axis = sample_axis(shape)
    return (axis, *(a for a in range(len(shape)) if a != axis))


def numbered_entries(shape: Shape) -> Tensor:
    """Number the entries of one sample, in a tensor without the axis of samples."""
    lengths = [d for d in shape if isinstance(d, int)]
    return torch.arange(numbers([*lengths])).reshape(lengths)


def rows(building: Building, part: Part, shape: Shape) -> Part:
    """Write a tensor of some shape as one row a sample."""
    order = _samples_first(shape)
    moved = tuple(shape[a] for a in order)
    return building.reshaped(building.permuted(part, order), (moved[0], numbers(moved[1:])))


def unrolled(building: Building, part: Part, shape: Shape) -> Part:
    """Undo `rows`: bring one row a sample to some shape."""
    order = _samples_first(shape)
    moved = building.reshaped(part, tuple(shape[a] for a in order))
    return building.permuted(moved, tuple(order.index(a) for a in range(len(order))))


def scattered_places(call: Call) -> Tensor:
    """Give the number of the entry that each entry of ``src`` goes to, as `scatter` counts them.

    Raises
    ------
    NoRule
        If samples differ, or it works along them.
    """
    shape, index = call.output, call.weight("index")
    axis, samples = axis_of(call["dim"], shape), sample_axis(shape)
    if index.shape[samples] != 1:
        raise NoRule("its index differs between samples")
    entries, along = numbered_entries(shape), axis - (axis > samples)
    index = index.squeeze(samples) % size(shape, axis)
    for other, length in enumerate(index.shape):
        if other != along:
            entries = entries.narrow(other, 0, length)
    return entries.gather(along, index)


def values_of(building: Building, value: Part, places: Tensor) -> Part:
    """Write what goes to numbered places as one row a sample."""
    call = building.call
    samples: BatchDim | int = call.output[sample_axis(call.output)]
    at = sample_axis(building.shape(value) if isinstance(value, (fx.Node, int)) else call.output)
    shape = (*places.shape[:at], samples, *places.shape[at:])
    if isinstance(value, Tensor) and value.dim() < len(shape):
        return rows(building, building.broadcast(value, shape), shape)
    return rows(building, building.broadcast(building.cut(value, shape), shape), shape)
