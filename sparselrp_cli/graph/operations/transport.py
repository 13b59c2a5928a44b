"""Operations that move neurons without changing them: relevance is carried back exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.operations.base import At, BatchDim, Dim, Operation, resolve, sample_axis


@dataclass(frozen=True, eq=False)
class _Transport(Operation):
    transport: ClassVar[bool] = True
    passes: ClassVar[str] = "moved"

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)


@dataclass(frozen=True, eq=False)
class Reshape(_Transport):
    """View, flatten, squeeze and their like; shapes may hold the sample axis."""

    shape_in: tuple[Dim, ...]
    shape_out: tuple[Dim, ...]
    kind: ClassVar[str] = "reshape"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        axis = sample_axis(self.shape_in)
        samples = self.shape_in[axis]
        n_samples = x.shape[axis] // (samples.multiple if isinstance(samples, BatchDim) else 1)
        return x.reshape(resolve(self.shape_out, n_samples)), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (c.reshape(at.inputs[0].shape),)

    def describe(self) -> str:
        return f"to ({', '.join(map(str, self.shape_out))})"


@dataclass(frozen=True, eq=False)
class Permute(_Transport):
    """A change of the order of axes."""

    order: tuple[int, ...]
    kind: ClassVar[str] = "permute"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].permute(self.order), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (c.permute([self.order.index(a) for a in range(len(self.order))]),)

    def describe(self) -> str:
        return "to " + ", ".join(map(str, self.order))


@dataclass(frozen=True, eq=False)
class Slice(_Transport):
    """A range of one axis with a step; `drop` removes the axis (a selected index)."""

    axis: int
    start: int
    stop: int
    step: int = 1
    drop: bool = False
    kind: ClassVar[str] = "slice"

    def _index(self, x: Tensor) -> tuple[slice, ...]:
        index = [slice(None)] * x.dim()
        index[self.axis] = slice(self.start, self.stop, self.step)
        return tuple(index)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        y = inputs[0][self._index(inputs[0])]
        return (y.squeeze(self.axis) if self.drop else y), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        grad = torch.zeros_like(at.inputs[0])
        grad[self._index(grad)] = c.unsqueeze(self.axis) if self.drop else c
        return (grad,)

    def describe(self) -> str:
        step = f":{self.step}" if self.step != 1 else ""
        return f"axis {self.axis}, {self.start}:{self.stop}{step}"


@dataclass(frozen=True, eq=False)
class Flip(_Transport):
    """The reversal of axes."""

    axes: tuple[int, ...]
    kind: ClassVar[str] = "flip"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].flip(self.axes), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (c.flip(self.axes),)


@dataclass(frozen=True, eq=False)
class IndexSelect(_Transport):
    """Chosen indices of one axis (a fixed reordering of channels, for example)."""

    axis: int
    index: Tensor
    kind: ClassVar[str] = "index-select"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].index_select(self.axis, self.index), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (torch.zeros_like(at.inputs[0]).index_add_(self.axis, self.index, c),)


@dataclass(frozen=True, eq=False)
class Expand(_Transport):
    """Copies along axes of length 1; relevance of the copies is summed."""

    shape_out: tuple[Dim, ...]
    kind: ClassVar[str] = "expand"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        return x.expand(*[d if isinstance(d, int) else -1 for d in self.shape_out]), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (c.sum_to_size(at.inputs[0].shape),)


@dataclass(frozen=True, eq=False)
class Pad(_Transport):
    """Padding with a constant; negative amounts crop. `amounts` as in `torch.nn.functional.pad`."""

    amounts: tuple[int, ...]
    value: float = 0.0
    kind: ClassVar[str] = "pad"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return functional.pad(inputs[0], self.amounts, value=self.value), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (functional.pad(c, [-a for a in self.amounts]),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        if self.value == 0:
            return None
        border_only, _ = self.forward(torch.zeros_like(at.inputs[0]))
        return c * border_only

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] and self.value >= 0

    def describe(self) -> str:
        return "by " + ", ".join(map(str, self.amounts))


@dataclass(frozen=True, eq=False)
class Concatenate(_Transport):
    """Tensors side by side along one axis, or stacked along a new one.

    `parts` says for each piece whether it is an activation (None) or a constant, which absorbs its relevance;
    constants have length 1 along `samples`, the sample axis, and are the same for every sample.
    """

    axis: int
    parts: tuple[Tensor | None, ...]
    stack: bool = False
    samples: int = 0
    kind: ClassVar[str] = "concatenate"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        activations = iter(inputs)
        n = inputs[0].shape[self.samples]
        pieces = [
            next(activations)
            if p is None
            else p.expand(*p.shape[: self.samples], n, *p.shape[self.samples + 1 :])
            for p in self.parts
        ]
        return (torch.stack(pieces, self.axis) if self.stack else torch.cat(pieces, self.axis)), None

    def _split(self, values: Tensor, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        if self.stack:
            return list(values.unbind(self.axis))
        activations = iter(inputs)
        pieces = [next(activations) if p is None else p for p in self.parts]
        return list(torch.split(values, [p.shape[self.axis] for p in pieces], self.axis))

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        pieces = self._split(c, at.inputs)
        return tuple(piece for piece, part in zip(pieces, self.parts, strict=True) if part is None)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        if all(part is None for part in self.parts):
            return None
        constants_only, _ = self.forward(*[torch.zeros_like(x) for x in at.inputs])
        return c * constants_only

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs) and all(p is None or bool((p >= 0).all()) for p in self.parts)

    def describe(self) -> str:
        return f"axis {self.axis}"
