"""Quotients of activations."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, chain
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.operations.activation import Activation
from sparselrp_cli.graph.operations.product import Scale

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Quotient(Operation):
    """``x / y`` of two activations: the numerator takes all, the denominator is a scale.

    This is what AttnLRP does with the norms of layer normalisation (Achtibat et al. 2024, prop. 3.4).
    """

    kind: ClassVar[str] = "quotient"
    reads_output: ClassVar[bool] = False
    passes: ClassVar[str] = "numerator takes all"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] / inputs[1], None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c / at.inputs[1]).sum_to_size(at.inputs[0].shape), None

    def carries_to(self, index: int) -> bool:
        return index == 0

    def reads_input(self, index: int) -> bool:
        return index == 1

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return all(inputs)


def divide(call: Call) -> Converted:
    if call.get("rounding_mode"):
        raise NoRule("divisions with rounding have no rule")
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        return Chain((Quotient(),), (first, second))
    if isinstance(second, fx.Node):
        return chain(call, Activation("reciprocal"), Scale(call.weight("self")), name="other")
    return chain(call, Scale(1 / call.weight("other").to(call.dtype)))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.div.Tensor: divide,
        aten.true_divide.Tensor: divide,
        aten.div.Scalar: divide,
        aten.div.Tensor_mode: divide,
        aten.div.Scalar_mode: divide,
    }
)
