"""Complex numbers between real ones: spectra, what is done with them, and the way back.

A complex neuron ``a`` with the multiplier ``c`` has the relevance ``Re(conj(a) c)``, which is that of its
real part beside that of its imaginary part [ours]. With it sums, moves and products with constants are linear
maps as of real numbers, a product of two spectra takes the uniform rule (AttnLRP, Achtibat et al. 2024, prop.
3.3), and a size, the root of two squares, is shared by them. Constants are held as pairs of real numbers, so
that they have the graph's type.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.aten_call import Place, places
from sparselrp_cli.graph.call import Alias, Call, Chain, Converted, Converter, Converters, NoRule
from sparselrp_cli.graph.operation import Operation, tensors_of
from sparselrp_cli.graph.operations.addition import Add, Negate, Subtract
from sparselrp_cli.graph.operations.contraction import explicit
from sparselrp_cli.graph.operations.decision import Decision
from sparselrp_cli.graph.operations.homogeneous import Homogeneous, homogeneous
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.operations.reduction import Mean, Sum
from sparselrp_cli.graph.shapes import sample_axis

aten = torch.ops.aten
WORDS = (
    "of complex numbers only sums, moves, products and sizes have a rule; write the real and imaginary parts"
)
_LINEAR = (Add, Subtract, Negate, Sum, Mean, Scale)
_MULTIPLYING = (aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar)
_TO_REAL = (aten.fft_irfft.default, aten.view_as_real.default, aten.real.default, aten.imag.default)
_MATRICES: Mapping[object, str] = MappingProxyType(
    {aten.matmul.default: "other", aten.mm.default: "mat2", aten.bmm.default: "mat2"}
)


def is_complex(value: Any) -> bool:
    """Whether an activation or a constant is of complex numbers."""
    value = value.meta.get("val") if isinstance(value, fx.Node) else value
    return value.is_complex() if isinstance(value, Tensor) else isinstance(value, complex)


def reads_complex(call: Call) -> bool:
    """Whether an argument is of complex numbers, those in lists too."""
    values = [v for a in call.arguments.values() for v in (a if isinstance(a, (list, tuple)) else (a,))]
    return any(map(is_complex, values))


def of_complex(target: object, call: Call, converter: Converter) -> Converted:
    """Convert a function of complex numbers.

    Raises
    ------
    NoRule
        If it is neither linear, nor a product or a size.
    """
    if target in CONVERTERS or target in _TO_REAL:
        return converter(call)
    if target in _MULTIPLYING:
        return _product(call, divides=target in (aten.div.Tensor, aten.div.Scalar))
    if target in _MATRICES:
        return _matrices(call, _MATRICES[target])
    if target is aten.einsum.default:
        return _einsum(call)
    if target is aten.abs.default:
        return homogeneous("size", sign=True)(call)
    converted = converter(call)
    operations = () if isinstance(converted, Alias) else tuple(o for o, _ in converted.steps)
    if not all(map(_is_linear, operations)):
        raise NoRule(WORDS)
    return converted


def _is_linear(operation: Operation) -> bool:
    """Whether a kind is the same linear map for complex as for real numbers."""
    if isinstance(operation, Decision) or any(tensor.is_complex() for tensor in tensors_of(operation)):
        return False
    linear = isinstance(operation, Homogeneous) and operation.linear
    return operation.transport or linear or isinstance(operation, _LINEAR)


def _product(call: Call, *, divides: bool) -> Converted:
    first, second = call["self"], call["other"]
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        if divides:
            raise NoRule(WORDS)
        return homogeneous("product", degree=2.0)(call)
    node, constant = (first, second) if isinstance(first, fx.Node) else (second, first)
    if divides and node is second:
        raise NoRule(WORDS)
    constant = torch.as_tensor(constant)
    return _by_constant(times, (("factor", pairs(1 / constant if divides else constant, call)),), node)


def _by_constant(function: Callable[..., Tensor], given: tuple[tuple[str, Any], ...], node: fx.Node) -> Chain:
    """Apply one of the functions below to an activation."""
    return Chain((Homogeneous(function, (("x", Place(0)), *given), "product with a constant"),), (node,))


def _matrices(call: Call, second: str) -> Converted:
    first, other = call["self"], call[second]
    if isinstance(first, fx.Node) and isinstance(other, fx.Node):
        return homogeneous("matrix product", degree=2.0)(call)
    node, constant = (first, other) if isinstance(first, fx.Node) else (other, first)
    given = (("matrix", pairs(constant, call)), ("first", node is other))
    return _by_constant(times_matrix, given, node)


def _einsum(call: Call) -> Converted:
    operands = list(call["tensors"])
    dims = [len(call.shape_of(o)) if isinstance(o, fx.Node) else o.dim() for o in operands]
    equation = explicit(str(call["equation"]).replace(" ", ""), dims)
    activations = tuple(o for o in operands if isinstance(o, fx.Node))
    if len(activations) == len(operands):
        return homogeneous(f"sum {equation}", degree=float(len(operands)))(call)
    if len(operands) != 2:
        raise NoRule(WORDS)
    given, result = equation.split("->")
    parts = given.split(",")
    if isinstance(operands[1], fx.Node):
        parts, operands = parts[::-1], operands[::-1]
    written = f"{','.join(parts)}->{result}"
    return _by_constant(summed, (("factor", pairs(operands[1], call)), ("equation", written)), activations[0])


def pairs(constant: Tensor, call: Call) -> Tensor:
    """Write complex numbers as pairs of real ones along a new last axis, in the graph's type."""
    constant = constant.resolve_conj() if constant.is_complex() else constant.to(torch.complex128)
    return torch.view_as_real(constant).to(call.dtype).contiguous()


