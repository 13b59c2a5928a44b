"""Transposed convolutions."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, chain, each
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import Lies
from sparselrp_cli.graph.shapes import Dim, numbers

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class TransposedConvolution(Layer):
    """A transposed convolution over one or two axes; weight (C_in, C_out / groups, *width)."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    kind: ClassVar[str] = "convolution"

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = functional.conv_transpose1d if weight.dim() == 3 else functional.conv_transpose2d
        return convolve(
            x, weight, bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )

    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        convolve = functional.conv1d if weight.dim() == 3 else functional.conv2d
        pulled = convolve(values, weight, None, self.stride, self.padding, self.dilation, self.groups)
        for axis, length in enumerate(like.shape[2:], 2):
            pulled = pulled.narrow(axis, 0, length)
        return pulled

    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        return bias.reshape(-1, *[1] * len(self.stride))

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        nth = axis - 2
        if nth < 0:
            return (None,)
        reach = self.dilation[nth] * (self.weight.shape[axis] - 1)
        stride = self.stride[nth]
        return (Lies(axis, 1 / stride, (self.padding[nth] - reach / 2) / stride),)

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return numbers(inputs[0]) * (self.weight.numel() // self.weight.shape[0])

    def describe(self) -> str:
        c_in, c_out, *width = self.weight.shape
        return f"transposed, {c_in} -> {c_out * self.groups}, width {'x'.join(map(str, width))}"


def transposed_convolution(call: Call) -> Converted:
    weight, bias = call.weight("weight"), call.constant("bias")
    spatial = weight.dim() - 2
    if spatial not in (1, 2):
        raise NoRule(f"convolutions over {spatial} axes have no rule")
    layer = TransposedConvolution(
        weight,
        bias,
        stride=each(call.get("stride", 1), spatial),
        padding=each(call.get("padding", 0), spatial),
        output_padding=each(call.get("output_padding", 0), spatial),
        dilation=each(call.get("dilation", 1), spatial),
        groups=call.get("groups", 1),
    )
    return chain(call, layer, name="input")


CONVERTERS: Converters = MappingProxyType(
    {
        aten.conv_transpose1d.default: transposed_convolution,
        aten.conv_transpose2d.input: transposed_convolution,
    }
)
