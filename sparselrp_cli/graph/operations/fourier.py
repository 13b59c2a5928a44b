"""Convolutions by the Fourier transform: ``irfft(rfft(x) * kernel)`` with a constant kernel."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule, axis_of
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import Lies
from sparselrp_cli.graph.shapes import Dim, numbers, size

aten = torch.ops.aten
WORDS = (
    "only products with constants between torch.fft.rfft(x, n) and torch.fft.irfft(y, n) have a rule; use"
    " nn.Conv1d for a convolution"
)


@dataclass(frozen=True, eq=False)
class FourierConvolution(Layer):
    """A circular convolution along one axis, by the Fourier transform; no bias.

    It is computed in positions times their logarithm. The kernel is kept as it lies along the positions,
    where rules tell its positive from its negative weights.

    Attributes
    ----------
    weight : Tensor
        The kernel; broadcasts against the input, but along `axis`, where it has the length of the circle.
    axis : int
        Counted from behind. What is shorter than the circle is padded with zeros behind, what is longer cut.
    """

    axis: int
    kind: ClassVar[str] = "convolution"

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        n = weight.shape[self.axis]
        spectrum = torch.fft.rfft(x, n, self.axis) * torch.fft.rfft(weight, n, self.axis)
        made: Tensor = torch.fft.irfft(spectrum, n, self.axis)
        return made

    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        n, length = weight.shape[self.axis], like.shape[self.axis]
        spectrum = torch.fft.rfft(values, n, self.axis) * torch.fft.rfft(weight, n, self.axis).conj()
        found: Tensor = torch.fft.irfft(spectrum, n, self.axis).narrow(self.axis, 0, min(n, length))
        if length > n:
            rest = list(found.shape)
            rest[self.axis] = length - n
            found = torch.cat([found, found.new_zeros(rest)], self.axis)
        return found.sum_to_size(like.shape)

    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        return bias

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return 3 * numbers(output) * max(1, round(math.log2(size(output, self.axis % len(output)))))

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        """Say that positions stay where they are, which is where a kernel that looks back begins."""
        same = inputs[0][axis] == output[axis] or axis == self.axis % len(output)
        return (Lies(axis) if same else None,)

    def describe(self) -> str:
        return f"circle of {self.weight.shape[self.axis]}"


def to_positions(call: Call) -> Converted:
    """Convert ``irfft``, with all that lies between it and the ``rfft`` of an activation."""
    spectrum = call.activation("self")
    shape = call.shape_of(spectrum)
    axis = axis_of(call.get("dim", -1), shape)
    source, given, between = _source(spectrum, call)
    n = given["n"] or size(call.shape_of(source), axis)
    if given["dim"] % len(shape) != axis or n != size(call.output, axis):
        raise NoRule("its length or axis isn't that of the rfft; " + WORDS)
    impulse = torch.zeros([n if a == axis else 1 for a in range(len(shape))], dtype=call.dtype)
    impulse.select(axis, 0).fill_(1)
    kernel = torch.fft.rfft(impulse, n, axis, given["norm"])
    for function in reversed(between):
        kernel = function(kernel)
    weight = torch.fft.irfft(kernel, n, axis, call.get("norm"))
    return Chain((FourierConvolution(weight, None, axis - len(shape)),), (source,))


def _source(node: fx.Node, call: Call) -> tuple[fx.Node, Mapping[str, Any], list[Callable[[Tensor], Tensor]]]:
    """Go back to what was transformed.

    Returns
    -------
    source : fx.Node
    arguments : mapping
        Of the transform.
    between : list of callable
        What was done to the spectrum, the last first.
    """
    between: list[Callable[[Tensor], Tensor]] = []
    while True:
        target, arguments = call.made_by(node)
        if target is aten.fft_rfft.default:
            if not isinstance(arguments["self"], fx.Node):
                raise NoRule(WORDS)
            return arguments["self"], arguments, between
        node, function = _linear(target, arguments)
        between.append(function)


def _linear(target: object, arguments: Mapping[str, Any]) -> tuple[fx.Node, Callable[[Tensor], Tensor]]:
    """Read a product of a spectrum with a constant, and its like."""
    if target in (aten.clone.default, aten.alias.default, aten.neg.default):
        sign = -1 if target is aten.neg.default else 1
        return arguments["self"], lambda kernel: sign * kernel
    if target in (aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar):
        first, second = arguments["self"], arguments["other"]
        if isinstance(first, fx.Node) and not isinstance(second, fx.Node):
            if target in (aten.div.Tensor, aten.div.Scalar):
                return first, lambda kernel: kernel / second
            return first, lambda kernel: kernel * second
        if isinstance(second, fx.Node) and not isinstance(first, fx.Node) and target is aten.mul.Tensor:
            return second, lambda kernel: kernel * first
    raise NoRule(WORDS)


def refused(call: Call) -> Converted:
    """Refuse a spectrum by itself; it is read over where it lies between rfft and irfft."""
    raise NoRule(WORDS)


CONVERTERS: Converters = MappingProxyType(
    {
        aten.fft_irfft.default: to_positions,
        aten.fft_rfft.default: refused,
        aten.fft_fft.default: refused,
        aten.fft_ifft.default: refused,
        aten.fft_rfft2.default: refused,
        aten.fft_rfftn.default: refused,
        aten.fft_fft2.default: refused,
        aten.fft_fftn.default: refused,
        aten.stft.default: refused,
    }
)
