"""Compiled passes over a layer's output, (rows, channels): relevance over denominators, and the accounts."""

import numpy as np
from numba import prange

from sparselrp_cli.relevance.kernels.compiling import PIECE, compiled


@compiled(parallel=False)
def _distributed(c, z, factor, output):
    """Give the relevance of one output neuron that a branch distributes."""
    r = factor * (c * z)
    if output == 1 and z < 0:
        r = c * 0
    if output == 2 and z >= 0:
        r = c * 0
    return r


@compiled(parallel=False)
def _share_piece(c, z, d, bias, epsilon, factor, output, shares, sums):
    """Share the relevance of some rows; `sums` (2, channels) collects what biases and stabilisers take."""
    nothing = c.dtype.type(0)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            r = _distributed(c[i, j], z[i, j], factor, output)
            signed = np.copysign(epsilon, d[i, j])
            share = r / (d[i, j] + signed)
            taken = share * signed
            if d[i, j] == 0:
                share = nothing
                taken = r
            shares[i, j] = share
            sums[0, j] += share * bias[j]
            sums[1, j] += taken


@compiled(parallel=False)
def _cut(firsts, channels):
    """Say how many rows make a piece, and how many pieces the longest sample has."""
    height = max(1, PIECE // max(1, channels))
    longest = 0
    for sample in range(firsts.shape[0] - 1):
        longest = max(longest, firsts[sample + 1] - firsts[sample])
    return height, max(1, (longest + height - 1) // height)


@compiled(parallel=True)
def share(c, z, d, bias, epsilon, factor, output, firsts):
    """Divide relevance by stabilised denominators; see `kernels.share_rows`. All are (rows, channels).

    Also give what biases and stabilisers take, (N, 2).
    """
    n, channels = firsts.shape[0] - 1, c.shape[1]
    height, pieces = _cut(firsts, channels)
    shares = np.empty_like(c)
    taken = np.zeros((n, pieces, 2))
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        start = firsts[sample] + piece * height
        end = min(firsts[sample + 1], start + height)
        if start < end:
            sums = np.zeros((2, channels))
            _share_piece(
                c[start:end], z[start:end], d[start:end], bias, epsilon, factor, output,
                shares[start:end], sums,
            )  # fmt: skip
            taken[sample, piece, 0] = sums[0].sum()
            taken[sample, piece, 1] = sums[1].sum()
    return shares, taken.sum(1)


@compiled(parallel=False)
def _share_favoured_piece(c, z, magnitude, scale, bias, bias_magnitude, epsilon, shares, signed, sums):
    """Share the relevance of some rows over denominators of their outputs' signs."""
    nothing = c.dtype.type(0)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            r = c[i, j] * z[i, j]
            sign = np.copysign(c.dtype.type(1), z[i, j])
            d = scale * z[i, j] + sign * magnitude[i, j]
            share = r / (d + sign * epsilon)
            taken = share * sign * epsilon
            if d == 0:
                share = nothing
                taken = r
            shares[i, j] = share
            signed[i, j] = share * sign
            sums[0, j] += share * (bias[j] + sign * bias_magnitude[j])
            sums[1, j] += taken


@compiled(parallel=True)
def share_favoured(c, z, magnitude, scale, bias, bias_magnitude, epsilon, firsts):
    """Divide relevance by stabilised denominators; see `kernels.share_favoured_rows`.

    Also give the shares times the signs of their outputs, and what biases and stabilisers take, (N, 2).
    """
    n, channels = firsts.shape[0] - 1, c.shape[1]
    height, pieces = _cut(firsts, channels)
    shares = np.empty_like(c)
    signed = np.empty_like(c)
    taken = np.zeros((n, pieces, 2))
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        start = firsts[sample] + piece * height
        end = min(firsts[sample + 1], start + height)
        if start < end:
            sums = np.zeros((2, channels))
            _share_favoured_piece(
                c[start:end], z[start:end], magnitude[start:end], scale, bias, bias_magnitude, epsilon,
                shares[start:end], signed[start:end], sums,
            )  # fmt: skip
            taken[sample, piece, 0] = sums[0].sum()
            taken[sample, piece, 1] = sums[1].sum()
    return shares, signed, taken.sum(1)


@compiled(parallel=False)
def _share_masked_piece(c, z, inner, least, epsilon, factor, output, shares, fallen, sums):
    """Share the relevance of some rows over masked denominators, but for those that nearly cancel."""
    nothing = c.dtype.type(0)
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            r = _distributed(c[i, j], z[i, j], factor, output)
            d = inner[i, j]
            size = abs(d)
            falls = (size == 0) | (size < least[i % least.shape[0], j])
            signed = np.copysign(epsilon, d)
            share = r / (d + signed)
            if falls:
                share = nothing
            shares[i, j] = share
            fallen[i, j] = c[i, j] if falls and r != 0 else nothing
            sums[0, j] += share * signed
            sums[1, j] += 1.0 if falls and r != 0 else 0.0
            sums[2, j] += abs(r) if falls else nothing


@compiled(parallel=True)
def share_masked(c, z, inner, least, epsilon, factor, output, firsts):
    """Divide relevance by masked denominators; see `kernels.share_masked_rows`.

    `least` are the magnitudes below which a denominator counts as cancelled, (rows, channels), or a row of
    zeros. Also give the multipliers of what fell back, and what stabilisers took, how many fell and their
    mass, (N, 3).
    """
    n, channels = firsts.shape[0] - 1, c.shape[1]
    height, pieces = _cut(firsts, channels)
    shares = np.empty_like(c)
    fallen = np.empty_like(c)
    taken = np.zeros((n, pieces, 3))
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        start = firsts[sample] + piece * height
        end = min(firsts[sample + 1], start + height)
        if start < end:
            sums = np.zeros((3, channels))
            bound = least if least.shape[0] == 1 else least[start:end]
            _share_masked_piece(
                c[start:end], z[start:end], inner[start:end], bound, epsilon, factor, output,
                shares[start:end], fallen[start:end], sums,
            )  # fmt: skip
            for k in range(3):
                taken[sample, piece, k] = sums[k].sum()
    return shares, fallen, taken.sum(1)
