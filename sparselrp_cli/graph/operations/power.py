"""Powers with an exponent for each entry, or a base for each entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, chain
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.operations.activation import Activation, power
from sparselrp_cli.graph.operations.product import Scale

WORDS = "only powers with a constant base or exponent have a rule; write (y * x.log()).exp() for x ** y"


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
        (x,) = at.inputs
        # At 0 the quotient is the slope: that of x itself for the exponent 1, and otherwise 0 or none.
        at_zero = (self.exponent == 1).to(x.dtype)
        ratio = torch.where(x == 0, at_zero, at.output / torch.where(x == 0, 1.0, x))
        ratio = torch.where(self.exponent == 0, 0.0, ratio)
        return ((c * ratio).sum_to_size(x.shape),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * (self.exponent == 0)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] or bool((self.exponent % 2 == 0).all())

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return bool((self.exponent < 0).all())


def power_of_tensors(call: Call) -> Converted:
    base, exponent = call["self"], call["exponent"]
    if isinstance(exponent, Tensor):
        return power(call) if exponent.numel() == 1 else chain(call, Power(call.weight("exponent")))
    if not isinstance(base, Tensor):
        raise NoRule(WORDS)
    if not bool((base > 0).all()):
        raise NoRule("powers of 0 and of negative numbers have no rule")
    return chain(call, Scale(call.weight("self").log()), Activation("exp"), name="exponent")


CONVERTERS: Converters = MappingProxyType({torch.ops.aten.pow.Tensor_Tensor: power_of_tensors})
