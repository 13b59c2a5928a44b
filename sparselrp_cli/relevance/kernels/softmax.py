"""Compiled passes back through a softmax along the last axis: (rows, entries)."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from sparselrp_cli.relevance.kernels.compiling import PIECE, compiled

Numbers = npt.NDArray[Any]

_LANES = 8
"""Sums side by side: one would wait for itself."""


@compiled(parallel=False)
def _dot(s: Numbers, c: Numbers) -> float:
    sums = np.zeros(_LANES)
    whole = s.shape[0] // _LANES * _LANES
    for i in range(0, whole, _LANES):
        for k in range(_LANES):
            sums[k] += s[i + k] * c[i + k]
    for i in range(whole, s.shape[0]):
        sums[0] += s[i] * c[i]
    return float(sums.sum())


@compiled(parallel=True)
def pull(s: Numbers, c: Numbers, found: Numbers) -> None:
    """Carry multipliers through ``s = softmax(x)``: ``s (c - sum s c)``, row by row."""
    height = max(1, PIECE // max(1, s.shape[1]))
    for piece in prange((s.shape[0] + height - 1) // height):
        for row in range(piece * height, min(s.shape[0], (piece + 1) * height)):
            mean = s.dtype.type(_dot(s[row], c[row]))
            of_s, of_c, of_found = s[row], c[row], found[row]
            for i in range(of_s.shape[0]):
                of_found[i] = of_s[i] * (of_c[i] - mean)


@compiled(parallel=False)
def _constant(x: Numbers, s: Numbers, c: Numbers) -> float:
    """Give ``sum c (s - J x)``; an entry without a share has no part in it, even where x is infinite."""
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
    return float((1 + sums[1].sum()) * sums[0].sum() - sums[2].sum())


@compiled(parallel=True)
def constants(x: Numbers, s: Numbers, c: Numbers, found: Numbers) -> None:
    """Give what the constant of the softmax's expansion at `x` absorbs in each row: (rows,)."""
    height = max(1, PIECE // max(1, s.shape[1]))
    for piece in prange((s.shape[0] + height - 1) // height):
        for row in range(piece * height, min(s.shape[0], (piece + 1) * height)):
            found[row] = _constant(x[row], s[row], c[row])
