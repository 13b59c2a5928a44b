"""Compiled sums that take a sequence's rows to the points of minimal filtering, and products back to rows."""

from typing import Any

import numpy.typing as npt
from numba import prange

from sparselrp_cli.relevance.kernels.compiling import compiled, part

Numbers = npt.NDArray[Any]


@part
def _add(total: Numbers, factor: Any, row: Numbers) -> None:
    for j in range(total.shape[0]):
        total[j] += factor * row[j]


@compiled
def to_points(x: Numbers, firsts: Numbers, dilation: int, factors: Numbers, points: Numbers) -> None:
    """Take each set's rows of `x` to its points.

    Parameters
    ----------
    x : array, shape (rows, channels)
        What lies outside counts as zeros.
    firsts : array of int64, shape (sets,)
        The first row of each set; the others follow at steps of `dilation`.
    factors : array, shape (points, rows of a set)
    points : array, shape (points, sets or more, channels)
        Is filled.
    """
    for i in prange(firsts.shape[0]):
        for p in range(factors.shape[0]):
            total = points[p, i]
            for j in range(total.shape[0]):
                total[j] = 0
            for k in range(factors.shape[1]):
                row = firsts[i] + k * dilation
                if factors[p, k] != 0 and row >= 0 and row < x.shape[0]:
                    _add(total, factors[p, k], x[row])


@compiled
def from_points(
    products: Numbers, firsts: Numbers, dilation: int, factors: Numbers, bias: Numbers, found: Numbers
) -> None:
    """Bring each set's products to the rows that it makes.

    Parameters
    ----------
    products : array, shape (points, sets or more, channels)
    firsts : array of int64, shape (sets,)
        The first row that each set makes.
    factors : array, shape (rows of a set, points)
    bias : array, shape (channels,)
    found : array, shape (rows, channels)
        Is filled; what would lie behind it is left out.
    """
    for i in prange(firsts.shape[0]):
        for k in range(factors.shape[0]):
            row = firsts[i] + k * dilation
            if row >= found.shape[0]:
                break
            total = found[row]
            for j in range(total.shape[0]):
                total[j] = bias[j]
            for p in range(factors.shape[1]):
                if factors[k, p] != 0:
                    _add(total, factors[k, p], products[p, i])


@compiled
def clear(flags: Numbers, width: int, dilation: int, padding: int, bias: Numbers, found: Numbers) -> None:
    """Set rows of a convolution that read none of the flagged rows to what they are: the bias."""
    for i in prange(found.shape[0]):
        reads = False
        for k in range(width):
            row = i - padding + k * dilation
            reads |= row >= 0 and row < flags.shape[0] and flags[row]
        if not reads:
            for j in range(bias.shape[0]):
                found[i, j] = bias[j]
