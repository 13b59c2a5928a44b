"""Compiled max pooling along a sequence, (N, positions, channels): the winners, and what they are given."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from sparselrp_cli.relevance.kernels.compiling import PIECE, compiled, part

Numbers = npt.NDArray[Any]

_LANES = 64
"""Channels that one thread works on at a time where windows may overlap."""
FEW = 16
"""Channels from which on a pass that takes many at a time pays."""


@part
def _largest(x: Numbers, begin: int, width: int, dilation: int, y: Numbers, first: Numbers) -> None:
    """Find the largest number of one window, channel by channel, and its place; the last NaN if there is one.

    Places have the width of single floats, or the loop would take ten times as long.
    """
    for j in range(y.shape[0]):
        y[j] = -np.inf
        first[j] = np.int32(max(0, begin))
    for tap in range(width):
        place = np.int32(begin + tap * dilation)
        if place < 0 or place >= x.shape[0]:
            continue
        numbers = x[place]
        for j in range(y.shape[0]):
            number = numbers[j]
            larger = (number > y[j]) | (number != number)
            y[j] = number if larger else y[j]
            first[j] = place if larger else first[j]


@part
def _first(
    x: Numbers, begin: int, width: int, dilation: int, tolerance: Any, y: Numbers, first: Numbers
) -> None:
    """Find the first place of one window whose number equals the largest to within the tolerance."""
    for tap in range(width - 1, -1, -1):
        place = np.int32(begin + tap * dilation)
        if place < 0 or place >= x.shape[0]:
            continue
        numbers = x[place]
        for j in range(y.shape[0]):
            first[j] = place if numbers[j] >= y[j] - abs(y[j]) * tolerance else first[j]


@compiled
def winners(
    x: Numbers,
    width: int,
    stride: int,
    padding: int,
    dilation: int,
    tolerance: Any,
    y: Numbers,
    first: Numbers,
) -> None:
    """Find the largest number `y` of each window, and the `first` place that equals it.

    `tolerance` is of the numbers' type. Both are (N, windows, channels), places int32.
    """
    n, count, channels = y.shape
    size = max(1, PIECE // max(1, width * channels))
    pieces = (count + size - 1) // size
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        for i in range(piece * size, min(count, (piece + 1) * size)):
            begin = i * stride - padding
            of_y, of_first = y[sample, i], first[sample, i]
            _largest(x[sample], begin, width, dilation, of_y, of_first)
            _first(x[sample], begin, width, dilation, tolerance, of_y, of_first)


@part
def _give_window(
    c: Numbers, x: Numbers, begin: int, width: int, y: Numbers, first: Numbers, total: Numbers
) -> None:
    """Give the winners of one window its multiplier, and 0 to the other places."""
    nothing, whole = x.dtype.type(0), x.dtype.type(1)
    for tap in range(width):
        place = np.int32(begin + tap)
        if place < 0 or place >= x.shape[0]:
            continue
        numbers, given = x[place], total[place]
        for j in range(y.shape[0]):
            quotient = y[j] / numbers[j]
            share = whole if numbers[j] == y[j] else quotient
            given[j] = nothing + c[j] * share if first[j] == place else nothing


@compiled
def give_apart(
    c: Numbers, x: Numbers, y: Numbers, first: Numbers, width: int, stride: int, padding: int, total: Numbers
) -> None:
    """Give each winner its window's multiplier, as `give` does, where windows neither overlap nor have gaps.

    Each place is written once, many channels at a time.
    """
    n, count, channels = y.shape
    size = max(1, PIECE // max(1, stride * channels))
    pieces = (count + size - 1) // size
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        of_x, of_total = x[sample], total[sample]
        for i in range(piece * size, min(count, (piece + 1) * size)):
            begin = i * stride - padding
            _give_window(c[sample, i], of_x, begin, width, y[sample, i], first[sample, i], of_total)
            end = min(begin + stride, x.shape[1]) if i < count - 1 else x.shape[1]
            of_total[begin + width : end] = 0


@compiled
def give(c: Numbers, x: Numbers, y: Numbers, first: Numbers, total: Numbers) -> None:
    """Give each winner its window's multiplier, scaled so that it takes what the largest number would.

    Added in the order of the windows, whatever the number of threads.
    """
    n, channels = x.shape[0], x.shape[2]
    whole = x.dtype.type(1)
    pieces = (channels + _LANES - 1) // _LANES
    for task in prange(n * pieces):
        sample, start = task // pieces, task % pieces * _LANES
        end = min(channels, start + _LANES)
        for place in range(x.shape[1]):
            total[sample, place, start:end] = 0
        for i in range(y.shape[1]):
            for j in range(start, end):
                place = first[sample, i, j]
                winner, largest = x[sample, place, j], y[sample, i, j]
                share = whole if winner == largest else largest / winner
                total[sample, place, j] += c[sample, i, j] * share
