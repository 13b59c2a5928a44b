"""A number times a logarithm, as in entropies: 0 where the number is 0."""

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
class XLogY(Operation):
    """``x log y`` of two activations: half to each, as of any product; the logarithm passes on to y."""

    kind: ClassVar[str] = "x-log-y"
    passes: ClassVar[str] = "half to each factor (uniform)"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return torch.xlogy(*inputs), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        x, y = at.inputs
        half = 0.5 * c
        on_x = (half * y.log()).masked_fill(x == 0, 0)
        on_y = (half * at.output / y).masked_fill(at.output == 0, 0)
        return on_x.sum_to_size(x.shape), on_y.sum_to_size(y.shape)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return False


def x_log_y(call: Call) -> Converted:
    x, y = call["self"], call["other"]
    if isinstance(x, fx.Node) and isinstance(y, fx.Node):
        return Chain((XLogY(),), (x, y))
    if isinstance(y, fx.Node):
        return chain(call, Activation("log"), Scale(call.weight("self")), name="other")
    logarithm = call.weight("other").to(call.dtype).log()
    if not bool(logarithm.isfinite().all()):
        raise NoRule("logarithms of 0 and of negative numbers have no rule")
    return chain(call, Scale(logarithm))


CONVERTERS: Converters = MappingProxyType(
    dict.fromkeys(
        (
            aten.xlogy.Tensor, aten.xlogy.Scalar_Self, aten.xlogy.Scalar_Other,
            aten.special_xlogy.default, aten.special_xlogy.self_scalar, aten.special_xlogy.other_scalar,
        ),
        x_log_y,
    )
)  # fmt: skip
