"""Products, quotients and choices of activations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from sparselrp_cli.graph.operations.arithmetic import finite
from sparselrp_cli.graph.operations.base import At, Operation

ProductRule = Literal["uniform", "signal-take-all"]


@dataclass(frozen=True, eq=False)
class Product(Operation):
    """``x * y`` of two activations, broadcast.

    Where one factor is a gate (a sigmoid, an outcome of a comparison, a norm's reciprocal) the other, the
    signal, takes all (Arras et al. 2017); otherwise each factor takes half, the uniform rule of AttnLRP
    (Achtibat et al. 2024, prop. 3.3).

    Attributes
    ----------
    gate : int or None
        Which factor is a gate.
    rule : {"signal-take-all", "uniform"}
        What is done where there is a gate.
    """

    gate: int | None = None
    rule: ProductRule = "signal-take-all"
    kind: ClassVar[str] = "product"

    @property
    def passes(self) -> str:  # type: ignore[override]
        return "half to each factor (uniform)" if self._signal is None else "signal takes all"

    @property
    def _signal(self) -> int | None:
        return None if self.gate is None or self.rule == "uniform" else 1 - self.gate

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] * inputs[1], None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        share = 0.5 if self._signal is None else 1.0
        return tuple(
            (share * c * at.inputs[1 - i]).sum_to_size(x.shape) if self._signal in (None, i) else None
            for i, x in enumerate(at.inputs)
        )

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def describe(self) -> str:
        return "" if self.gate is None else f"gate: factor {self.gate + 1}"


@dataclass(frozen=True, eq=False)
class Quotient(Operation):
    """``x / y`` of two activations: the numerator takes all, the denominator is a scale.

    This is what AttnLRP does with the norms of layer normalisation (Achtibat et al. 2024, prop. 3.4).
    """

    kind: ClassVar[str] = "quotient"
    passes: ClassVar[str] = "numerator takes all"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] / inputs[1], None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (c / at.inputs[1]).sum_to_size(at.inputs[0].shape), None

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)


@dataclass(frozen=True, eq=False)
class GatedLinear(Operation):
    """``a * sigmoid(b)`` of the halves of one axis (GLU): the signal a takes all (Arras et al. 2017)."""

    axis: int
    kind: ClassVar[str] = "gated-linear"
    passes: ClassVar[str] = "signal takes all"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        signal, gate = inputs[0].chunk(2, self.axis)
        gate = gate.sigmoid()
        return signal * gate, gate

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return (torch.cat([c * at.memo, torch.zeros_like(at.memo)], self.axis),)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]


@dataclass(frozen=True, eq=False)
class Where(Operation):
    """``torch.where(condition, x, y)``; relevance goes to what was chosen.

    `parts` are condition, x and y: None where it is an activation, else a constant. A constant that was
    chosen absorbs its relevance.
    """

    parts: tuple[Tensor | None, Tensor | None, Tensor | None]
    kind: ClassVar[str] = "where"
    passes: ClassVar[str] = "to what was chosen"

    def _all(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        activations = iter(inputs)
        return [next(activations) if part is None else part for part in self.parts]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        condition, first, second = self._all(inputs)
        return torch.where(condition.bool(), first, second), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        condition, first, second = self._all(at.inputs)
        chosen = condition.bool()
        pulled = (
            None,
            (c * chosen).sum_to_size(first.shape) if self.parts[1] is None else None,
            (c * ~chosen).sum_to_size(second.shape) if self.parts[2] is None else None,
        )
        return tuple(p for p, part in zip(pulled, self.parts, strict=True) if part is None)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        chosen = self._all(at.inputs)[0].bool()
        taken: Tensor | None = None
        for part, mask in ((self.parts[1], chosen), (self.parts[2], ~chosen)):
            if part is not None and bool((finite(part) != 0).any()):
                share = c * mask * finite(part)
                taken = share if taken is None else taken + share
        return taken

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        known = iter(inputs)
        signs = [next(known) if part is None else bool((part >= 0).all()) for part in self.parts]
        return signs[1] and signs[2]
