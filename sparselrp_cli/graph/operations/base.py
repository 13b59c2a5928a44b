"""What every kind of operation has in common."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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
        axis = sample_axis(shape)
        dim = shape[axis]
        if not isinstance(dim, BatchDim):
            raise TypeError("not a sample axis")
        return cls(n_samples, axis, dim.multiple // dim.entries, dim.entries)

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


def tracked(shape: Sequence[Dim], source: Sequence[Dim]) -> tuple[Dim, ...]:
    """Say how samples lie in the result of a reshape of a tensor of shape `source`.

    The distance between neighbouring samples in memory order doesn't change.
    """
    start = sample_axis(source)
    dim, axis = source[start], sample_axis(shape)
    entries = dim.entries if isinstance(dim, BatchDim) else 1
    distance = entries * math.prod(int(str(d)) for d in source[start + 1 :])
    after = math.prod(int(str(d)) for d in shape[axis + 1 :])
    if distance % after:
        raise ValueError("the reshape cuts through samples")
    merged = shape[axis]
    multiple = merged.multiple if isinstance(merged, BatchDim) else 1
    inner = distance // after if multiple > 1 else None
    return (*shape[:axis], BatchDim(multiple, inner), *shape[axis + 1 :])


@dataclass(frozen=True, slots=True)
class At:
    """The place that a multiplier is carried through: one operation in one batch.

    Attributes
    ----------
    inputs : tuple of Tensor
        What the operation read.
    output : Tensor
        What it made.
    memo : Any
        What its `forward` remembered beside that.
    """

    inputs: tuple[Tensor, ...]
    output: Tensor
    memo: Any = None


class Operation(ABC):
    """One kind of operation of a canonical graph.

    In *multiplier form* a neuron with activation ``a`` has relevance ``r = a * c``; `pull` turns the
    multiplier ``c`` at the output into multipliers at the inputs.
    """

    kind: ClassVar[str]
    """What the operation is called in tables and composites."""
    transport: ClassVar[bool] = False
    """Whether outputs are copies of single input neurons (or zeros)."""
    passes: ClassVar[str] = "in proportion; constants absorb"
    """How relevance passes, in a few words, for tables."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        """Compute the output, and what `pull` wants to remember."""

    @abstractmethod
    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        """Carry the multiplier `c` from the output to each input, shaped as it; None carries nothing."""

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        """Relevance that constants of this operation take, elementwise at the output; None if none."""
        return None

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        """Whether the output has no negative value, given which inputs have none."""
        return False

    def describe(self) -> str:
        """Say the parameters in a few words, for tables."""
        return ""

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        """Count multiply-adds per sample: one a number unless the kind knows better."""
        return numbers(output)


def numbers(shape: Sequence[Dim]) -> int:
    """Count the numbers of one sample in a tensor of symbolic shape."""
    return math.prod(d.multiple if isinstance(d, BatchDim) else d for d in shape)


def map_tensors(operation: Operation, change: Callable[[Tensor], Tensor]) -> Operation:
    """Copy an operation with every tensor it holds replaced."""

    def changed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(changed(v) for v in value)
        return change(value) if isinstance(value, Tensor) else value

    fields = dataclasses.fields(operation)  # type: ignore[arg-type]
    values = {f.name: changed(getattr(operation, f.name)) for f in fields}
    return dataclasses.replace(operation, **values)  # type: ignore[type-var]
