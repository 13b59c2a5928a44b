"""Selection of what is pruned, for GPUs (Triton): the host never waits; the same values give the same bits.

The bits of a non-negative float32, read as an integer, are ordered as the numbers are. The smallest magnitude
that is kept is found digit by digit, the exponent first: one pass over the neurons adds up the relevance of
every bucket, and a small kernel finds the bucket in which pruning ends. Magnitudes in one bucket share their
exponent, so that their sum is an integer times a power of two: it is exact, in whatever order threads come
(int64 atomics), and float64 rounds only where buckets are added. What equals the smallest magnitude to within
the tolerance is kept as well; one more pass adds up what is left to be pruned.

No other module imports triton, which isn't everywhere: import this one where there is a GPU.
"""

from dataclasses import dataclass

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

# Where each digit of a magnitude's 31 bits begins, and how wide it is. The first is the exponent.
_EXPONENT = tl.constexpr(23)
_DIGITS = ((23, 8), (15, 8), (7, 8), (0, 7))
_BUCKETS = tl.constexpr(256)
# Histograms of a sample that pieces take in turn, so that not all threads wait for the same few numbers.
_COPIES = tl.constexpr(8)
_PIECE = tl.constexpr(1024)


@dataclass(frozen=True, slots=True, eq=False)
class Survivors:
    """What pruning leaves of a layer (PLRP-lambda).

    Attributes
    ----------
    multiplier : Tensor, shape (N, neurons)
        Scaled to the mass of each sign where kept, 0 where pruned.
    kept : Tensor of int64, shape (N,)
        Number of neurons.
    found : Tensor of float64, shape (N, 2, 3)
        As `thresholds` gives it.
    """

    multiplier: Tensor
    kept: Tensor
    found: Tensor


def thresholds(relevance: Tensor, positive: float, negative: float, ties: float, sums: float) -> Tensor:
    """Find what is pruned of some relevance, per sample and sign, by the definition in `pruning.kept`.

    Parameters
    ----------
    relevance : Tensor, shape (N, neurons)
        Float32 or bfloat16, on a GPU; at most 65,535 samples of less than 2**29 neurons. Denormal numbers
        count like any other.
    positive, negative : float
        Proportions of the mass, in [0, 1).
    ties, sums : float
        Relative tolerances in which magnitudes, and a running sum and its limit, count as equal; `ties` is
        below 1/2.

    Returns
    -------
    Tensor of float64, shape (N, 2, 3)
        For + and -: the largest magnitude that is pruned (0 if none), the mass, and the mass pruned. The
        masses of a sign that has infinities or NaNs are NaN.

    Raises
    ------
    TypeError
        If the relevance is of another type.
    """
    return _prune(relevance, None, (positive, negative), ties, sums).found


def prune_lambda(
    activation: Tensor, multiplier: Tensor, positive: float, negative: float, ties: float, sums: float
) -> Survivors:
    """Prune relevance ``activation * multiplier``, and scale the survivors of each sign to its mass.

    The product is rounded to float32 as torch rounds it; a denormal product is kept as it is. Products of
    bfloat16 aren't rounded to bfloat16.

    Parameters
    ----------
    activation, multiplier : Tensor, shape (N, neurons)
        As for `thresholds`, and so are the proportions and tolerances.

    Raises
    ------
    TypeError
        If one of them is of another type.
    """
    return _prune(activation, multiplier, (positive, negative), ties, sums)


def _prune(
    activation: Tensor, multiplier: Tensor | None, shares: tuple[float, float], ties: float, sums: float
) -> Survivors:
    """Launch the kernels. Without a multiplier the activation is the relevance, and nothing is scaled."""
    a = _checked(activation)
    c = a if multiplier is None else _checked(multiplier)
    n, m = a.shape
    passes, copies, buckets = len(_DIGITS) + 1, _COPIES.value, _BUCKETS.value
    histograms = torch.zeros(passes, n, copies, 2, buckets, dtype=torch.int64, device=a.device)
    smallest_kept = torch.zeros(n, 2, dtype=torch.int32, device=a.device)
    found = torch.zeros(n, 2, 3, dtype=torch.float64, device=a.device)
    kept = torch.zeros(n, dtype=torch.int64, device=a.device)
    scaled = c if multiplier is None else torch.empty_like(c)
    # A number is passed to a kernel as float32, but for integers.
    proportions = [_bits(p * (1 + sums)) for p in shares]
    pieces = (triton.cdiv(m, _PIECE.value), n)
    # Rounded as written: a product isn't fused with an addition.
    options = {"is_product": multiplier is not None, "enable_fp_fusion": False}
    with torch.cuda.device_of(a):
        for histogram, (shift, width) in zip(histograms[:-1], _DIGITS, strict=True):
            _add_up[pieces](a, c, smallest_kept, histogram, m, shift, width, **options)
            _choose[(2 * n,)](histogram, smallest_kept, found, *proportions, shift, enable_fp_fusion=False)
        _lower[(2 * n,)](smallest_kept, _bits(1 - ties), enable_fp_fusion=False)
        _add_up_pruned[pieces](a, c, smallest_kept, histograms[-1], m, **options)
        _settle[(2 * n,)](histograms[-1], found, enable_fp_fusion=False)
        _apply[pieces](a, c, smallest_kept, found, found.view(torch.int64), scaled, kept, m, **options)
    return Survivors(scaled, kept, found)