def times(x: Tensor, factor: Tensor) -> Tensor:
    """Multiply by complex numbers that are written as pairs."""
    return x * torch.view_as_complex(factor)


def times_matrix(x: Tensor, matrix: Tensor, first: bool) -> Tensor:
    """Multiply with a complex matrix; `first` says that the matrix is the first factor."""
    matrix = torch.view_as_complex(matrix)
    x = x.to(matrix.dtype)
    return matrix @ x if first else x @ matrix


def summed(x: Tensor, factor: Tensor, equation: str) -> Tensor:
    """Give an Einstein sum with complex numbers that are written as pairs."""
    factor = torch.view_as_complex(factor)
    return torch.einsum(equation, x.to(factor.dtype), factor)


def with_imaginary(x: Tensor) -> Tensor:
    """Write real numbers as complex ones."""
    return torch.complex(x, torch.zeros_like(x))


def transform(call: Call) -> Converted:
    """Convert a Fourier transform, which is linear, along axes that it names."""
    axes = call["dim"]
    if axes is None or sample_axis(call.shape()) in [a % len(call.shape()) for a in _listed(axes)]:
        raise NoRule("it works along the samples, which must stay apart")
    return homogeneous("Fourier transform")(call)


def _listed(axes: Any) -> list[int]:
    return list(axes) if isinstance(axes, (list, tuple)) else [axes]


def to_complex(call: Call) -> Converted:
    """Convert a cast of real numbers to complex ones."""
    node = call.activation("self")
    if is_complex(node):
        return Alias(node)
    return Chain((Homogeneous(with_imaginary, (("x", Place(0)),), "as complex numbers"),), (node,))


def of_parts(call: Call) -> Converted:
    """Convert ``torch.complex`` of two activations."""
    if not all(isinstance(call[name], fx.Node) for name in ("real", "imag")):
        raise NoRule("of a constant part it has no rule; add 1j times the other to it")
    arguments, inputs = places(call)
    return Chain((Homogeneous(call.function, arguments, "as complex numbers"),), inputs)


_TRANSFORMS = (
    aten.fft_rfft.default, aten.fft_fft.default, aten.fft_ifft.default, aten.fft_hfft.default,
    aten.fft_ihfft.default, aten.fft_rfft2.default, aten.fft_irfft2.default, aten.fft_fft2.default,
    aten.fft_ifft2.default, aten.fft_rfftn.default, aten.fft_irfftn.default, aten.fft_fftn.default,
    aten.fft_ifftn.default,
)  # fmt: skip
CONVERTERS: Converters = MappingProxyType(
    {
        **dict.fromkeys(_TRANSFORMS, transform),
        aten.stft.default: homogeneous("Fourier transforms of pieces"),
        aten._conj.default: homogeneous("conjugate"),
        aten.conj_physical.default: homogeneous("conjugate"),
        aten.view_as_complex.default: homogeneous("as complex numbers"),
        aten.complex.default: of_parts,
    }
)
