"""Reductions over whole axes: sum, mean and maximum."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converter, Converters, axis_of, chain
from sparselrp_cli.graph.operation import At, Lies, Operation, Pulled
from sparselrp_cli.graph.operations.decision import decision
from sparselrp_cli.graph.shapes import Dim
from sparselrp_cli.graph.winners import first_winner, winners_share

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class _Reduction(Operation):
    """A reduction over whole axes (never the sample axis)."""

    axes: tuple[int, ...]
    keepdim: bool

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        n_axes = len(inputs[0])
        gone = {a % n_axes for a in self.axes}
        left = list(range(n_axes)) if self.keepdim else [a for a in range(n_axes) if a not in gone]
        return (None if left[axis] in gone else Lies(left[axis]),)

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
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "in proportion to the terms"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].sum(self.axes, keepdim=self.keepdim), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (self._back(c, at.inputs[0]).expand_as(at.inputs[0]),)


@dataclass(frozen=True, eq=False)
class Mean(_Reduction):
    """The mean over axes (global average pooling)."""

    kind: ClassVar[str] = "mean"
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "in proportion to the terms"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0].mean(self.axes, keepdim=self.keepdim), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        terms = at.inputs[0].numel() // max(at.output.numel(), 1)
        return ((self._back(c, at.inputs[0]) / terms).expand_as(at.inputs[0]),)


@dataclass(frozen=True, eq=False)
class Maximum(_Reduction):
    """The maximum over axes (global max pooling): the first of equal winners takes all, see `MaxPool`."""

    kind: ClassVar[str] = "max"
    passes: ClassVar[str] = "winner takes all"

    def _rows(self, x: Tensor) -> tuple[Tensor, list[int]]:
        """Move the reduced axes last and merge them; also give the order of axes used."""
        reduced = sorted(a % x.dim() for a in self.axes)
        order = [a for a in range(x.dim()) if a not in reduced] + reduced
        return x.permute(order).flatten(x.dim() - len(reduced)), order

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        rows, _ = self._rows(inputs[0])
        y = rows.amax(-1, keepdim=True)
        winners = first_winner(rows, y)
        return (self._restore(y.squeeze(-1), inputs[0]) if self.keepdim else y.squeeze(-1)), winners

    def pull(self, c: Tensor, at: At) -> Pulled:
        x = at.inputs[0]
        rows, order = self._rows(x)
        share = winners_share(rows.gather(-1, at.memo), at.output.reshape(at.memo.shape))
        grad = torch.zeros_like(rows).scatter_(-1, at.memo, c.reshape(at.memo.shape) * share)
        permuted = grad.reshape([x.shape[a] for a in order])
        return (permuted.permute([order.index(a) for a in range(x.dim())]),)


def reduction(kind: type[Sum] | type[Mean] | type[Maximum]) -> Converter:
    def convert(call: Call) -> Converted:
        if call.item:
            return decision("indices")(call)
        shape = call.shape()
        axes = call.get("dim", ())
        axes = (axes,) if isinstance(axes, int) else tuple(axes) or tuple(range(len(shape)))
        axes = tuple(axis_of(a, shape) for a in axes)
        return chain(call, kind(axes, bool(call.get("keepdim", False))))

    return convert


CONVERTERS: Converters = MappingProxyType(
    {
        aten.sum.dim_IntList: reduction(Sum),
        aten.sum.default: reduction(Sum),
        aten.mean.dim: reduction(Mean),
        aten.mean.default: reduction(Mean),
        aten.amax.default: reduction(Maximum),
        aten.max.dim: reduction(Maximum),
    }
)
