"""Compiled loops for the CPU (numba): each makes one pass where torch would make five to ten.

All work on rows in memory order, float32 or float64, add up in float64, and cut the work into pieces whose
size doesn't depend on the number of threads, so that the sums don't either.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import config, njit, prange, set_num_threads

Function = TypeVar("Function", bound=Callable[..., Any])

PIECE = 1 << 15
"""Neurons that one thread works on at a time."""
_BLOCK = 64
_ROWS = 256
_LANES = 16


def use_threads(count: int) -> None:
    """Let the loops use as many threads as this, or as many as there are."""
    set_num_threads(min(count, config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]


def compiled(*, parallel: bool) -> Callable[[Function], Function]:
    """Compile a function, kept on disk where there is a place for it."""

    def decorate(function: Function) -> Function:
        options: dict[str, Any] = {"nogil": True, "parallel": parallel, "error_model": "numpy"}
        try:
            return cast(Function, njit(cache=True, **options)(function))
        except RuntimeError:  # neither the package's folder nor the user's can be written
            return cast(Function, njit(**options)(function))

    return decorate


@compiled(parallel=False)
def _nonzero_products(a, c, products):
    """Put the non-zero products of `a` and `c` side by side; give their number."""
    for i in range(a.shape[0]):
        products[i] = a[i] * c[i]
    n = np.uint64(0)
    for i in range(a.shape[0]):
        r = products[i]
        products[n] = r
        n += np.uint64(r != 0)
    return n


@compiled(parallel=False)
def _add_to_histogram(relevance, bits, histogram, shift):
    for i in range(relevance.shape[0]):
        histogram[bits[i] >> shift] += abs(relevance[i])


@compiled(parallel=False)
def _is_in(bits, shift, one, other):
    n = 0
    for i in range(bits.shape[0]):
        key = bits[i] >> shift
        n += (key == one) | (key == other)
    return n > 0


@compiled(parallel=False)
def _keep_buckets(relevance, bits, shift, one, other):
    """Move the values of two buckets to the front; give how many there are."""
    n = 0
    for start in range(0, relevance.shape[0], _BLOCK):
        end = min(relevance.shape[0], start + _BLOCK)
        if not _is_in(bits[start:end], shift, one, other):
            continue
        for i in range(start, end):
            key = bits[i] >> shift
            if (key == one) | (key == other):
                relevance[n] = relevance[i]
                n += 1
    return n


@compiled(parallel=False)
def _limit(proportion, total):
    """Give the mass that may be pruned: less than all, also where subnormal numbers round it up."""
    return min(proportion * total, np.nextafter(total, 0.0))


@compiled(parallel=False)
def _find_bucket(masses, proportion, out):
    """Find the bucket where one sign's pruning ends; `out` is (theta, mass, mass pruned under the bucket)."""
    total = masses.sum()
    limit = _limit(proportion, total)
    pruned, bucket = 0.0, 0
    if limit != 0:
        while bucket < masses.shape[0] - 1 and pruned + masses[bucket] <= limit:
            pruned += masses[bucket]
            bucket += 1
    out[0], out[1], out[2] = 0.0, total, pruned
    return bucket


@compiled(parallel=False)
def _finish(values, low, proportion, out):
    """Find the threshold among the magnitudes of the bucket where pruning ends.

    Everything under the bucket goes, whatever of it stays. No group of equal values is cut through.
    """
    limit = _limit(proportion, out[1])
    if limit == 0:
        return
    if out[2] > 0:
        out[0] = np.nextafter(low, values.dtype.type(0))
    values = np.sort(values)
    running = out[2]
    for i in range(values.shape[0]):
        running += values[i]
        if running > limit:
            break
        if i + 1 == values.shape[0] or values[i + 1] != values[i]:
            out[0], out[2] = values[i], running


