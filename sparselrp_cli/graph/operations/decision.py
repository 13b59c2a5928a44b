"""Comparisons and other step functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.aten_call import AtenCall, places
from sparselrp_cli.graph.call import Call, Chain, Converted, Converter, Converters
from sparselrp_cli.graph.constants import finite
from sparselrp_cli.graph.operation import At, Pulled

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Decision(AtenCall):
    """A comparison or another step function, or a function of such: it decides, and carries no relevance.

    What it is given, where it is a factor among gates or is read as a number, it absorbs.

    Attributes
    ----------
    like : Tensor or None
        Of the floating-point type that it gives.
    """

    like: Tensor | None = None

    kind: ClassVar[str] = "decision"
    reads_inputs: ClassVar[bool] = False
    passes: ClassVar[str] = "decides; carries none"
    takes_decisions: ClassVar[bool] = True

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        y = self.call(inputs)
        return (y if self.like is None else y.to(self.like.dtype)), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return tuple(None for _ in at.inputs)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * finite(at.output)

    def passes_to(self, index: int) -> bool:
        return False

    def is_gate(self, inputs: Sequence[bool]) -> bool:
        return True


def decision(name: str = "") -> Converter:
    """Make a converter for a function that decides and carries no relevance; it is named as torch does."""

    def convert(call: Call) -> Converted:
        arguments, inputs = places(call)
        like = torch.zeros((), dtype=call.dtype) if call.floating else None
        called = name or call.function.__name__.split(".")[0].removeprefix("_")
        return Chain((Decision(call.function, arguments, called, call.item, like),), inputs)

    return convert


_COMPARING = (
    aten.gt.Scalar, aten.gt.Tensor, aten.ge.Scalar, aten.ge.Tensor, aten.lt.Scalar, aten.lt.Tensor,
    aten.le.Scalar, aten.le.Tensor, aten.eq.Scalar, aten.eq.Tensor, aten.ne.Scalar, aten.ne.Tensor,
    aten.logical_and.default, aten.logical_or.default, aten.logical_not.default, aten.logical_xor.default,
    aten.bitwise_and.Tensor, aten.bitwise_or.Tensor, aten.bitwise_not.default, aten.bitwise_xor.Tensor,
    aten.isclose.default,
)  # fmt: skip
_STEPS = (
    aten.argmax.default, aten.argmin.default, aten.argsort.default, aten.argsort.stable,
    aten.sign.default, aten.sgn.default, aten.signbit.default, aten.heaviside.default,
    aten.floor.default, aten.ceil.default, aten.trunc.default, aten.fix.default, aten.round.default,
    aten.round.decimals, aten.floor_divide.default, aten.floor_divide.Scalar,
    aten.bucketize.Tensor, aten.searchsorted.Tensor, aten.count_nonzero.dim_IntList,
    aten.isnan.default, aten.isinf.default, aten.isfinite.default, aten.isposinf.default,
    aten.isneginf.default, aten.any.dim, aten.all.dim, aten.one_hot.default, aten.isin.Tensor_Tensor,
)  # fmt: skip
CONVERTERS: Converters = MappingProxyType(
    {**dict.fromkeys(_COMPARING, decision("comparison")), **dict.fromkeys(_STEPS, decision())}
)
