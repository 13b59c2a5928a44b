"""Attention: products of matrices of activations, softmax, and both in one.

Rules of AttnLRP (Achtibat et al. 2024, ICML): the softmax is taken at first order, its constant term absorbs
(prop. 3.1); a product of matrices gives half to each (prop. 3.3, uniform).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sparselrp_cli.graph.operations.base import At, Dim, Operation, numbers


@dataclass(frozen=True, eq=False)
class MatrixProduct(Operation):
    """``x @ y`` of two activations: each takes half (AttnLRP, prop. 3.3)."""

    kind: ClassVar[str] = "matrix-product"
    passes: ClassVar[str] = "half to each factor (uniform)"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] @ inputs[1], None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        x, y = at.inputs
        half = c / 2
        return (
            (half @ y.transpose(-1, -2)).sum_to_size(x.shape),
            (x.transpose(-1, -2) @ half).sum_to_size(y.shape),
        )

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return numbers(output) * int(str(inputs[0][-1]))


def softmax_pull(c: Tensor, s: Tensor, axis: int) -> Tensor:
    """Carry a multiplier through ``s = softmax(x)``: the gradient."""
    return s * (c - (s * c).sum(axis, keepdim=True))


def softmax_constant(x: Tensor, s: Tensor, axis: int) -> Tensor:
    """Give the constant term of the softmax's expansion at x: ``s - J x``."""
    linear = x.masked_fill(s == 0, 0)
    return s - s * (linear - (s * linear).sum(axis, keepdim=True))


@dataclass(frozen=True, eq=False)
class Softmax(Operation):
    """``softmax(x)`` over an axis, or its logarithm, at first order; its constant absorbs (prop. 3.1)."""

    axis: int
    logarithm: bool = False
    kind: ClassVar[str] = "softmax"
    passes: ClassVar[str] = "first order; constant absorbs"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        s = inputs[0].softmax(self.axis)
        return (inputs[0].log_softmax(self.axis) if self.logarithm else s), s

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        if self.logarithm:
            return (c - at.memo * c.sum(self.axis, keepdim=True),)
        return (softmax_pull(c, at.memo, self.axis),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        (x,) = at.inputs
        if self.logarithm:
            constant: Tensor = at.output - x + (at.memo * x).sum(self.axis, keepdim=True)
            return c * constant
        return c * softmax_constant(x, at.memo, self.axis)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return not self.logarithm

    def describe(self) -> str:
        return f"{'logarithm, ' if self.logarithm else ''}axis {self.axis}"


@dataclass(frozen=True, eq=False)
class LogSumExp(Operation):
    """``log sum exp(x)`` over axes, at first order; the constant term absorbs."""

    axes: tuple[int, ...]
    keepdim: bool
    kind: ClassVar[str] = "log-sum-exp"
    passes: ClassVar[str] = "first order; constant absorbs"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        kept = inputs[0].logsumexp(self.axes, keepdim=True)
        shares = (inputs[0] - kept).exp()
        return (kept if self.keepdim else inputs[0].logsumexp(self.axes)), shares

    def _kept(self, values: Tensor, like: Tensor) -> Tensor:
        for axis in () if self.keepdim else sorted(a % like.dim() for a in self.axes):
            values = values.unsqueeze(axis)
        return values

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (at.memo * self._kept(c, at.inputs[0]),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        constant: Tensor = at.output - (at.memo * at.inputs[0]).sum(self.axes, keepdim=self.keepdim)
        return c * constant


@dataclass(frozen=True, eq=False)
class Attention(Operation):
    """``softmax(scale q k^T + mask) v``: scaled dot-product attention of queries, keys and values.

    As a matrix product, a softmax and a matrix product one after the other.
    """

    scale: float
    mask: Tensor | None = None
    kind: ClassVar[str] = "attention"
    passes: ClassVar[str] = "AttnLRP: halves, softmax first order"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        q, k, v = inputs
        logits = self.scale * (q @ k.transpose(-1, -2))
        shifted = logits if self.mask is None else logits + self.mask
        shares = shifted.softmax(-1)
        return shares @ v, (logits, shares)

    def _on_logits(self, multiplier: Tensor, v: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        on_shares = multiplier @ v.transpose(-1, -2) / 2
        return on_shares, softmax_pull(on_shares, shares, -1)

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        q, k, v = at.inputs
        _, shares = at.memo
        _, on_logits = self._on_logits(c, v, shares)
        half = on_logits * self.scale / 2
        return (
            (half @ k).sum_to_size(q.shape),
            (half.transpose(-1, -2) @ q).sum_to_size(k.shape),
            (shares.transpose(-1, -2) @ c / 2).sum_to_size(v.shape),
        )

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        logits, shares = at.memo
        on_shares, on_logits = self._on_logits(c, at.inputs[2], shares)
        taken: Tensor = (on_shares * shares - on_logits * logits).sum(-1, keepdim=True)
        return (taken / c.shape[-1]).expand_as(c)

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return 2 * numbers(output) * int(str(inputs[1][-2]))
