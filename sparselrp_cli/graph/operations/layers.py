"""Layers: the affine operations with trained weights, which get a propagation rule."""

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.operations.base import At, Dim, Operation, numbers


@dataclass(frozen=True, eq=False)
class Layer(Operation):
    """An affine map ``z = W a + b``.

    A rule sees a layer through `apply` (with weights of its own making) and `transpose`.
    """

    weight: Tensor
    bias: Tensor | None
    rectified: bool = field(default=False, kw_only=True)
    """Whether a ReLU follows that nothing else reads, so that the output is the rectified one."""
    channel_axis: ClassVar[int | None] = None
    """The axis of the output that the bias lies along."""

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return numbers(output) * (self.weight.numel() // self.weight.shape[0])

    @abstractmethod
    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute ``W x + b`` with the given weight and bias."""

    @abstractmethod
    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """Compute ``W^T values``, shaped as the layer input `like`."""

    @abstractmethod
    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        """Shape a bias vector so that it broadcasts against the output `z`."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        z = self.apply(inputs[0], self.weight, self.bias)
        return (z.relu_() if self.rectified else z), None

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        """Carry the plain gradient; a composite's rule takes the place of this."""
        return (self.transpose(c, self.weight, at.inputs[0]),)


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
        if weight.dim() == 3 and values.device.type == "cpu":
            return self._as_image.transpose(_image(values), _image(weight), like.unsqueeze(2)).squeeze(2)
        no_output_padding = [0] * len(self.stride)
        grads: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
            values, like, weight, None, self.stride, self.padding, self.dilation, False,
            no_output_padding, self.groups, [True, False, False],
        )  # fmt: skip
        return grads[0]

    @cached_property
    def _as_image(self) -> "Convolution":
        """Give the same convolution over an image of height 1."""
        return dataclasses.replace(
            self, stride=(1, *self.stride), padding=(0, *self.padding), dilation=(1, *self.dilation)
        )

    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        return bias.reshape(-1, *[1] * len(self.stride))

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
    return values.unsqueeze(2).contiguous(memory_format=torch.channels_last)


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

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return numbers(inputs[0]) * (self.weight.numel() // self.weight.shape[0])

    def describe(self) -> str:
        c_in, c_out, *width = self.weight.shape
        return f"transposed, {c_in} -> {c_out * self.groups}, width {'x'.join(map(str, width))}"


@dataclass(frozen=True, eq=False)
class Contraction(Layer):
    """An Einstein sum of an activation with a constant, such as ``nld,hdk->nhlk``; no bias."""

    equation: str
    kind: ClassVar[str] = "dense"

    @property
    def _indices(self) -> tuple[str, str, str]:
        given, result = self.equation.split("->")
        first, second = given.split(",")
        return first, second, result

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return torch.einsum(self.equation, x, weight)

    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        first, second, result = self._indices
        return torch.einsum(f"{result},{second}->{first}", values, weight)

    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        return bias

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        _, second, result = self._indices
        summed = [size for name, size in zip(second, self.weight.shape, strict=True) if name not in result]
        return numbers(output) * math.prod(summed)

    def describe(self) -> str:
        return self.equation


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """A linear layer over the last axis; weight (features out, features in)."""

    kind: ClassVar[str] = "dense"
    channel_axis: ClassVar[int | None] = -1

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return functional.linear(x, weight, bias)

    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        return values @ weight

    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        return bias

    def describe(self) -> str:
        features_out, features_in = self.weight.shape
        return f"{features_in} -> {features_out}"