@compiled(parallel=True)
def select(a, c, proportions, edges, shift, no_bits):
    """Find the thresholds of pruning; see `kernels.thresholds`.

    A histogram of the relevance of each sample, by sign and magnitude, says in which bucket pruning ends; the
    values of that bucket are sorted. `edges` are the magnitudes at which buckets begin, `shift` the bits that
    a bucket leaves out, `no_bits` an empty array of the unsigned integers as wide as a number.
    """
    n, m = a.shape
    n_pieces = max(1, (m + PIECE - 1) // PIECE)
    size = (m + n_pieces - 1) // n_pieces
    buckets = edges.shape[0] - 1
    histogram = np.zeros((n, n_pieces, 2 * buckets))
    relevance = np.empty((n, n_pieces, size), a.dtype)
    bits = relevance.view(no_bits.dtype)
    filled = np.zeros((n, n_pieces), np.int64)
    chosen = np.zeros((n, 2), no_bits.dtype)
    out = np.empty((n, 2, 3))
    for task in prange(n * n_pieces):
        sample, piece = task // n_pieces, task % n_pieces
        start, end = min(m, piece * size), min(m, (piece + 1) * size)
        values = relevance[sample, piece]
        k = np.int64(_nonzero_products(a[sample, start:end], c[sample, start:end], values))
        filled[sample, piece] = k
        _add_to_histogram(values[:k], bits[sample, piece, :k], histogram[sample, piece], shift)
    for task in prange(2 * n):
        sample, s = task // 2, task % 2
        masses = np.zeros(buckets)
        for piece in range(n_pieces):
            masses += histogram[sample, piece, s * buckets : (s + 1) * buckets]
        chosen[sample, s] = s * buckets + _find_bucket(masses, proportions[s], out[sample, s])
    for task in prange(n * n_pieces):
        sample, piece = task // n_pieces, task % n_pieces
        k = filled[sample, piece]
        filled[sample, piece] = _keep_buckets(
            relevance[sample, piece, :k], bits[sample, piece, :k], shift, chosen[sample, 0], chosen[sample, 1]
        )
    for task in prange(2 * n):
        sample, s = task // 2, task % 2
        sign = a.dtype.type(1 - 2 * s)
        values, k = np.empty(filled[sample].sum(), a.dtype), 0
        for piece in range(n_pieces):
            for i in range(filled[sample, piece]):
                values[k] = sign * relevance[sample, piece, i]
                k += values[k] > 0
        _finish(values[:k], edges[chosen[sample, s] - s * buckets], proportions[s], out[sample, s])
    return out


@compiled(parallel=False)
def _scale_piece(a, c, plus, minus, up, down, as_mask, scaled):
    n = 0
    nothing = a.dtype.type(0)
    for i in range(a.shape[0]):
        r = a[i] * c[i]
        factor = nothing
        if r > plus:
            factor = up
        if r < -minus:
            factor = down
        scaled[i] = factor if as_mask else c[i] * factor
        n += factor != 0
    return n


@compiled(parallel=True)
def scale_survivors(a, c, theta, scale, as_mask):
    """Scale the multipliers of survivors by their sign's factor, and set the others to 0.

    `theta` and `scale` are (N, 2), of the numbers' own type. With `as_mask` the factors alone are given. Also
    count the survivors of each sample.
    """
    n, m = a.shape
    pieces = max(1, (m + PIECE - 1) // PIECE)
    size = (m + pieces - 1) // pieces
    scaled = np.empty_like(c)
    counts = np.zeros((n, pieces), np.int64)
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        start, end = min(m, piece * size), min(m, (piece + 1) * size)
        counts[sample, piece] = _scale_piece(
            a[sample, start:end], c[sample, start:end], theta[sample, 0], theta[sample, 1],
            scale[sample, 0], scale[sample, 1], as_mask, scaled[sample, start:end],
        )  # fmt: skip
    return scaled, counts.sum(1)


@compiled(parallel=False)
def prune(a, c, proportions, edges, shift, no_bits, as_mask):
    """Find the thresholds of pruning and apply them; see `kernels.prune`."""
    found = select(a, c, proportions, edges, shift, no_bits)
    n = a.shape[0]
    theta, scale = np.empty((n, 2), a.dtype), np.ones((n, 2), a.dtype)
    for sample in range(n):
        for s in range(2):
            theta[sample, s] = found[sample, s, 0]
            # A sign that is present always has a survivor.
            if not as_mask and found[sample, s, 1] > 0:
                scale[sample, s] = found[sample, s, 1] / (found[sample, s, 1] - found[sample, s, 2])
    multiplier, kept = scale_survivors(a, c, theta, scale, as_mask)
    return multiplier, kept, found[:, :, 1].sum(1), found[:, :, 2].sum(1)


@compiled(parallel=False)
def _sum_piece(values):
    # Several sums side by side: one would wait for itself.
    sums = np.zeros(8)
    whole = values.shape[0] // 8 * 8
    for i in range(0, whole, 8):
        for k in range(8):
            sums[k] += values[i + k]
    for i in range(whole, values.shape[0]):
        sums[0] += values[i]
    return sums.sum()


@compiled(parallel=True)
def sums(values):
    """Add up each row in float64."""
    n, m = values.shape
    pieces = max(1, (m + PIECE - 1) // PIECE)
    size = (m + pieces - 1) // pieces
    out = np.zeros((n, pieces))
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        out[sample, piece] = _sum_piece(values[sample, piece * size : min(m, (piece + 1) * size)])
    return out.sum(1)


@compiled(parallel=False)
def _masses_of_piece(a, c, keep, out):
    """Add up the relevance of one piece by sign, all of it and what is kept: `out` is (2, 2)."""
    for i in range(a.shape[0]):
        r = a[i] * c[i]
        plus, minus = max(r, 0), max(-r, 0)
        out[0, 0] += plus
        out[1, 0] += minus
        out[0, 1] += plus * keep[i]
        out[1, 1] += minus * keep[i]


@compiled(parallel=True)
def masses(a, c, keep):
    """Add up relevance ``a c`` by sign, all of it and what `keep` (0 or 1) leaves: (N, 2, 2)."""
    n, m = a.shape
    pieces = max(1, (m + PIECE - 1) // PIECE)
    size = (m + pieces - 1) // pieces
    out = np.zeros((n, pieces, 2, 2))
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        start, end = min(m, piece * size), min(m, (piece + 1) * size)
        _masses_of_piece(
            a[sample, start:end], c[sample, start:end], keep[sample, start:end], out[sample, piece]
        )
    return out.sum(1)


@compiled(parallel=True)
def rescale(a, c, keep, scale):
    """Scale multipliers by the factor of the sign of ``a c``, (N, 2), and by `keep`."""
    n, m = a.shape
    pieces = max(1, (m + PIECE - 1) // PIECE)
    size = (m + pieces - 1) // pieces
    scaled = np.empty_like(c)
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        up, down, nothing = scale[sample, 0], scale[sample, 1], scale.dtype.type(0)
        for i in range(min(m, piece * size), min(m, (piece + 1) * size)):
            r = a[sample, i] * c[sample, i]
            factor = up if r > 0 else (down if r < 0 else nothing)
            scaled[sample, i] = c[sample, i] * keep[sample, i] * factor
    return scaled


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


@compiled(parallel=True)
def flag_rows(values):
    """Say which rows hold anything but zeros."""
    n = values.shape[0]
    flags = np.zeros(n, np.bool_)
    pieces = (n + _ROWS - 1) // _ROWS
    for piece in prange(pieces):
        for row in range(piece * _ROWS, min(n, (piece + 1) * _ROWS)):
            for j in range(values.shape[1]):
                if values[row, j] != 0:
                    flags[row] = True
                    break
    return flags


@compiled(parallel=True)
def gather(x, index, width, length, stride, padding, dilation):
    """Lay the inputs of some output positions side by side; see `kernels.gather_columns`."""
    n, channels = index.shape[0], x.shape[2]
    columns = np.empty((n, width * channels), x.dtype)
    pieces = (n + _ROWS - 1) // _ROWS
    for piece in prange(pieces):
        for row in range(piece * _ROWS, min(n, (piece + 1) * _ROWS)):
            sample, first = index[row] // length, index[row] % length * stride - padding
            for tap in range(width):
                position = first + tap * dilation
                into = columns[row, tap * channels : (tap + 1) * channels]
                if position >= 0 and position < x.shape[1]:
                    into[:] = x[sample, position]
                else:
                    into[:] = 0
    return columns


@compiled(parallel=True)
def scatter(columns, index, width, length, stride, padding, dilation, total):
    """Add columns back to the inputs they came from; see `kernels.scatter_columns`.

    Threads share out the channels, so that the order of additions is always that of the rows.
    """
    channels = total.shape[2]
    pieces = (channels + _LANES - 1) // _LANES
    for piece in prange(pieces):
        start, end = piece * _LANES, min(channels, (piece + 1) * _LANES)
        for row in range(index.shape[0]):
            sample, first = index[row] // length, index[row] % length * stride - padding
            for tap in range(width):
                position = first + tap * dilation
                if position >= 0 and position < total.shape[1]:
                    for j in range(start, end):
                        total[sample, position, j] += columns[row, tap * channels + j]
