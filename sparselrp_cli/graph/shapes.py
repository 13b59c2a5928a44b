"""Shapes of tensors whose samples may lie along any axis, and spans of their positions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class BatchDim:
    """An axis along which samples lie: its length is `multiple` times the number of samples.

    Attributes
    ----------
    multiple : int
    inner : int
        How many consecutive entries belong to one sample, as in (N, heads) merged; an axis (L, N) merged
        has multiple L and inner 1.
    """

    multiple: int = 1
    inner: int | None = None

    def __str__(self) -> str:
        return "N" if self.multiple == 1 else f"{self.multiple}N"

    @property
    def entries(self) -> int:
        """Consecutive entries of one sample."""
        return self.multiple if self.inner is None else self.inner


Dim = int | BatchDim


def resolve(shape: Sequence[Dim], n_samples: int) -> list[int]:
    """Give the numbers of a symbolic shape for a batch of `n_samples`."""
    return [d.multiple * n_samples if isinstance(d, BatchDim) else d for d in shape]


def sample_axis(shape: Sequence[Dim]) -> int:
    """Give the axis that samples lie along.

    Raises
    ------
    ValueError
        If there is none.
    """
    for axis, dim in enumerate(shape):
        if isinstance(dim, BatchDim):
            return axis
    raise ValueError("a shape without samples")


def sample_dim(shape: Sequence[Dim]) -> BatchDim:
    """Give the size of the axis that samples lie along.

    Raises
    ------
    ValueError
        If there is none.
    """
    for dim in shape:
        if isinstance(dim, BatchDim):
            return dim
    raise ValueError("a shape without samples")


def numbers(shape: Sequence[Dim]) -> int:
    """Count the numbers of one sample in a tensor of symbolic shape."""
    return math.prod(d.multiple if isinstance(d, BatchDim) else d for d in shape)


def size(shape: Sequence[Dim], axis: int) -> int:
    """Give the length of an axis that samples don't lie along.

    Raises
    ------
    TypeError
        If they do.
    """
    length = shape[axis]
    if not isinstance(length, int):
        raise TypeError("samples lie along this axis")
    return length


@dataclass(frozen=True, slots=True)
class Samples:
    """Where the samples of a batch lie in a tensor.

    Attributes
    ----------
    n : int
        Number of samples.
    axis : int
    outer, inner : int
        The axis is (outer, N, inner) merged.
    """

    n: int
    axis: int = 0
    outer: int = 1
    inner: int = 1

    @classmethod
    def of(cls, shape: Sequence[Dim], n_samples: int) -> "Samples":
        """Find the samples of a batch in a tensor of this symbolic shape."""
        dim = sample_dim(shape)
        return cls(n_samples, sample_axis(shape), dim.multiple // dim.entries, dim.entries)

    def rows(self, values: Tensor) -> Tensor:
        """Lay out a tensor as one row a sample: shape (N, neurons)."""
        if self.axis == 0 and self.outer == 1:
            return values.reshape(self.n, -1)
        split = [*values.shape[: self.axis], self.outer, self.n, self.inner, *values.shape[self.axis + 1 :]]
        return values.reshape(split).movedim(self.axis + 1, 0).reshape(self.n, -1)

    def shaped(self, rows: Tensor, like: Tensor) -> Tensor:
        """Undo `rows`: bring a tensor (N, neurons) to the shape of `like`."""
        if self.axis == 0 and self.outer == 1:
            return rows.reshape(like.shape)
        split = [*like.shape[: self.axis], self.outer, self.inner, *like.shape[self.axis + 1 :]]
        return rows.reshape(self.n, *split).movedim(0, self.axis + 1).reshape(like.shape)

    def sums(self, values: Tensor) -> Tensor:
        """Sum each sample's values in float64: shape (N,)."""
        return self.rows(values).sum(1, dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of one axis of a tensor."""

    axis: int
    start: int
    stop: int

    def joined(self, other: "Span | None") -> "Span | None":
        """Give the smallest range that holds both; None, everything, where axes differ."""
        if other is None or other.axis != self.axis:
            return None
        return Span(self.axis, min(self.start, other.start), max(self.stop, other.stop))

    def of(self, shape: Sequence[Dim]) -> "Span | None":
        """Give None where the range is all of a tensor."""
        return None if self.start <= 0 and self.stop >= size(shape, self.axis) else self


def whole(shape: Sequence[Dim]) -> Span | None:
    """Give a range that is all of a tensor; None where samples lie along its only axis."""
    return next((Span(axis, 0, dim) for axis, dim in enumerate(shape) if isinstance(dim, int)), None)


def part_of(shape: Sequence[Dim], axis: int, span: Span, output: Sequence[Dim]) -> Span | None:
    """Give what a span of an output reads of an operand that is broadcast to it; None where that isn't known.

    Parameters
    ----------
    axis : int
        Counted from the last, below 0.
    """
    if -axis > len(shape) or shape[axis] == 1 != output[axis]:
        return whole(shape)
    return Span(len(shape) + axis, span.start, span.stop) if shape[axis] == output[axis] else None


def tracked(shape: Sequence[Dim], source: Sequence[Dim]) -> tuple[Dim, ...]:
    """Say how samples lie in the result of a reshape of a tensor of shape `source`.

    The distance between neighbouring samples in memory order doesn't change.

    Raises
    ------
    ValueError
        If an entry of the axis that samples lie along would hold parts of several.
    """
    axis, multiple = sample_axis(shape), sample_dim(shape).multiple
    distance = sample_dim(source).entries * numbers(source[sample_axis(source) + 1 :])
    after = numbers(shape[axis + 1 :])
    inner, rest = divmod(distance, after)
    if rest or not inner or multiple % inner:
        raise ValueError("the reshape cuts through samples")
    return (*shape[:axis], BatchDim(multiple, inner if multiple > 1 else None), *shape[axis + 1 :])


def carried(shape: Sequence[Dim], source: Sequence[Dim]) -> tuple[Dim, ...]:
    """Say how samples lie in a result that keeps them as they lie in its source.

    Raises
    ------
    ValueError
        If there aren't as many of them along their axis.
    """
    axis, before = sample_axis(shape), sample_dim(source)
    if before.multiple != sample_dim(shape).multiple:
        raise ValueError("the result holds another number of samples")
    return (*shape[:axis], before, *shape[axis + 1 :])
