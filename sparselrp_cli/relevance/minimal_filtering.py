"""Convolutions of many channels by minimal filtering: fewer products for the same numbers.

Four positions of a filter of width r come of r + 3 products a pair of channels, where 4 r would be needed
(Winograd 1980, Arithmetic Complexity of Computations; Lavin and Gray 2016, CVPR). Filter and values are taken
at r + 3 points of their polynomials, multiplied there, and brought back. In float32 rounding costs 1e-6 of a
typical number, and torch's own convolution 2e-7 to 7e-7; see tests/relevance/test_minimal_filtering.py.
"""

import threading
import weakref
from collections.abc import Iterable
from fractions import Fraction
from functools import cache

import torch
from torch import Tensor

from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.kernels.operations import clear_unread, from_points, to_points

WIDTHS = (3, 4, 5)
CHANNELS = 256
"""Of input and output, from which on it pays."""
POSITIONS = 128
"""Of a window, from which on it pays."""
_AT_ONCE = 4
"""Positions that come of one set of products."""
_WASTE = 1.25
"""Times as many positions may be made as there are, where sets hang over."""
_SETS = 128
"""Sets that are computed at once at most, so that what is made on the way stays in the processor's cache."""
_KEPT = 1 << 28
"""Bytes of filters at their points that are kept."""
_POINTS = (0, 1, -1, Fraction(1, 2), Fraction(-1, 2), 2, -2)


def suits(weight: Tensor) -> bool:
    """Whether a weight, (C_out, C_in, width), is one for which it may pay: float32, with many channels."""
    many = min(weight.shape[:2]) >= CHANNELS
    return (
        kernels.is_compiled(weight) and weight.dtype == torch.float32 and many and weight.shape[2] in WIDTHS
    )


def pays(length: int, dilation: int) -> bool:
    """Whether `length` positions are many enough to be made so, and sets of four fill them."""
    return length >= POSITIONS and _AT_ONCE * len(_first_rows(length, dilation)) <= _WASTE * length


def convolved(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, dilation: int = 1,
    *, length: int | None = None, transposed: bool = False,
) -> Tensor:  # fmt: skip
    """Compute what `torch.nn.functional.conv1d` does, or what carries its output back to its input.

    What has no number but 0 to be made of is the bias, exactly.

    Parameters
    ----------
    x : Tensor, shape (N, channels, positions)
    weight : Tensor, shape (C_out, C_in, width)
    bias : Tensor, shape (C_out,), or None
    padding, dilation : int
        Of the convolution.
    length : int, optional
        Of what is computed, where the convolution doesn't say it.
    transposed : bool
        Compute ``W^T x``, as `torch.nn.functional.conv_transpose1d`.

    Returns
    -------
    Tensor, shape (N, channels, length)
        Channels are last in memory.
    """
    width = weight.shape[2]
    reach = dilation * (width - 1)
    before = reach - padding if transposed else padding
    if length is None:
        length = x.shape[2] + 2 * before - reach
    filters = _filters.of(weight, transposed)
    rows = x.movedim(1, -1).contiguous()
    made = x.new_empty(len(x), length, filters.shape[2])
    added = x.new_zeros(filters.shape[2]) if bias is None else bias
    firsts = _first_rows(length, dilation)
    blocks = firsts.chunk(-(-len(firsts) // _SETS)) if len(firsts) else ()
    points = x.new_empty(len(filters), min(_SETS, len(firsts)), rows.shape[2])
    products = x.new_empty(*points.shape[:2], made.shape[2])
    of_values, of_result = _transforms(width, x.dtype)
    for sample, found in zip(rows, made, strict=True):
        for block in blocks:
            to_points(sample, block - before, dilation, of_values, points)
            torch.bmm(points[:, : len(block)], filters, out=products[:, : len(block)])
            from_points(products, block, dilation, of_result, added, found)
        clear_unread(sample, width, dilation, before, added, found)
    return made.movedim(-1, 1)


def _first_rows(length: int, dilation: int) -> Tensor:
    """Give the first row that each set makes: sets of four rows, a dilation apart."""
    starts = torch.arange(0, length, _AT_ONCE * dilation)[:, None] + torch.arange(dilation)
    return starts[starts < length]


class _Filters:
    """Filters at their points, those that were used last."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: dict[tuple[int, bool], tuple[weakref.ref[Tensor], Tensor]] = {}

    def of(self, weight: Tensor, transposed: bool) -> Tensor:
        """Give a weight's filters, (points, channels read, channels made)."""
        key = id(weight), transposed
        with self.lock:
            whose, filters = self.known.pop(key, (None, None))
            if filters is None or whose is None or whose() is not weight:
                filters = _at_points(weight, transposed)
            self.known[key] = weakref.ref(weight), filters
            self._forget()
        return filters

    def _forget(self) -> None:
        """Let go of the oldest, and of those whose weight is gone."""
        self.known = {key: kept for key, kept in self.known.items() if kept[0]() is not None}
        size = sum(filters.nbytes for _, filters in self.known.values())
        for key in [*self.known][:-1]:
            if size <= _KEPT:
                break
            size -= self.known.pop(key)[1].nbytes


_filters = _Filters()


def _at_points(weight: Tensor, transposed: bool) -> Tensor:
    """Take a weight, (C_out, C_in, width), at the points: (points, channels read, channels made)."""
    factors = _tensor(_filter_factors(weight.shape[2]), weight.dtype)
    # What is carried back reads the taps in the other direction.
    read = weight.permute(2, 0, 1) if transposed else weight.permute(2, 1, 0)
    taken = (factors.flip(1) if transposed else factors) @ read.reshape(len(read), -1)
    return taken.reshape(len(factors), *read.shape[1:])


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
def _transforms(width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Give the factors that take values to points, (points, rows), and products to positions, (4, points)."""
    of_values, _ = _scaled(width)
    of_result = zip(*_powers(_AT_ONCE, width), strict=True)
    return _tensor(of_values, dtype), _tensor(of_result, dtype)


def _tensor(rows: Iterable[Iterable[Fraction]], dtype: torch.dtype) -> Tensor:
    return torch.tensor([[float(factor) for factor in row] for row in rows], dtype=dtype)
