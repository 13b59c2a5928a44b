"""Views by strides of contiguous memory, such as the shift of relative positions in attention."""

import itertools
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, chain
from sparselrp_cli.graph.operation import At, Pulled, Transport
from sparselrp_cli.graph.operations.index_select import IndexSelect
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.shapes import BatchDim, numbers, size

aten = torch.ops.aten


class MemoryView(Transport):
    """An operation that looks at its input's memory in another way, and takes no number twice."""

    @abstractmethod
    def view(self, x: Tensor) -> Tensor:
        """Look at a contiguous tensor so."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return self.view(inputs[0].contiguous()), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        found = c.new_zeros(at.inputs[0].shape)
        self.view(found).copy_(c)
        return (found,)


@dataclass(frozen=True, eq=False)
class Strided(MemoryView):
    """A view of each sample's row by strides, which takes no number twice.

    An index would say the same, but those of attention's scores have as many numbers as the scores.

    Attributes
    ----------
    sizes, strides : tuple of int
        Of a sample, whose numbers lie in a row.
    offset : int
        Into the row.
    """

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    kind: ClassVar[str] = "strided"

    def __post_init__(self) -> None:
        if len(self.sizes) != len(self.strides) or min(self.offset, *self.sizes, *self.strides) < 0:
            raise ValueError(f"not strides: {self.describe()}")
        if not takes_each_once(self.sizes, self.strides):
            raise ValueError(f"strides {self.strides} over {self.sizes} take numbers twice")

    def view(self, x: Tensor) -> Tensor:
        n, length = x.shape
        if self._last() >= length:
            raise ValueError(f"strides {self.strides} over {self.sizes} leave a row of {length}")
        offset = x.storage_offset() + self.offset
        return x.as_strided((n, *self.sizes), (length, *self.strides), offset)

    def _last(self) -> int:
        """Give the last number that is taken."""
        return self.offset + sum((n - 1) * step for n, step in zip(self.sizes, self.strides, strict=True))

    def describe(self) -> str:
        return f"{self.sizes} by {self.strides} from {self.offset}"


def takes_each_once(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether each stride steps over all that the smaller ones reach."""
    steps = sorted((step, n) for n, step in zip(sizes, strides, strict=True) if n > 1)
    reached = itertools.accumulate(((n - 1) * step for step, n in steps), initial=0)
    return all(step > below for (step, _), below in zip(steps, reached, strict=False))


def strided(call: Call) -> Converted:
    """Convert a view by strides of contiguous memory, within each row of the first axis."""
    shape, stride = call.shape(), call["stride"]
    rows, offset = shape[0], int(call.get("storage_offset", 0))
    if not isinstance(rows, BatchDim) or rows != call.output[0]:
        raise NoRule("it mixes samples")
    length = numbers(shape[1:])
    if stride[0] != length:
        raise NoRule("it mixes samples")
    sizes, strides = tuple(size(call.output, axis) for axis in range(1, len(call.output))), tuple(stride[1:])
    flat = Reshape(shape, (rows, length))
    if takes_each_once(sizes, strides):
        return chain(call, flat, Strided(sizes, strides, offset))
    index = torch.arange(length).as_strided(sizes, strides, offset).flatten()
    return chain(call, flat, IndexSelect(1, index), Reshape((rows, index.numel()), call.output))


CONVERTERS: Converters = MappingProxyType({aten.as_strided.default: strided})
