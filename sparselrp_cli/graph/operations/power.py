"""Powers with an exponent for each entry, or a base for each entry, either of which may be an activation."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, chain
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.operations.activation import Activation, power
from sparselrp_cli.graph.operations.product import Scale


@dataclass(frozen=True, eq=False)
class Power(Operation):
    """``x ** exponent`` with a constant exponent for each entry, broadcast.

    As of every element-wise function relevance passes unchanged (Bach et al. 2015): ``c_in = c_out f(x) / x``
    [for exponents of its own ours]. Where the exponent is 0 the result is 1 whatever x is: a constant, which
    absorbs. A negative exponent of a size scales what it is multiplied with.

    Attributes
    ----------
    exponent : Tensor
    """

    exponent: Tensor
    kind: ClassVar[str] = "power"
    passes: ClassVar[str] = "passed on"
    elementwise: ClassVar[bool] = True

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] ** self.exponent, None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (_to_base(c, at.inputs[0], self.exponent, at.output),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * (self.exponent == 0)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] or bool((self.exponent % 2 == 0).all())

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return bool((self.exponent < 0).all())


@dataclass(frozen=True, eq=False)
class Raised(Operation):
    """``x ** y`` of two activations: the base takes all, the exponent is a scale.

    So does the numerator of a quotient, which is ``x * y ** -1``, and the base of a constant exponent [ours].
    """

    kind: ClassVar[str] = "raised"
    passes: ClassVar[str] = "base takes all"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return inputs[0] ** inputs[1], None

    def pull(self, c: Tensor, at: At) -> Pulled:
        base, exponent = at.inputs
        return _to_base(c, base, exponent, at.output), None

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * (at.inputs[1] == 0)

    def carries_to(self, index: int) -> bool:
        return index == 0

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return inputs[0]


def _to_base(c: Tensor, x: Tensor, exponent: Tensor, y: Tensor) -> Tensor:
    """Carry a multiplier from ``y = x ** exponent`` to x."""
    # At 0 the quotient is the slope: that of x itself for the exponent 1, and otherwise 0 or none.
    at_zero = (exponent == 1).to(x.dtype)
    ratio = torch.where(x == 0, at_zero, y / torch.where(x == 0, 1.0, x))
    return (c * torch.where(exponent == 0, 0.0, ratio)).sum_to_size(x.shape)


def power_of_tensors(call: Call) -> Converted:
    base, exponent = call["self"], call["exponent"]
    if isinstance(exponent, Tensor):
        return power(call) if exponent.numel() == 1 else chain(call, Power(call.weight("exponent")))
    if isinstance(base, fx.Node):
        return Chain((Raised(),), (base, exponent))
    if not bool((base > 0).all()):
        raise NoRule("powers of 0 and of negative numbers have no rule")
    return chain(call, Scale(call.weight("self").to(call.dtype).log()), Activation("exp"), name="exponent")


CONVERTERS: Converters = MappingProxyType({torch.ops.aten.pow.Tensor_Tensor: power_of_tensors})