def _bits(number: float) -> int:
    """Give the bits of a float64."""
    return int(np.float64(number).view(np.int64))


def _checked(values: Tensor) -> Tensor:
    """Lay values out in C order."""
    if values.dtype not in (torch.float32, torch.bfloat16):
        raise TypeError(f"the selection on GPUs takes float32 or bfloat16, not {values.dtype}")
    return values.contiguous()


@triton.jit
def _place(m):
    """Say which numbers are this program's, and whether there are any."""
    column = tl.program_id(0) * _PIECE + tl.arange(0, _PIECE)
    return tl.program_id(1).to(tl.int64) * m + column, column < m


@triton.jit
def _relevance(a, c, m, is_product: tl.constexpr):
    """Load relevance: the bits of its magnitude (0 where there is none), and whether it is negative."""
    at, inside = _place(m)
    r = tl.load(a + at, mask=inside, other=0.0).to(tl.float32)
    if is_product:
        r *= tl.load(c + at, mask=inside, other=0.0).to(tl.float32)
    bits = r.to(tl.int32, bitcast=True)
    return bits & 0x7FFFFFFF, bits < 0


@triton.jit
def _count(magnitude, is_negative, bucket, is_counted, histogram):
    """Add magnitudes to the buckets of their sign, in units of their last place."""
    # Below the smallest exponent, numbers have no leading one.
    fraction = magnitude & 0x7FFFFF
    units = tl.where(magnitude == fraction, fraction, fraction | 0x800000)
    copy = tl.program_id(1) * _COPIES + tl.program_id(0) % _COPIES
    into = histogram + (2 * copy + is_negative.to(tl.int32)) * _BUCKETS + bucket
    tl.atomic_add(into, units.to(tl.int64), mask=is_counted, sem="relaxed")


@triton.jit
def _of_sign(is_negative, pairs):
    """Load what a sample has for the sign of each number: `pairs` is (N, 2)."""
    at = pairs + 2 * tl.program_id(1)
    return tl.where(is_negative, tl.load(at + 1), tl.load(at))


@triton.jit
def _units(histogram, row):
    """Load the sums of every bucket of one sample and sign, over all copies."""
    sample, sign = row // 2, row % 2
    bucket = tl.arange(0, _BUCKETS)
    copy = sample * _COPIES + tl.arange(0, _COPIES)
    return tl.sum(tl.load(histogram + (2 * copy[:, None] + sign) * _BUCKETS + bucket[None, :]), axis=0)


@triton.jit
def _masses(units, exponent):
    """Turn units of numbers of one exponent (as it is stored) into mass."""
    exponent = tl.maximum(exponent, 1)
    # The last place of a float32 as a float64: 2 ** (exponent - 150).
    unit = ((exponent - 150 + 1023).to(tl.int64) << 52).to(tl.float64, bitcast=True)
    # What isn't finite must not get lost.
    return tl.where((exponent == 255) & (units > 0), float("nan"), units.to(tl.float64) * unit)


@triton.jit(do_not_specialize=["shift", "width"])
def _add_up(a, c, smallest_kept, histogram, m, shift, width, is_product: tl.constexpr):
    """Add up the relevance of each value of a digit, in units of its last place.

    Only where all digits before are those of `smallest_kept`.
    """
    magnitude, is_negative = _relevance(a, c, m, is_product)
    known = _of_sign(is_negative, smallest_kept)
    is_counted = (magnitude > 0) & ((magnitude >> shift >> width) == (known >> shift >> width))
    _count(magnitude, is_negative, (magnitude >> shift) & ((1 << width) - 1), is_counted, histogram)


@triton.jit
def _add_up_pruned(a, c, smallest_kept, histogram, m, is_product: tl.constexpr):
    """Add up what is smaller than `smallest_kept`, by exponent."""
    magnitude, is_negative = _relevance(a, c, m, is_product)
    is_pruned = (magnitude > 0) & (magnitude < _of_sign(is_negative, smallest_kept))
    _count(magnitude, is_negative, magnitude >> _EXPONENT, is_pruned, histogram)


