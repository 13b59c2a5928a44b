"""Pooling and reductions: the maximum gives relevance to its winner, averages share it by term."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.operations.base import At, Operation

aten = torch.ops.aten


def _as_2d(x: Tensor, spatial: int) -> Tensor:
    """View one spatial axis as two, so that one kernel serves both."""
    return x.unsqueeze(-2) if spatial == 1 else x


def _from_2d(x: Tensor, spatial: int) -> Tensor:
    return x.squeeze(-2) if spatial == 1 else x


@dataclass(frozen=True, eq=False)
class _WindowedPool(Operation):
    """Pooling over windows; sizes are given per spatial axis."""

    width: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    ceil_mode: bool

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def describe(self) -> str:
        words = "width " + "x".join(map(str, self.width))
        return words if self.stride == self.width else f"{words}, stride {'x'.join(map(str, self.stride))}"

    def _pad(self, sizes: tuple[int, ...], fill: int) -> list[int]:
        return [*[fill] * (2 - len(sizes)), *sizes]


@dataclass(frozen=True, eq=False)
class MaxPool(_WindowedPool):
    """Max pooling: the winner takes all, the first of equal winners (winner-take-all, Bach et al. 2015)."""

    dilation: tuple[int, ...]
    kind: ClassVar[str] = "max-pool"
    passes: ClassVar[str] = "winner takes all"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        spatial = len(self.width)
        x = _as_2d(inputs[0], spatial)
        y, winners = aten.max_pool2d_with_indices(x, *self._sizes())
        return _from_2d(y, spatial), winners

    def _sizes(self) -> tuple[list[int], list[int], list[int], list[int], bool]:
        return (
            self._pad(self.width, 1), self._pad(self.stride, 1), self._pad(self.padding, 0),
            self._pad(self.dilation, 1), self.ceil_mode,
        )  # fmt: skip

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        spatial = len(self.width)
        grad = aten.max_pool2d_with_indices_backward(
            _as_2d(c, spatial), _as_2d(at.inputs[0], spatial), *self._sizes(), at.memo
        )
        return (_from_2d(grad, spatial),)


@dataclass(frozen=True, eq=False)
class AveragePool(_WindowedPool):
    """Average pooling: each term gets its share of the sum."""

    count_include_pad: bool
    divisor: int | None = None
    kind: ClassVar[str] = "average-pool"
    passes: ClassVar[str] = "in proportion to the terms"

    def _sizes(self) -> tuple[Any, ...]:
        return (
            self._pad(self.width, 1), self._pad(self.stride, 1), self._pad(self.padding, 0),
            self.ceil_mode, self.count_include_pad, self.divisor,
        )  # fmt: skip

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        spatial = len(self.width)
        return _from_2d(functional.avg_pool2d(_as_2d(inputs[0], spatial), *self._sizes()), spatial), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        spatial = len(self.width)
        grad = aten.avg_pool2d_backward(_as_2d(c, spatial), _as_2d(at.inputs[0], spatial), *self._sizes())
        return (_from_2d(grad, spatial),)


@dataclass(frozen=True, eq=False)
class AdaptivePool(Operation):
    """Pooling to a given output size, by maximum or average."""

    size: tuple[int, ...]
    maximum: bool
    kind: ClassVar[str] = "adaptive-pool"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        spatial = len(self.size)
        x = _as_2d(inputs[0], spatial)
        size = [*[1] * (2 - spatial), *self.size]
        if self.maximum:
            y, winners = aten.adaptive_max_pool2d(x, size)
            return _from_2d(y, spatial), winners
        return _from_2d(aten.adaptive_avg_pool2d(x, size), spatial), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        spatial = len(self.size)
        c, x = _as_2d(c, spatial).contiguous(), _as_2d(at.inputs[0], spatial)
        if self.maximum:
            grad = aten.adaptive_max_pool2d_backward(c, x, at.memo)
        else:
            grad = aten._adaptive_avg_pool2d_backward(c, x)
        return (_from_2d(grad, spatial),)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def describe(self) -> str:
        return ("maximum" if self.maximum else "average") + " to " + "x".join(map(str, self.size))


@dataclass(frozen=True, eq=False)
class _Reduction(Operation):
    """A reduction over whole axes (never the sample axis)."""

    axes: tuple[int, ...]
    keepdim: bool

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def describe(self) -> str:
        return "over " + ("axis " if len(self.axes) == 1 else "axes ") + ", ".join(map(str, self.axes))

    def _restore(self, reduced: Tensor, like: Tensor) -> Tensor:
        """Put the reduced axes back as axes of length 1."""
        for axis in sorted(a % like.dim() for a in self.axes):
            reduced = reduced.unsqueeze(axis)
        return reduced

    def _back(self, multiplier: Tensor, like: Tensor) -> Tensor:
        return multiplier if self.keepdim else self._restore(multiplier, like)


@dataclass(frozen=True, eq=False)
class Sum(_Reduction):
    """The sum over axes."""

    kind: ClassVar[str] = "sum"
    passes: ClassVar[str] = "in proportion to the terms"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].sum(self.axes, keepdim=self.keepdim), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (self._back(c, at.inputs[0]).expand_as(at.inputs[0]),)


@dataclass(frozen=True, eq=False)
class Mean(_Reduction):
    """The mean over axes (global average pooling)."""

    kind: ClassVar[str] = "mean"
    passes: ClassVar[str] = "in proportion to the terms"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].mean(self.axes, keepdim=self.keepdim), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        terms = at.inputs[0].numel() // max(at.output.numel(), 1)
        return ((self._back(c, at.inputs[0]) / terms).expand_as(at.inputs[0]),)


@dataclass(frozen=True, eq=False)
class Maximum(_Reduction):
    """The maximum over axes (global max pooling): the first of equal winners takes all."""

    kind: ClassVar[str] = "max"
    passes: ClassVar[str] = "winner takes all"

    def _rows(self, x: Tensor) -> tuple[Tensor, list[int]]:
        """Move the reduced axes last and merge them; also give the order of axes used."""
        reduced = sorted(a % x.dim() for a in self.axes)
        order = [a for a in range(x.dim()) if a not in reduced] + reduced
        return x.permute(order).flatten(x.dim() - len(reduced)), order

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        rows, _ = self._rows(inputs[0])
        winners = rows.argmax(-1, keepdim=True)
        y = rows.gather(-1, winners).squeeze(-1)
        return (self._restore(y, inputs[0]) if self.keepdim else y), winners

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        x = at.inputs[0]
        rows, order = self._rows(x)
        grad = torch.zeros_like(rows).scatter_(-1, at.memo, c.reshape(at.memo.shape))
        permuted = grad.reshape([x.shape[a] for a in order])
        return (permuted.permute([order.index(a) for a in range(x.dim())]),)
