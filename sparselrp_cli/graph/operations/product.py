"""Products of activations, with each other and with constants."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, chain
from sparselrp_cli.graph.constants import never_negative
from sparselrp_cli.graph.operation import (
    At,
    Cropped,
    Operation,
    Pulled,
    narrowed,
    position_by_position,
)
from sparselrp_cli.graph.shapes import Dim, Span

aten = torch.ops.aten
ProductRule = Literal["signal-take-all", "uniform"]
PRODUCT_RULES: tuple[ProductRule, ...] = get_args(ProductRule)
"""What composites may choose for a product with a gate, the default first."""


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
    rule: ProductRule = PRODUCT_RULES[0]
    kind: ClassVar[str] = "product"
    reads_output: ClassVar[bool] = False
    takes_decisions: ClassVar[bool] = True

    @property
    def passes(self) -> str:  # type: ignore[override]
        return "half to each factor (uniform)" if self._signal is None else "signal takes all"

    @property
    def _signal(self) -> int | None:
        return None if self.gate is None or self.rule == "uniform" else 1 - self.gate

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] * inputs[1], None

    def pull(self, c: Tensor, at: At) -> Pulled:
        if self._signal is None:
            c = 0.5 * c
        return tuple(
            (c * at.inputs[1 - i]).sum_to_size(x.shape) if self.carries_to(i) else None
            for i, x in enumerate(at.inputs)
        )

    def carries_to(self, index: int) -> bool:
        return self._signal in (None, index)

    def reads_input(self, index: int) -> bool:
        return self.carries_to(1 - index)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def describe(self) -> str:
        return "" if self.gate is None else f"gate: factor {self.gate + 1}"


@dataclass(frozen=True, eq=False)
class Scale(Operation):
    """``x * factor`` with a constant factor, broadcast."""

    factor: Tensor
    kind: ClassVar[str] = "scale"
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    elementwise: ClassVar[bool] = True
    passes: ClassVar[str] = "passed on"
    takes_decisions: ClassVar[bool] = True

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] * self.factor, None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return ((c * self.factor).sum_to_size(at.inputs[0].shape),)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] and never_negative(self.factor)

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        if tuple(inputs[0]) != tuple(output):
            return None
        part = dataclasses.replace(self, factor=narrowed(self.factor, span, output))
        return position_by_position(part, span)


def multiply(call: Call) -> Converted:
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        gates = [call.is_gate(first), call.is_gate(second)]
        return Chain((Product(gates.index(True) if sum(gates) == 1 else None),), (first, second))
    if isinstance(first, fx.Node):
        return chain(call, Scale(call.weight("other")))
    return chain(call, Scale(call.weight("self")), name="other")


CONVERTERS: Converters = MappingProxyType({aten.mul.Tensor: multiply, aten.mul.Scalar: multiply})
