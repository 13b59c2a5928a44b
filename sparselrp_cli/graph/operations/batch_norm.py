"""Batch normalisation in evaluation mode, where it can't be folded into a layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.call import Call, Converted, Converters, chain
from sparselrp_cli.graph.constants import never_negative
from sparselrp_cli.graph.operation import At, Cropped, Operation, Pulled, position_by_position
from sparselrp_cli.graph.shapes import Dim, Span

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class ChannelAffine(Operation):
    """Batch normalisation in evaluation mode that stands alone: ``scale * x + shift`` per channel.

    Exact in multiplier form: the shift absorbs its share, nothing is divided.
    """

    scale: Tensor
    shift: Tensor
    kind: ClassVar[str] = "affine"
    reads_inputs: ClassVar[bool] = False
    reads_output: ClassVar[bool] = False
    elementwise: ClassVar[bool] = True

    def _spread(self, vector: Tensor, x: Tensor) -> Tensor:
        return vector.reshape(-1, *[1] * (x.dim() - 2))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        return x * self._spread(self.scale, x) + self._spread(self.shift, x), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (c * self._spread(self.scale, c),)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * self._spread(self.shift, c)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return inputs[0] and never_negative(self.scale) and never_negative(self.shift)

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        return position_by_position(self, span) if span.axis > 1 else None

    def describe(self) -> str:
        return f"{self.scale.numel()} channels"


def scale_and_shift(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """Give a normalisation in evaluation mode as ``scale * x + shift``, in float64, shape (C,)."""
    scale = 1 / torch.sqrt(variance.double() + eps)
    if weight is not None:
        scale = scale * weight.double()
    shift = -mean.double() * scale
    return scale, shift if bias is None else shift + bias.double()


def batch_norm(call: Call) -> Converted:
    mean, variance = call.weight("running_mean"), call.weight("running_var")
    scale, shift = scale_and_shift(
        mean, variance, call.constant("weight"), call.constant("bias"), call["eps"]
    )
    return chain(call, ChannelAffine(scale.to(call.dtype), shift.to(call.dtype)), name="input")


CONVERTERS: Converters = MappingProxyType(
    {
        aten._native_batch_norm_legit_no_training.default: batch_norm,
        aten.batch_norm.default: batch_norm,
        aten.cudnn_batch_norm.default: batch_norm,
    }
)
