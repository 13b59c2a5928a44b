"""Convolutions by the Fourier transform: ``irfft(rfft(x) * kernel)`` with a constant kernel."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, axis_of
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import Lies
from sparselrp_cli.graph.operations.complex_numbers import is_complex, transform
from sparselrp_cli.graph.shapes import Dim, numbers, size

aten = torch.ops.aten


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
    """Convert ``irfft``: a convolution where only products with constants lie between it and an ``rfft``."""
    try:
        return _convolution(call)
    except _OtherError:
        return transform(call)


class _OtherError(Exception):
    """It isn't a convolution with a constant kernel."""


def _convolution(call: Call) -> Converted:
    """Read all that lies between ``irfft`` and the ``rfft`` of an activation as a kernel.

    Raises
    ------
    _OtherError
    """
    spectrum = call.activation("self")
    shape = call.shape_of(spectrum)
    axis = axis_of(call.get("dim", -1), shape)
    source, given, between = _source(spectrum, call)
    n = given["n"] or size(call.shape_of(source), axis)
    if given["dim"] % len(shape) != axis or n != size(call.output, axis):
        raise _OtherError
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
            if not isinstance(arguments["self"], fx.Node) or is_complex(arguments["self"]):
                raise _OtherError
            return arguments["self"], arguments, between
        if (whole := _half_of(target, arguments, call)) is not None:
            return whole["self"], whole, between
        node, function = _linear(target, arguments)
        between.append(function)


def _half_of(target: object, arguments: Mapping[str, Any], call: Call) -> Mapping[str, Any] | None:
    """Give the arguments of an ``fft`` of which the first half is taken: an ``rfft``; None for all else."""
    if target is not aten.slice.Tensor or not isinstance(arguments["self"], fx.Node):
        return None
    made_by, given = call.made_by(arguments["self"])
    source = given.get("self")
    if made_by is not aten.fft_fft.default or not isinstance(source, fx.Node) or is_complex(source):
        return None
    shape = call.shape_of(source)
    axis = given["dim"] % len(shape)
    n = given["n"] or size(shape, axis)
    same = (
        arguments["dim"] % len(shape) == axis and arguments["step"] == 1 and arguments["start"] in (0, None)
    )
    return given if same and arguments["end"] == n // 2 + 1 else None


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
    if target is aten.einsum.default and (read := _by_frequency(arguments)) is not None:
        return read
    raise _OtherError


def _by_frequency(arguments: Mapping[str, Any]) -> tuple[fx.Node, Callable[[Tensor], Tensor]] | None:
    """Read an Einstein sum that sums nothing, such as ``bhl,hl->bhl``, as a product."""
    operands, equation = list(arguments["tensors"]), str(arguments["equation"]).replace(" ", "")
    given, _, result = equation.partition("->")
    parts = given.split(",")
    if len(operands) != 2 or not isinstance(operands[0], fx.Node) or isinstance(operands[1], fx.Node):
        return None
    plain = parts[0] == result and set(parts[1]) <= set(result) and len(set(parts[1])) == len(parts[1])
    if "." in equation or not plain:
        return None
    factor = operands[1]
    in_order = factor.permute([parts[1].index(name) for name in result if name in parts[1]])
    spread = in_order.reshape([factor.shape[parts[1].index(n)] if n in parts[1] else 1 for n in result])
    return operands[0], lambda kernel: kernel * spread


CONVERTERS: Converters = MappingProxyType({aten.fft_irfft.default: to_positions})
