"""Convolutions."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph import few_channels
from sparselrp_cli.graph.call import Call, Converted, Converters, NoRule, chain, each
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import Cropped, Operation
from sparselrp_cli.graph.operations.pad import Pad
from sparselrp_cli.graph.operations.transposed_convolution import transposed_convolution
from sparselrp_cli.graph.shapes import Dim, Span, size

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Convolution(Layer):
    """A convolution over one or two spatial axes; weight (C_out, C_in / groups, *width)."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    kind: ClassVar[str] = "convolution"
    channel_axis: ClassVar[int | None] = 1

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if weight.dim() == 3:
            if x.device.type == "cpu":
                return self._as_image.apply(_image(x), _image(weight), bias).squeeze(2)
            return functional.conv1d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        return functional.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        if self._is_dense and few_channels.pays(values, weight):
            return few_channels.transposed(values, weight, self.padding[0], self.dilation[0], like.shape[2])
        if weight.dim() == 3 and values.device.type == "cpu":
            return self._as_image.transpose(_image(values), _image(weight), like.unsqueeze(2)).squeeze(2)
        no_output_padding = [0] * len(self.stride)
        grads: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
            values, like, weight, None, self.stride, self.padding, self.dilation, False,
            no_output_padding, self.groups, [True, False, False],
        )  # fmt: skip
        return grads[0]

    @property
    def _is_dense(self) -> bool:
        """Whether it reads all channels of a sequence, around each position."""
        return (*self.stride, self.groups) == (1, 1)

    @cached_property
    def _as_image(self) -> "Convolution":
        """Give the same convolution over an image of height 1."""
        return dataclasses.replace(
            self, stride=(1, *self.stride), padding=(0, *self.padding), dilation=(1, *self.dilation)
        )

    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        return bias.reshape(-1, *[1] * len(self.stride))

    def cropped(self, span: Span, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> Cropped | None:
        """Read the receptive field; where it hangs over the border, zeros stand for the padding."""
        if self.weight.dim() != 3 or span.axis != 2:
            return None
        (stride,), (padding,), (dilation,) = self.stride, self.padding, self.dilation
        length, reach = size(inputs[0], 2), dilation * (self.weight.shape[2] - 1) + 1
        start, stop = span.start * stride - padding, (span.stop - 1) * stride - padding + reach
        if start >= length or stop <= 0:
            return None  # nothing but padding, which there is no tensor of
        left, right = max(0, -start), max(0, stop - length)
        inner = Span(2, max(0, start), min(length, stop))
        if left == right:
            # The convolution's own padding does it.
            return Cropped(dataclasses.replace(self, padding=(left,)), (inner,))
        return Cropped(dataclasses.replace(self, padding=(0,)), (inner,), (left, right))

    def describe(self) -> str:
        c_out, c_in, *width = self.weight.shape
        words = [f"{c_in * self.groups} -> {c_out}", "width " + "x".join(map(str, width))]
        for name, value, default in (("stride", self.stride, 1), ("dilation", self.dilation, 1)):
            if any(v != default for v in value):
                words.append(f"{name} {'x'.join(map(str, value))}")
        if self.groups > 1:
            words.append(f"groups {self.groups}")
        return ", ".join(words)


def _image(values: Tensor) -> Tensor:
    """View a sequence as an image of height 1, channels last in memory.

    Processors convolve such images one and a half to two times as fast; see benchmarks/.
    """
    image = values.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    _, channels, height, width = image.shape
    # Of a single window a view may have kept another stride, by which torch would take the slow way.
    return image.as_strided(image.shape, (height * width * channels, 1, width * channels, channels))


def convolution(call: Call) -> Converted:
    weight, bias = call.weight("weight"), call.constant("bias")
    spatial = weight.dim() - 2
    if spatial not in (1, 2):
        raise NoRule(f"convolutions over {spatial} axes have no rule")
    if call.get("transposed", False):
        return transposed_convolution(call)
    stride, dilation = each(call.get("stride", 1), spatial), each(call.get("dilation", 1), spatial)
    padding = call.get("padding", 0)
    before: tuple[Operation, ...] = ()
    if padding == "valid":
        padding = 0
    if padding == "same":
        totals = [d * (w - 1) for d, w in zip(dilation, weight.shape[2:], strict=True)]
        padding = tuple(t // 2 for t in totals)
        extra = [t % 2 for t in totals]
        if any(extra):
            before = (Pad(tuple(a for e in reversed(extra) for a in (0, e))),)
    layer = Convolution(weight, bias, stride, each(padding, spatial), dilation, call.get("groups", 1))
    return chain(call, *before, layer, name="input")


CONVERTERS: Converters = MappingProxyType(
    {
        aten.conv1d.default: convolution,
        aten.conv1d.padding: convolution,
        aten.conv2d.default: convolution,
        aten.conv2d.padding: convolution,
        aten.convolution.default: convolution,
    }
)
