"""Compiled passes over a layer's output, (rows, channels): relevance over denominators, and the accounts."""

import numpy as np
from numba import prange

from sparselrp_cli.relevance.kernels.compiling import compiled, part


@part
def _distributed(c, z, factor, output):
    """Give the relevance of one output neuron that a branch distributes."""
    r = factor * (c * z)
    if output == 1 and z < 0:
        r = c * 0
    if output == 2 and z >= 0:
        r = c * 0
    return r


@part
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


@part
def _add_up(sums, taken):
    """Add up each row of `sums`."""
    for k in range(sums.shape[0]):
        total = 0.0
        for j in range(sums.shape[1]):
            total += sums[k, j]
        taken[k] = total


@compiled
def share(c, z, d, bias, epsilon, factor, output, firsts, height, shares, taken):
    """Divide relevance by stabilised denominators; see `shares.share_rows`. All are (rows, channels).

    `taken` is what biases and stabilisers take, (N, pieces, 2), by pieces of `height` rows.
    """
    n, pieces, channels = taken.shape[0], taken.shape[1], c.shape[1]
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
            _add_up(sums, taken[sample, piece])


@part
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


@compiled
def share_favoured(
    c, z, magnitude, scale, bias, bias_magnitude, epsilon, firsts, height, shares, signed, taken
):
    """Divide relevance by stabilised denominators; see `shares.share_favoured_rows`.

    `signed` are the shares times the signs of their outputs; `taken` is as for `share`.
    """
    n, pieces, channels = taken.shape[0], taken.shape[1], c.shape[1]
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
            _add_up(sums, taken[sample, piece])


@part
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


@compiled
def share_masked(c, z, inner, least, epsilon, factor, output, firsts, height, shares, fallen, taken):
    """Divide relevance by masked denominators; see `shares.share_masked_rows`.

    `least` are the magnitudes below which a denominator counts as cancelled, (rows, channels), or a row of
    zeros. `fallen` are the multipliers of what fell back. `taken` is what stabilisers took, how many fell and
    their mass, (N, pieces, 3).
    """
    n, pieces, channels = taken.shape[0], taken.shape[1], c.shape[1]
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
            _add_up(sums, taken[sample, piece])
