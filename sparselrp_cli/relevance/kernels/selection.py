"""Compiled passes over the relevance of a layer: what is pruned, and what the survivors are scaled by."""

import numpy as np
from numba import prange

from sparselrp_cli.relevance.kernels.compiling import PIECE, compiled, part

_SORTED = 64
"""Values among which an end is found by sorting them."""
_DIGIT = 10
"""Bits by which more values are told apart at a time."""


@part
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


@part
def _add_to_histogram(relevance, bits, histogram, shift):
    for i in range(relevance.shape[0]):
        histogram[bits[i] >> shift] += abs(relevance[i])


@part
def _keep_buckets(relevance, bits, shift, one, other):
    """Move the values of two buckets to the front; give how many there are."""
    n = np.uint64(0)
    for i in range(relevance.shape[0]):
        key = bits[i] >> shift
        relevance[n] = relevance[i]
        n += np.uint64((key == one) | (key == other))
    return n


@part
def _limit(proportion, total, sums):
    """Give the mass that may be pruned: less than all, also where it is rounded up."""
    return min(proportion * (1 + sums) * total, np.nextafter(total, 0.0))


@part
def _find_bucket(masses, proportion, sums, out):
    """Find the bucket where one sign's pruning ends; `out` is (theta, mass, mass pruned under the bucket)."""
    total = 0.0
    for i in range(masses.shape[0]):
        total += masses[i]
    limit = _limit(proportion, total, sums)
    pruned, bucket = 0.0, 0
    if limit != 0:
        while bucket < masses.shape[0] - 1 and pruned + masses[bucket] <= limit:
            pruned += masses[bucket]
            bucket += 1
    out[0], out[1], out[2] = 0.0, total, pruned
    return bucket


@part
def _mass_under(a, c, sign, bound):
    """Add up what is smaller than a bound of one sign's relevance."""
    mass = 0.0
    for i in range(a.shape[0]):
        r = sign * (a[i] * c[i])
        if r > 0 and r < bound:
            mass += r
    return mass


@part
def _sort(values):
    """Sort a few values where they are."""
    for i in range(1, values.shape[0]):
        value, place = values[i], i
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@part
def _first_over(values, bits, running, limit, shift):
    """Find the first value, ascending, with which a running sum is over the limit; the largest if none is.

    `values` are taken apart: by the bits below `shift`, some at a time, until few are left to be sorted.
    """
    while values.shape[0] > _SORTED and shift > 0:
        width = np.uint64(min(shift, np.uint64(_DIGIT)))
        shift -= width
        last = np.uint64((1 << width) - 1)
        masses = np.zeros(1 << width)
        for i in range(values.shape[0]):
            masses[(bits[i] >> shift) & last] += values[i]
        chosen, below = 0, running
        for digit in range(masses.shape[0]):
            if masses[digit] > 0:
                chosen, running = digit, below
                below += masses[digit]
                if below > limit:
                    break
        n = np.uint64(0)
        for i in range(values.shape[0]):
            digit = (bits[i] >> shift) & last
            values[n] = values[i]
            n += np.uint64(digit == chosen)
        values, bits = values[:n], bits[:n]
    if shift == 0:
        return values[0]  # they are equal
    _sort(values)
    for i in range(values.shape[0]):
        running += values[i]
        if running > limit:
            return values[i]
    return values[-1]


@part
def _finish(values, no_bits, shift, low, proportion, tolerances, a, c, sign, out):
    """Find the threshold among the magnitudes of the bucket where pruning ends.

    The first value that is over the limit stays, and what equals it to within the tolerance; what is smaller
    goes. `low` is where the bucket begins: rarely, something that equals the first kept value lies under it.
    """
    limit = _limit(proportion, out[1], tolerances[1])
    if limit == 0:
        return
    apart = np.empty(values.shape[0], values.dtype)
    for i in range(values.shape[0]):
        apart[i] = values[i]
    first = _first_over(apart, apart.view(no_bits.dtype), out[2], limit, shift)
    bound = np.float64(first) * (1 - tolerances[0])
    if bound < low:
        out[2] = _mass_under(a, c, sign, bound)
    else:
        for i in range(values.shape[0]):
            if values[i] < bound:
                out[2] += values[i]
    theta = values.dtype.type(bound)
    if np.float64(theta) >= bound:
        theta = np.nextafter(theta, values.dtype.type(0))
    out[0] = theta


