"""Sharing of a layer's relevance for GPUs (Triton): one pass over the output where torch makes about fifteen.

Each program takes a piece of one sample and writes down what biases and stabilisers take of it, in float64.
The pieces are added up in one order, so that the same values give the same bits. Float64 is computed in
float64, everything else in float32 with each operation rounded as torch rounds it.

No other module imports triton, which isn't everywhere: import this one where there is a GPU.
"""

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from sparselrp_cli.relevance.kernels.channels import Channels

_PIECE = tl.constexpr(1024)


def share(
    c: Tensor, z: Tensor, denominator: Tensor, bias: Tensor | None, channels: Channels, epsilon: float,
    factor: float, output: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Divide relevance ``factor c z`` by stabilised denominators; see `kernels.share_rows`.

    Parameters
    ----------
    c, z, denominator : Tensor, shape (N, neurons)
        Contiguous, on a GPU.
    bias : Tensor, shape (channels,), or None
    channels : Channels
    epsilon, factor : float
    output : int
        Outputs of which sign: 0 any, 1 non-negative, 2 negative.

    Returns
    -------
    shares : Tensor, shape (N, neurons)
    taken : Tensor of float64, shape (N, 2)
        By biases, by stabilisers.
    """
    shares = torch.empty_like(c)
    taken, grid = _books(c, 2)
    with torch.cuda.device_of(c):
        _share[grid](
            c, z, denominator, c if bias is None else bias, shares, taken, *_geometry(c, channels),
            _bits(epsilon), _bits(factor), output=output, has_bias=bias is not None, **_options(c),
        )  # fmt: skip
    return shares, taken.sum(1)


def share_favoured(
    c: Tensor, z: Tensor, magnitude: Tensor, bias: Tensor | None, bias_magnitude: Tensor | None,
    channels: Channels, epsilon: float, scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Divide relevance ``c z`` by ``scale z + sign(z) magnitude``; see `kernels.share_favoured_rows`.

    Parameters are as for `share`.

    Returns
    -------
    shares, signed : Tensor, shape (N, neurons)
        `signed` are the shares times the signs of their outputs.
    taken : Tensor of float64, shape (N, 2)
    """
    shares, signed = torch.empty_like(c), torch.empty_like(c)
    taken, grid = _books(c, 2)
    has_bias = bias is not None and bias_magnitude is not None
    with torch.cuda.device_of(c):
        _share_favoured[grid](
            c, z, magnitude, bias if has_bias else c, bias_magnitude if has_bias else c, shares, signed,
            taken, *_geometry(c, channels), _bits(epsilon), _bits(scale), has_bias=has_bias, **_options(c),
        )  # fmt: skip
    return shares, signed, taken.sum(1)


def share_masked(
    c: Tensor, z: Tensor, inner: Tensor, least: Tensor | None, epsilon: float, factor: float, output: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Divide relevance by masked denominators, but for those that cancel; see `kernels.share_masked_rows`.

    Parameters are as for `share`.

    Returns
    -------
    shares, fallen : Tensor, shape (N, neurons)
    taken : Tensor of float64, shape (N, 3)
        By stabilisers; how many fell back, and their relevance in magnitude.
    """
    shares, fallen = torch.empty_like(c), torch.empty_like(c)
    taken, grid = _books(c, 3)
    with torch.cuda.device_of(c):
        _share_masked[grid](
            c, z, inner, c if least is None else least, shares, fallen, taken, c.shape[1], _bits(epsilon),
            _bits(factor), output=output, has_least=least is not None, **_options(c),
        )  # fmt: skip
    return shares, fallen, taken.sum(1)


def _books(c: Tensor, kinds: int) -> tuple[Tensor, tuple[int, int]]:
    """Make room for what each piece books, (N, pieces, kinds), and give the grid of programs."""
    n, m = c.shape
    pieces = triton.cdiv(m, _PIECE.value)
    return torch.empty(n, pieces, kinds, dtype=torch.float64, device=c.device), (pieces, n)


def _geometry(c: Tensor, channels: Channels) -> tuple[int, int, int]:
    return c.shape[1], channels.inner, channels.count


def _options(c: Tensor) -> dict[str, bool]:
    """Give what the kernels are compiled for; rounded as written, nothing is fused."""
    return {"is_double": c.dtype == torch.float64, "enable_fp_fusion": False}


def _bits(number: float) -> int:
    """Give the bits of a float64: numbers are passed to kernels as float32, but for integers."""
    return int(np.float64(number).view(np.int64))


@triton.jit
def _number(bits, is_double: tl.constexpr):
    """Turn the bits of a float64 into a number of the type that is computed in."""
    number = bits.to(tl.int64).to(tl.float64, bitcast=True)
    if not is_double:
        number = number.to(tl.float32)
    return number


@triton.jit
def _place(m):
    """Say which numbers of a sample are this program's, where they lie, and whether there are any."""
    column = tl.program_id(0) * _PIECE + tl.arange(0, _PIECE)
    return column, tl.program_id(1).to(tl.int64) * m + column, column < m


@triton.jit
def _read(values, at, inside, is_double: tl.constexpr):
    """Load numbers in the type that is computed in; 0 where there are none."""
    read = tl.load(values + at, mask=inside, other=0.0)
    if not is_double:
        read = read.to(tl.float32)
    return read


@triton.jit
def _sign(values, is_double: tl.constexpr):
    """Give 1 or -1; the sign of a zero counts."""
    if is_double:
        is_negative = values.to(tl.int64, bitcast=True) < 0
    else:
        is_negative = values.to(tl.int32, bitcast=True) < 0
    one = tl.full(values.shape, 1.0, values.dtype)
    return tl.where(is_negative, -one, one)


@triton.jit
def _divided(over, under, is_double: tl.constexpr):
    """Divide as IEEE 754 rounds; by default a GPU's float32 doesn't."""
    return over / under if is_double else tl.div_rn(over, under)


@triton.jit
def _distributed(c, z, factor, output: tl.constexpr):
    """Give the relevance of outputs that a branch distributes."""
    relevance = factor * (c * z)
    if output == 1:
        relevance = tl.where(z < 0, 0.0, relevance)
    if output == 2:
        relevance = tl.where(z < 0, relevance, 0.0)
    return relevance


@triton.jit
def _of_channel(values, column, inside, inner, channels, is_double: tl.constexpr):
    """Load what belongs to the channel of each number."""
    return _read(values, (column // inner) % channels, inside, is_double)


@triton.jit
def _book(taken, kinds: tl.constexpr, kind: tl.constexpr, values):
    """Write down the sum of this program's numbers."""
    piece = tl.program_id(1).to(tl.int64) * tl.num_programs(0) + tl.program_id(0)
    tl.store(taken + kinds * piece + kind, tl.sum(values.to(tl.float64), axis=0))


@triton.jit
def _write(into, at, values, inside):
    tl.store(into + at, values.to(into.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["epsilon", "factor"])
def _share(
    c, z, denominator, bias, shares, taken, m, inner, channels, epsilon, factor,
    output: tl.constexpr, has_bias: tl.constexpr, is_double: tl.constexpr,
):  # fmt: skip
    column, at, inside = _place(m)
    under = _read(denominator, at, inside, is_double)
    relevance = _distributed(
        _read(c, at, inside, is_double), _read(z, at, inside, is_double), _number(factor, is_double), output
    )
    signed = _sign(under, is_double) * _number(epsilon, is_double)
    share = _divided(relevance, under + signed, is_double)
    stabilised = tl.where(under == 0, relevance, share * signed)
    share = tl.where(under == 0, 0.0, share)
    _write(shares, at, share, inside)
    to_bias = tl.zeros_like(share)
    if has_bias:
        to_bias = share * _of_channel(bias, column, inside, inner, channels, is_double)
    _book(taken, 2, 0, to_bias)
    _book(taken, 2, 1, stabilised)


@triton.jit(do_not_specialize=["epsilon", "scale"])
def _share_favoured(
    c, z, magnitude, bias, bias_magnitude, shares, signed, taken, m, inner, channels, epsilon, scale,
    has_bias: tl.constexpr, is_double: tl.constexpr,
):  # fmt: skip
    column, at, inside = _place(m)
    output = _read(z, at, inside, is_double)
    sign = _sign(output, is_double)
    under = _number(scale, is_double) * output + sign * _read(magnitude, at, inside, is_double)
    relevance = _read(c, at, inside, is_double) * output
    stabiliser = sign * _number(epsilon, is_double)
    share = _divided(relevance, under + stabiliser, is_double)
    stabilised = tl.where(under == 0, relevance, share * stabiliser)
    share = tl.where(under == 0, 0.0, share)
    _write(shares, at, share, inside)
    _write(signed, at, share * sign, inside)
    to_bias = tl.zeros_like(share)
    if has_bias:
        plain = _of_channel(bias, column, inside, inner, channels, is_double)
        to_bias = share * (
            plain + sign * _of_channel(bias_magnitude, column, inside, inner, channels, is_double)
        )
    _book(taken, 2, 0, to_bias)
    _book(taken, 2, 1, stabilised)


@triton.jit(do_not_specialize=["epsilon", "factor"])
def _share_masked(
    c, z, denominator, least, shares, fallen, taken, m, epsilon, factor,
    output: tl.constexpr, has_least: tl.constexpr, is_double: tl.constexpr,
):  # fmt: skip
    _column, at, inside = _place(m)
    under = _read(denominator, at, inside, is_double)
    multiplier = _read(c, at, inside, is_double)
    relevance = _distributed(multiplier, _read(z, at, inside, is_double), _number(factor, is_double), output)
    falls = under == 0
    if has_least:
        falls = falls | (tl.abs(under) < _read(least, at, inside, is_double))
    signed = _sign(under, is_double) * _number(epsilon, is_double)
    share = tl.where(falls, 0.0, _divided(relevance, under + signed, is_double))
    gone = falls & (relevance != 0)
    _write(shares, at, share, inside)
    _write(fallen, at, tl.where(gone, multiplier, 0.0), inside)
    _book(taken, 3, 0, share * signed)
    _book(taken, 3, 1, tl.where(gone, 1.0, 0.0))
    _book(taken, 3, 2, tl.where(falls, tl.abs(relevance), 0.0))
