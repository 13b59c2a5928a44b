"""Pooling over windows: the maximum gives relevance to its winner, averages share it by term."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.call import Call, Converted, Converter, Converters, NoRule, chain, each
from sparselrp_cli.graph.operation import At, Lies, Operation, Pulled
from sparselrp_cli.graph.pieces import pieces
from sparselrp_cli.graph.shapes import Dim, size
from sparselrp_cli.graph.winners import first_winner, least_winner, winners_share

aten = torch.ops.aten


def _as_2d(x: Tensor, spatial: int) -> Tensor:
    """View one spatial axis as two, so that one kernel serves both."""
    return x.unsqueeze(-2) if spatial == 1 else x


def _from_2d(x: Tensor, spatial: int) -> Tensor:
    return x.squeeze(-2) if spatial == 1 else x


def _grid(x: Tensor) -> Tensor:
    """Number the places of the last two axes."""
    rows, columns = x.shape[-2:]
    numbers = torch.arange(rows * columns, device=x.device).reshape(rows, columns)
    return numbers.expand(*x.shape[:-2], rows, columns)


@dataclass(frozen=True, eq=False)
class _WindowedPool(Operation):
    """Pooling over windows; sizes are given per spatial axis."""

    width: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    ceil_mode: bool

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        nth = axis - (len(output) - len(self.width))
        if nth < 0:
            return (Lies(axis),)
        reach = self._reach(nth) * (self.width[nth] - 1)
        return (Lies(axis, self.stride[nth], reach / 2 - self.padding[nth]),)

    def _reach(self, nth: int) -> int:
        """Say how far neighbours in a window are from each other."""
        return 1

    def describe(self) -> str:
        words = "width " + "x".join(map(str, self.width))
        return words if self.stride == self.width else f"{words}, stride {'x'.join(map(str, self.stride))}"

    def _pad(self, sizes: tuple[int, ...], fill: int) -> list[int]:
        return [*[fill] * (2 - len(sizes)), *sizes]


@dataclass(frozen=True, eq=False)
class MaxPool(_WindowedPool):
    """Max pooling: the winner takes all, the first of equal winners (winner-take-all, Bach et al. 2015).

    Equal to within `ties` [ours]; the multiplier of one that is smaller by rounding is scaled, so that it
    takes what the largest would.
    """

    dilation: tuple[int, ...]
    kind: ClassVar[str] = "max-pool"
    passes: ClassVar[str] = "winner takes all"

    def _reach(self, nth: int) -> int:
        return self.dilation[nth]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        spatial = len(self.width)
        x = _as_2d(inputs[0], spatial)
        y, winners = aten.max_pool2d_with_indices(x, *self._sizes())
        # Places are kept in half of the bytes, and found channel by channel where they are many.
        small = x.shape[-2] * x.shape[-1] < torch.iinfo(torch.int32).max
        first = torch.empty_like(winners, dtype=torch.int32 if small else torch.int64)
        for of_x, of_y, of_winners, of_first in pieces(x, y, winners, first, axis=1):
            of_first.copy_(self._first(of_x, of_y, of_winners))
        return _from_2d(y, spatial), first

    def _first(self, x: Tensor, y: Tensor, winners: Tensor) -> Tensor:
        """Give the first place (into rows x columns) of each window whose number equals the largest, `y`."""
        bound = least_winner(y)
        places = _grid(x)
        for rows in reversed(range(self._pad(self.width, 1)[0])):
            for columns in reversed(range(self._pad(self.width, 1)[1])):
                numbers = self._nth(x, y, (rows, columns), -math.inf)
                winners = torch.where(numbers >= bound, self._nth(places, y, (rows, columns), 0), winners)
        return winners

    def _nth(self, x: Tensor, y: Tensor, nth: tuple[int, int], fill: float) -> Tensor:
        """Take one place of every window; `fill` where that lies in the padding."""
        stride, padding = self._pad(self.stride, 1), self._pad(self.padding, 0)
        dilation = self._pad(self.dilation, 1)
        for axis in (-2, -1):
            count = y.shape[axis]
            start = nth[axis] * dilation[axis] - padding[axis]
            before = max(0, -start)
            behind = max(0, start + (count - 1) * stride[axis] + 1 - x.shape[axis])
            amounts = [before, behind] if axis == -1 else [0, 0, before, behind]
            x = functional.pad(x, amounts, value=fill) if before or behind else x
            begin = start + before
            x = x.narrow(axis, begin, (count - 1) * stride[axis] + 1) if count else x.narrow(axis, 0, 0)
            x = x[..., :: stride[-1]] if axis == -1 else x[..., :: stride[-2], :]
        return x

    def _sizes(self) -> tuple[list[int], list[int], list[int], list[int], bool]:
        return (
            self._pad(self.width, 1), self._pad(self.stride, 1), self._pad(self.padding, 0),
            self._pad(self.dilation, 1), self.ceil_mode,
        )  # fmt: skip

    def pull(self, c: Tensor, at: At) -> Pulled:
        spatial = len(self.width)
        x, y = (_as_2d(values, spatial) for values in (at.inputs[0], at.output))
        parts = list(pieces(x, y, _as_2d(c, spatial), at.memo, axis=1))
        if len(parts) == 1:
            return (_from_2d(self._pulled(*parts[0]), spatial),)
        pulled = torch.empty_like(x)
        for (found,), part in zip(pieces(pulled, axis=1), parts, strict=True):
            found.copy_(self._pulled(*part))
        return (_from_2d(pulled, spatial),)

    def _pulled(self, x: Tensor, y: Tensor, c: Tensor, first: Tensor) -> Tensor:
        first = first.long()
        numbers = x.flatten(-2).gather(-1, first.flatten(-2)).reshape(first.shape)
        c = c * winners_share(numbers, y)
        pulled: Tensor = aten.max_pool2d_with_indices_backward(c, x, *self._sizes(), first)
        return pulled

    def turns(self, inputs: Sequence[Sequence[Dim]]) -> int:
        return math.prod(self.width)


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

    def pull(self, c: Tensor, at: At) -> Pulled:
        spatial = len(self.width)
        grad = aten.avg_pool2d_backward(_as_2d(c, spatial), _as_2d(at.inputs[0], spatial), *self._sizes())
        return (_from_2d(grad, spatial),)


def _regions(length: int, count: int) -> list[slice]:
    """Cut an axis as adaptive pooling does."""
    return [slice(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


@dataclass(frozen=True, eq=False)
class AdaptivePool(Operation):
    """Pooling to a given output size, by maximum or average."""

    size: tuple[int, ...]
    maximum: bool
    kind: ClassVar[str] = "adaptive-pool"

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        length, of = size(output, axis), size(inputs[0], axis)
        return (None if of % length else Lies.evenly(axis, length, of),)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        spatial = len(self.size)
        x = _as_2d(inputs[0], spatial)
        size = [*[1] * (2 - spatial), *self.size]
        if self.maximum:
            y, _ = aten.adaptive_max_pool2d(x, size)
            return _from_2d(y, spatial), self._first(x, y)
        return _from_2d(aten.adaptive_avg_pool2d(x, size), spatial), None

    def _first(self, x: Tensor, y: Tensor) -> Tensor:
        """Give the first place (into rows x columns) of each region whose number equals the largest, `y`."""
        places, winners = _grid(x), torch.empty(y.shape, dtype=torch.int64, device=x.device)
        for row, rows in enumerate(_regions(x.shape[-2], y.shape[-2])):
            for column, columns in enumerate(_regions(x.shape[-1], y.shape[-1])):
                numbers = x[..., rows, columns].flatten(-2)
                first = first_winner(numbers, y[..., row, column, None])
                region = places[..., rows, columns].flatten(-2)
                winners[..., row, column] = region.gather(-1, first).squeeze(-1)
        return winners

    def pull(self, c: Tensor, at: At) -> Pulled:
        spatial = len(self.size)
        c, x = _as_2d(c, spatial).contiguous(), _as_2d(at.inputs[0], spatial)
        if self.maximum:
            numbers = x.flatten(-2).gather(-1, at.memo.flatten(-2)).reshape(at.memo.shape)
            c = c * winners_share(numbers, _as_2d(at.output, spatial))
            grad = aten.adaptive_max_pool2d_backward(c, x, at.memo)
        else:
            grad = aten._adaptive_avg_pool2d_backward(c, x)
        return (_from_2d(grad, spatial),)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def describe(self) -> str:
        return ("maximum" if self.maximum else "average") + " to " + "x".join(map(str, self.size))

    def turns(self, inputs: Sequence[Sequence[Dim]]) -> int:
        return math.prod(self.size)


def max_pool(spatial: int) -> Converter:
    def convert(call: Call) -> Converted:
        if call.item:
            raise NoRule("the indices of a max pool carry no relevance")
        width = each(call["kernel_size"], spatial)
        pool = MaxPool(
            width, each(call.get("stride") or width, spatial), each(call.get("padding", 0), spatial),
            call.get("ceil_mode", False), each(call.get("dilation", 1), spatial),
        )  # fmt: skip
        return chain(call, pool)

    return convert


def average_pool(spatial: int) -> Converter:
    def convert(call: Call) -> Converted:
        width = each(call["kernel_size"], spatial)
        pool = AveragePool(
            width, each(call.get("stride") or width, spatial), each(call.get("padding", 0), spatial),
            call.get("ceil_mode", False), call.get("count_include_pad", True), call.get("divisor_override"),
        )  # fmt: skip
        return chain(call, pool)

    return convert


def adaptive_pool(spatial: int, maximum: bool) -> Converter:
    def convert(call: Call) -> Converted:
        if call.item:
            raise NoRule("the indices of a max pool carry no relevance")
        return chain(call, AdaptivePool(each(call["output_size"], spatial), maximum))

    return convert


CONVERTERS: Converters = MappingProxyType(
    {
        aten.max_pool1d.default: max_pool(1),
        aten.max_pool1d_with_indices.default: max_pool(1),
        aten.max_pool2d.default: max_pool(2),
        aten.max_pool2d_with_indices.default: max_pool(2),
        aten.avg_pool1d.default: average_pool(1),
        aten.avg_pool2d.default: average_pool(2),
        aten.adaptive_avg_pool1d.default: adaptive_pool(1, maximum=False),
        aten.adaptive_avg_pool2d.default: adaptive_pool(2, maximum=False),
        aten._adaptive_avg_pool2d.default: adaptive_pool(2, maximum=False),
        aten.adaptive_max_pool1d.default: adaptive_pool(1, maximum=True),
        aten.adaptive_max_pool2d.default: adaptive_pool(2, maximum=True),
    }
)
