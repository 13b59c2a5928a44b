"""Sums of activations, and products and sums with constants.

A sum splits relevance in proportion to its terms, which in multiplier form is the plain gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sparselrp_cli.graph.operations.base import At, Operation


def finite(constant: Tensor) -> Tensor:
    """Replace the infinities of a mask, whose entries get no relevance, so that they stay out of sums."""
    return constant.masked_fill(constant.isinf(), 0)


@dataclass(frozen=True, eq=False)
class Add(Operation):
    """``x + alpha * y`` of two activations (residual additions, skip connections)."""

    alpha: float = 1.0
    kind: ClassVar[str] = "add"
    passes: ClassVar[str] = "in proportion to the terms"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        x, y = inputs
        return (x + y if self.alpha == 1 else x + self.alpha * y), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        x, y = at.inputs
        scaled = c if self.alpha == 1 else self.alpha * c
        return c.sum_to_size(x.shape), scaled.sum_to_size(y.shape)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs) and self.alpha >= 0


@dataclass(frozen=True, eq=False)
class Subtract(Operation):
    """``x - y`` of two activations."""

    kind: ClassVar[str] = "subtract"
    passes: ClassVar[str] = "in proportion to the terms"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] - inputs[1], None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return c.sum_to_size(at.inputs[0].shape), -c.sum_to_size(at.inputs[1].shape)


@dataclass(frozen=True, eq=False)
class Negate(Operation):
    """``-x``."""

    kind: ClassVar[str] = "negate"
    passes: ClassVar[str] = "passed on"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return -inputs[0], None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (-c,)


@dataclass(frozen=True, eq=False)
class Scale(Operation):
    """``x * factor`` with a constant factor, broadcast."""

    factor: Tensor
    kind: ClassVar[str] = "scale"
    passes: ClassVar[str] = "passed on"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] * self.factor, None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return ((c * self.factor).sum_to_size(at.inputs[0].shape),)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] and bool((self.factor >= 0).all())


@dataclass(frozen=True, eq=False)
class Shift(Operation):
    """``x + constant``, broadcast; the constant absorbs its share of relevance."""

    constant: Tensor
    kind: ClassVar[str] = "shift"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] + self.constant, None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (c.sum_to_size(at.inputs[0].shape),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * finite(self.constant)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] and bool((self.constant >= 0).all())


@dataclass(frozen=True, eq=False)
class ChannelAffine(Operation):
    """Batch normalisation in evaluation mode that stands alone: ``scale * x + shift`` per channel.

    Exact in multiplier form: the shift absorbs its share, nothing is divided.
    """

    scale: Tensor
    shift: Tensor
    kind: ClassVar[str] = "affine"

    def _spread(self, vector: Tensor, x: Tensor) -> Tensor:
        return vector.reshape(-1, *[1] * (x.dim() - 2))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        return x * self._spread(self.scale, x) + self._spread(self.shift, x), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (c * self._spread(self.scale, c),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * self._spread(self.shift, c)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] and bool((self.scale >= 0).all()) and bool((self.shift >= 0).all())

    def describe(self) -> str:
        return f"{self.scale.numel()} channels"
