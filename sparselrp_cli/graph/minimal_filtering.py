"""Transposed convolutions of many channels by minimal filtering: fewer products for the same numbers.

Four positions of a filter of width r come of r + 3 products a pair of channels, where 4 r would be needed
(Winograd 1980, Arithmetic Complexity of Computations; Lavin and Gray 2016, CVPR). Filter and values are taken
at r + 3 points of their polynomials, multiplied there, and brought back. In float32 rounding costs 1e-6 of a
typical number, and torch's own convolution 2e-7 to 7e-7; see tests/graph/test_minimal_filtering.py.
"""

from fractions import Fraction
from functools import cache

import torch
from torch import Tensor

WIDTHS = (3, 4, 5)
CHANNELS = 256
"""Of input and output, from which on it pays."""
_AT_ONCE = 4
"""Positions that come of one set of products."""
_SETS = 512
"""Sets that are computed at once, so that what is made on the way stays small."""
_POINTS = (0, 1, -1, Fraction(1, 2), Fraction(-1, 2), 2, -2)

Row = tuple[tuple[int, float], ...]
"""The terms of a sum: which one, and its factor."""


def pays(values: Tensor, weight: Tensor) -> bool:
    """Whether a transposed convolution with stride, dilation and groups of 1 is faster so.

    Parameters
    ----------
    values : Tensor, shape (N, C_out, positions)
    weight : Tensor, shape (C_out, C_in, width)
    """
    of_type = values.device.type == "cpu" and values.dtype == torch.float32
    many = min(weight.shape[:2]) >= CHANNELS and values.shape[2] >= CHANNELS
    return of_type and many and weight.shape[2] in WIDTHS


def transposed(values: Tensor, weight: Tensor, padding: int, length: int) -> Tensor:
    """Compute ``W^T values``, (N, C_in, length), as `torch.nn.functional.conv_transpose1d` does.

    What has no number but 0 to be made of is 0.

    Parameters
    ----------
    values : Tensor, shape (N, C_out, positions)
    weight : Tensor, shape (C_out, C_in, width)
    padding : int
        Of the convolution.
    length : int
        Of its input.
    """
    n, _, positions = values.shape
    width = weight.shape[2]
    filters = _at_points(weight.flip(2))
    sets = -(-length // _AT_ONCE)
    before = width - 1 - padding
    padded = values.new_zeros(n, _AT_ONCE * sets + width - 1, values.shape[1])
    first, last = max(0, before), min(padded.shape[1], before + positions)
    padded[:, first:last] = values.transpose(1, 2)[:, first - before : last - before]
    made = values.new_empty(n, _AT_ONCE * sets, weight.shape[1])
    for sample, found in zip(padded, made, strict=True):
        for start in range(0, sets, _SETS):
            stop = min(start + _SETS, sets)
            part = sample[_AT_ONCE * start : _AT_ONCE * stop + width - 1]
            _filtered(part, filters, found[_AT_ONCE * start : _AT_ONCE * stop])
    reads = (padded != 0).any(2).unfold(1, width, 1).any(2)
    if not bool(reads.all()):
        made.masked_fill_(~reads[:, :, None], 0)
    return made[:, :length].transpose(1, 2)


def _filtered(values: Tensor, filters: Tensor, found: Tensor) -> None:
    """Correlate values, (4 sets + width - 1, C_out), with a filter at points, (points, C_out, C_in)."""
    of_values, of_result = _transforms(len(filters) - _AT_ONCE + 1)
    sets = len(found) // _AT_ONCE
    reach = _AT_ONCE * (sets - 1) + 1
    at_points = torch.stack(
        [_summed([(values[j : j + reach : _AT_ONCE], by) for j, by in row]) for row in of_values]
    )
    products = torch.bmm(at_points, filters)
    for place, row in enumerate(of_result):
        found[place::_AT_ONCE] = _summed([(products[point], by) for point, by in row])


def _summed(terms: list[tuple[Tensor, float]]) -> Tensor:
    (first, by), *others = terms
    total = first * by
    for term, factor in others:
        total.add_(term, alpha=factor)
    return total


def _at_points(weight: Tensor) -> Tensor:
    """Take filters, (C_out, C_in, width), at the points: shape (points, C_out, C_in)."""
    width = weight.shape[2]
    factors = weight.new_tensor([[float(f) for f in row] for row in _filter_factors(width)])
    taken = factors @ weight.permute(2, 0, 1).reshape(width, -1)
    return taken.reshape(len(factors), *weight.shape[:2])


def _powers(length: int, width: int) -> list[list[Fraction]]:
    """Give the powers of each point below `length`; of infinity the highest alone."""
    points = _POINTS[: width + _AT_ONCE - 2]
    rows = [[Fraction(point) ** power for power in range(length)] for point in points]
    return [*rows, [Fraction(power == length - 1) for power in range(length)]]


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Invert a matrix by elimination, exactly."""
    size = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = next(j for j in range(i, size) if rows[j][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(size):
            if j != i and rows[j][i]:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[size:] for row in rows]


@cache
def _scaled(width: int) -> tuple[list[list[Fraction]], list[Fraction]]:
    """Give the factors of values at each point, the largest near 1, and what the filter's take in turn."""
    inverse = _inverse(_powers(width + _AT_ONCE - 1, width))
    of_values = [list(column) for column in zip(*inverse, strict=True)]
    scales = [_power_of_two(max(map(abs, row))) for row in of_values]
    return [[f / s for f in row] for row, s in zip(of_values, scales, strict=True)], scales


def _power_of_two(number: Fraction) -> Fraction:
    """Give the smallest power of two that is no less."""
    power = Fraction(1, 1024)
    while power < number:
        power *= 2
    return power


def _filter_factors(width: int) -> list[list[Fraction]]:
    _, scales = _scaled(width)
    powers = _powers(width, width)
    return [[factor * scale for factor in row] for row, scale in zip(powers, scales, strict=True)]


@cache
def _transforms(width: int) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Give the sums that take values to points, and products to positions."""
    of_values, _ = _scaled(width)
    of_result = zip(*_powers(_AT_ONCE, width), strict=True)
    return tuple(map(_terms, of_values)), tuple(map(_terms, of_result))


def _terms(row: "list[Fraction] | tuple[Fraction, ...]") -> Row:
    return tuple((i, float(factor)) for i, factor in enumerate(row) if factor)
