"""Steps put together one by one, of constants and activations alike: what is constant is computed at once."""

from dataclasses import dataclass, field

from torch import Tensor, fx

from sparselrp_cli.graph.call import Alias, Call, Converted, NoRule, Step, Steps
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.addition import Add, Shift
from sparselrp_cli.graph.operations.concatenate import Concatenate
from sparselrp_cli.graph.operations.expand import Expand
from sparselrp_cli.graph.operations.permute import Permute
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.operations.slice import Slice
from sparselrp_cli.graph.shapes import BatchDim, Dim, sample_axis

Part = Tensor | fx.Node | int
"""A constant, of length 1 along the samples; an activation; or the number of a step."""
Shape = tuple[Dim, ...]


def one_row(shape: Shape) -> list[int]:
    """Give the sizes of a constant that is the same for every sample."""
    return [1 if isinstance(d, BatchDim) else d for d in shape]


@dataclass(eq=False)
class Building:
    """The steps that a call becomes."""

    call: Call
    steps: list[Step] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)

    def shape(self, part: Part) -> Shape:
        if isinstance(part, Tensor):
            return tuple(part.shape)
        return self.shapes[part] if isinstance(part, int) else self.call.shape_of(part)

    def put(self, operation: Operation, shape: Shape, *parts: fx.Node | int) -> int:
        """Add a step; `shape` is that of what it makes."""
        self.steps.append((operation, parts))
        self.shapes.append(shape)
        return len(self.steps) - 1

    def permuted(self, part: Part, order: tuple[int, ...]) -> Part:
        if order == tuple(range(len(order))):
            return part
        if isinstance(part, Tensor):
            return part.permute(order)
        shape = self.shape(part)
        return self.put(Permute(order), tuple(shape[a] for a in order), part)

    def reshaped(self, part: Part, shape: Shape) -> Part:
        if isinstance(part, Tensor):
            return part.reshape(one_row(shape))
        before = self.shape(part)
        return part if before == shape else self.put(Reshape(before, shape), shape, part)

    def broadcast(self, part: Part, shape: Shape) -> Part:
        """Repeat along axes of length 1, and along new ones in front.

        Raises
        ------
        NoRule
            If samples would lie along another axis.
        """
        if isinstance(part, Tensor):
            return part.to(self.call.dtype).expand(one_row(shape)).clone()
        given = self.shape(part)
        given = (*[1] * (len(shape) - len(given)), *given)
        if sample_axis(given) != sample_axis(shape):
            raise NoRule("it mixes samples")
        part = self.reshaped(part, given)
        if given == shape or isinstance(part, Tensor):
            return part
        return self.put(Expand(shape), shape, part)

    def cut(self, part: Part, shape: Shape) -> Part:
        """Keep the first entries of every axis."""
        for axis, length in enumerate(shape):
            have = self.shape(part)
            if isinstance(length, BatchDim) or have[axis] == length:
                continue
            if isinstance(part, Tensor):
                part = part.narrow(axis, 0, length)
            else:
                part = self.put(Slice(axis, 0, length), (*have[:axis], length, *have[axis + 1 :]), part)
        return part

    def scaled(self, part: Part, factor: Tensor) -> Part:
        if bool((factor == 1).all()):
            return part
        if isinstance(part, Tensor):
            return part * factor
        return self.put(Scale(factor), self.shape(part), part)

    def added(self, first: Part, second: Part) -> Part:
        """Add two tensors of one shape."""
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            return first + second
        if isinstance(first, Tensor):
            first, second = second, first
        assert not isinstance(first, Tensor)
        if not isinstance(second, Tensor):
            return self.put(Add(), self.shape(first), first, second)
        return first if bool((second == 0).all()) else self.put(Shift(second), self.shape(first), first)

    def joined(self, axis: int, parts: tuple[Part, ...], shape: Shape) -> int:
        """Lay tensors side by side."""
        constants = tuple(part if isinstance(part, Tensor) else None for part in parts)
        read = tuple(part for part in parts if not isinstance(part, Tensor))
        return self.put(Concatenate(axis, constants, samples=sample_axis(shape)), shape, *read)

    def built(self, part: Part) -> Converted:
        """Give the steps, whose last makes `part`.

        Raises
        ------
        NoRule
            If all of it is constant.
        """
        if isinstance(part, Tensor):
            raise NoRule("it assigns constants to constants")
        return Alias(part) if isinstance(part, fx.Node) else Steps(tuple(self.steps))