@compiled
def select(
    a, c, proportions, tolerances, edges, shift, no_bits, histogram, relevance, bits, filled, chosen, out
):
    """Find the thresholds of pruning; see `kernels.prune`.

    A histogram of the relevance of each sample, by sign and magnitude, says in which bucket pruning ends; the
    values of that bucket are taken apart further. `tolerances` are those of equal values and of running sums,
    `edges` the magnitudes at which buckets begin, `shift` the bits that a bucket leaves out, `no_bits` an
    empty array of the unsigned integers as wide as a number. `out` is the result, (N, 2, 3): the threshold of
    each sign, its mass and the mass that is pruned. Those between are places to work in.
    """
    n, m = a.shape
    n_pieces, size, buckets = relevance.shape[1], relevance.shape[2], edges.shape[0] - 1
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
            for i in range(buckets):
                masses[i] += histogram[sample, piece, s * buckets + i]
        chosen[sample, s] = s * buckets + _find_bucket(masses, proportions[s], tolerances[1], out[sample, s])
    for task in prange(n * n_pieces):
        sample, piece = task // n_pieces, task % n_pieces
        k = filled[sample, piece]
        filled[sample, piece] = _keep_buckets(
            relevance[sample, piece, :k], bits[sample, piece, :k], shift, chosen[sample, 0], chosen[sample, 1]
        )
    for task in prange(2 * n):
        sample, s = task // 2, task % 2
        sign = a.dtype.type(1 - 2 * s)
        total = 0
        for piece in range(n_pieces):
            total += filled[sample, piece]
        values, k = np.empty(total, a.dtype), 0
        for piece in range(n_pieces):
            for i in range(filled[sample, piece]):
                values[k] = sign * relevance[sample, piece, i]
                k += values[k] > 0
        low = edges[chosen[sample, s] - s * buckets]
        if k:
            _finish(
                values[:k], no_bits, shift, low, proportions[s], tolerances, a[sample], c[sample], sign,
                out[sample, s],
            )  # fmt: skip


@part
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


@compiled
def scale_survivors(a, c, theta, scale, as_mask, scaled, counts):
    """Scale the multipliers of survivors by their sign's factor, and set the others to 0.

    `theta` and `scale` are (N, 2), of the numbers' own type. With `as_mask` the factors alone are given.
    `counts` are the survivors of each sample's pieces.
    """
    n, m, pieces = a.shape[0], a.shape[1], counts.shape[1]
    size = (m + pieces - 1) // pieces
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        start, end = min(m, piece * size), min(m, (piece + 1) * size)
        counts[sample, piece] = _scale_piece(
            a[sample, start:end], c[sample, start:end], theta[sample, 0], theta[sample, 1],
            scale[sample, 0], scale[sample, 1], as_mask, scaled[sample, start:end],
        )  # fmt: skip


@part
def _sum_piece(values):
    # Several sums side by side: one would wait for itself.
    sums = np.zeros(8)
    whole = values.shape[0] // 8 * 8
    for i in range(0, whole, 8):
        for k in range(8):
            sums[k] += values[i + k]
    for i in range(whole, values.shape[0]):
        sums[0] += values[i]
    total = 0.0
    for k in range(8):
        total += sums[k]
    return total


@compiled
def sums(values, out):
    """Add up the pieces of each row in float64: `out` is (N, pieces)."""
    n, m, pieces = values.shape[0], values.shape[1], out.shape[1]
    size = (m + pieces - 1) // pieces
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        out[sample, piece] = _sum_piece(values[sample, piece * size : min(m, (piece + 1) * size)])


@part
def _masses_of_piece(a, c, keep, out):
    """Add up the relevance of one piece by sign, all of it and what is kept: `out` is (2, 2)."""
    for i in range(a.shape[0]):
        r = a[i] * c[i]
        plus, minus = max(r, 0), max(-r, 0)
        out[0, 0] += plus
        out[1, 0] += minus
        out[0, 1] += plus * keep[i]
        out[1, 1] += minus * keep[i]


@compiled
def masses(a, c, keep, out):
    """Add up the relevance of the pieces of each row: `out` is (N, pieces, 2, 2)."""
    n, m, pieces = a.shape[0], a.shape[1], out.shape[1]
    size = (m + pieces - 1) // pieces
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        start, end = min(m, piece * size), min(m, (piece + 1) * size)
        _masses_of_piece(
            a[sample, start:end], c[sample, start:end], keep[sample, start:end], out[sample, piece]
        )


@compiled
def rescale(a, c, keep, scale, scaled):
    """Scale multipliers by the factor of the sign of ``a c``, (N, 2), and by `keep`."""
    n, m = a.shape
    pieces = max(1, (m + PIECE - 1) // PIECE)
    size = (m + pieces - 1) // pieces
    for task in prange(n * pieces):
        sample, piece = task // pieces, task % pieces
        up, down, nothing = scale[sample, 0], scale[sample, 1], scale.dtype.type(0)
        for i in range(min(m, piece * size), min(m, (piece + 1) * size)):
            r = a[sample, i] * c[sample, i]
            factor = up if r > 0 else (down if r < 0 else nothing)
            scaled[sample, i] = c[sample, i] * keep[sample, i] * factor
