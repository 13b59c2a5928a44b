"""Compiled passes through a softmax along the last axis, and back: (rows, entries)."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from sparselrp_cli.relevance.kernels.compiling import PIECE, compiled, part

Numbers = npt.NDArray[Any]

_LANES = 8
"""Sums side by side: one would wait for itself."""
SHORT = 32
"""Entries below which a row is computed one entry after the other."""


@part
def _softmax(x: Numbers, s: Numbers) -> None:
    """Compute rows; indices, not views of rows, as a view costs more than two entries."""
    for row in range(x.shape[0]):
        largest = x[row, 0]
        for i in range(1, x.shape[1]):
            largest = max(largest, x[row, i])
        total = x.dtype.type(0)
        for i in range(x.shape[1]):
            s[row, i] = np.exp(x[row, i] - largest)
            total += s[row, i]
        for i in range(x.shape[1]):
            s[row, i] /= total


@compiled
def softmax(x: Numbers, s: Numbers) -> None:
    """Compute the softmax of short rows, for which torch takes ten times as long as for long ones."""
    height = max(1, PIECE // max(1, x.shape[1]))
    for piece in prange((x.shape[0] + height - 1) // height):
        start, end = piece * height, min(x.shape[0], (piece + 1) * height)
        _softmax(x[start:end], s[start:end])


@part
def _pull_short(s: Numbers, c: Numbers, found: Numbers) -> None:
    for row in range(s.shape[0]):
        mean = s.dtype.type(0)
        for i in range(s.shape[1]):
            mean += s[row, i] * c[row, i]
        for i in range(s.shape[1]):
            found[row, i] = s[row, i] * (c[row, i] - mean)


@part
def _dot(s: Numbers, c: Numbers) -> float:
    sums = np.zeros(_LANES)
    whole = s.shape[0] // _LANES * _LANES
    for i in range(0, whole, _LANES):
        for k in range(_LANES):
            sums[k] += s[i + k] * c[i + k]
    for i in range(whole, s.shape[0]):
        sums[0] += s[i] * c[i]
    total = 0.0
    for k in range(_LANES):
        total += sums[k]
    return total


@part
def _pull_long(s: Numbers, c: Numbers, found: Numbers) -> None:
    for row in range(s.shape[0]):
        mean = s.dtype.type(_dot(s[row], c[row]))
        of_s, of_c, of_found = s[row], c[row], found[row]
        for i in range(of_s.shape[0]):
            of_found[i] = of_s[i] * (of_c[i] - mean)


@compiled
def pull(s: Numbers, c: Numbers, found: Numbers) -> None:
    """Carry multipliers through ``s = softmax(x)``: ``s (c - sum s c)``, row by row."""
    height = max(1, PIECE // max(1, s.shape[1]))
    for piece in prange((s.shape[0] + height - 1) // height):
        start, end = piece * height, min(s.shape[0], (piece + 1) * height)
        if s.shape[1] < SHORT:
            _pull_short(s[start:end], c[start:end], found[start:end])
        else:
            _pull_long(s[start:end], c[start:end], found[start:end])


@part
def _constants_short(x: Numbers, s: Numbers, c: Numbers, found: Numbers) -> None:
    for row in range(s.shape[0]):
        one, two, three = 0.0, 0.0, 0.0
        for i in range(s.shape[1]):
            share = s[row, i]
            weighed = share * c[row, i]
            place = x[row, i] if share != 0 else share
            one += weighed
            two += share * place
            three += weighed * place
        found[row] = (1 + two) * one - three


@part
def _constant(x: Numbers, s: Numbers, c: Numbers) -> float:
    sums = np.zeros((3, _LANES))
    whole = s.shape[0] // _LANES * _LANES
    for i in range(0, s.shape[0], _LANES):
        for k in range(_LANES if i < whole else s.shape[0] - whole):
            share = s[i + k]
            weighed = share * c[i + k]
            place = x[i + k] if share != 0 else share
            sums[0, k] += weighed
            sums[1, k] += share * place
            sums[2, k] += weighed * place
    one, two, three = 0.0, 0.0, 0.0
    for k in range(_LANES):
        one += sums[0, k]
        two += sums[1, k]
        three += sums[2, k]
    return (1 + two) * one - three


@compiled
def constants(x: Numbers, s: Numbers, c: Numbers, found: Numbers) -> None:
    """Give what the constant of the softmax's expansion at `x` absorbs by row: ``sum c (s - J x)``.

    An entry without a share has no part in it, even where `x` is infinite.
    """
    height = max(1, PIECE // max(1, s.shape[1]))
    for piece in prange((s.shape[0] + height - 1) // height):
        start, end = piece * height, min(s.shape[0], (piece + 1) * height)
        if s.shape[1] < SHORT:
            _constants_short(x[start:end], s[start:end], c[start:end], found[start:end])
        else:
            for row in range(start, end):
                found[row] = _constant(x[row], s[row], c[row])