@triton.jit(do_not_specialize=["positive", "negative", "shift"])
def _choose(histogram, smallest_kept, found, positive, negative, shift):
    """Find the digit with which pruning ends, for one sample and sign; everything under it is pruned.

    The proportions are the bits of a float64.
    """
    row = tl.program_id(0)
    sign = row % 2
    bucket = tl.arange(0, _BUCKETS)
    units = _units(histogram, row)
    known = tl.load(smallest_kept + row)
    masses = _masses(units, (known + (bucket << shift)) >> _EXPONENT)
    mass = tl.where(shift == _EXPONENT, tl.sum(masses, axis=0), tl.load(found + 3 * row + 1))
    pruned = tl.load(found + 3 * row + 2)
    proportion = tl.where(sign == 0, positive.to(tl.int64), negative.to(tl.int64))
    limit = proportion.to(tl.float64, bitcast=True) * mass
    is_over = (units > 0) & (pruned + tl.cumsum(masses, axis=0) > limit)
    # Where rounding has it that everything goes, the largest stays.
    largest = tl.max(tl.where(units > 0, bucket, 0), axis=0)
    chosen = tl.min(tl.where(is_over, bucket, largest), axis=0)
    pruned += tl.sum(tl.where(bucket < chosen, masses, 0.0), axis=0)
    tl.store(smallest_kept + row, known + (chosen << shift))
    tl.store(found + 3 * row + 1, mass)
    tl.store(found + 3 * row + 2, pruned)


@triton.jit(do_not_specialize=["share"])
def _lower(smallest_kept, share):
    """Lower the smallest magnitude to the smallest that equals it; `share` has the bits of 1 - tolerance."""
    at = smallest_kept + tl.program_id(0)
    bits = tl.load(at)
    bound = bits.to(tl.float32, bitcast=True).to(tl.float64) * share.to(tl.int64).to(tl.float64, bitcast=True)
    rounded = bound.to(tl.float32)
    lower = rounded.to(tl.int32, bitcast=True) + (rounded.to(tl.float64) < bound).to(tl.int32)
    tl.store(at, tl.minimum(lower, bits))


@triton.jit
def _settle(histogram, found):
    """Write down the mass that is pruned in the end, for one sample and sign."""
    row = tl.program_id(0)
    masses = _masses(_units(histogram, row), tl.arange(0, _BUCKETS))
    tl.store(found + 3 * row + 2, tl.sum(masses, axis=0))


@triton.jit
def _raise(theta, bits):
    """Raise a threshold (the bits of a float64) to a magnitude (those of a float32)."""
    value = bits.to(tl.float32, bitcast=True).to(tl.float64)
    tl.atomic_max(theta, value.to(tl.int64, bitcast=True), sem="relaxed")


@triton.jit
def _factor(found):
    """Give what survivors of one sign are scaled by."""
    mass, pruned = tl.load(found + 1), tl.load(found + 2)
    return (mass / tl.where(mass == 0, 1.0, mass - pruned)).to(tl.float32)


@triton.jit
def _apply(a, c, smallest_kept, found, thetas, scaled, kept, m, is_product: tl.constexpr):
    """Find the largest magnitudes pruned; where there is a product, scale and count its survivors.

    `thetas` is `found` as integers: magnitudes are ordered as their bits are.
    """
    magnitude, is_negative = _relevance(a, c, m, is_product)
    sample = tl.program_id(1)
    plus, minus = tl.load(smallest_kept + 2 * sample), tl.load(smallest_kept + 2 * sample + 1)
    is_kept = (magnitude > 0) & (magnitude >= tl.where(is_negative, minus, plus))
    pruned = tl.where(is_kept, 0, magnitude)
    _raise(thetas + 6 * sample, tl.max(tl.where(is_negative, 0, pruned), axis=0))
    _raise(thetas + 6 * sample + 3, tl.max(tl.where(is_negative, pruned, 0), axis=0))
    if is_product:
        at, inside = _place(m)
        factor = tl.where(is_negative, _factor(found + 6 * sample + 3), _factor(found + 6 * sample))
        values = tl.load(c + at, mask=inside, other=0.0).to(tl.float32) * factor
        tl.store(scaled + at, tl.where(is_kept, values, 0.0).to(scaled.dtype.element_ty), mask=inside)
        tl.atomic_add(kept + sample, tl.sum(is_kept.to(tl.int64), axis=0), sem="relaxed")
