"""Which neurons survive, and where the mass of the others goes: the definitions, by sorting in float64."""

import math
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

TIES = 2.0**-14
"""Values that differ by less than this, relatively, are equal."""
SUMS = 2.0**-20
"""A running sum that is above ``p V`` by less than this, relatively, is equal to it."""

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]


def kept_by_definition(r: Vector, p_plus: float, p_minus: float | None = None, ties: float = TIES) -> Mask:
    """Neurons kept at a fixed proportion.

    Parameters
    ----------
    r : (J,) float64
        Relevance of all neurons of one layer of one sample.
    p_plus, p_minus : float in [0, 1)
        Largest share of the positive and of the negative mass that may go; `p_minus` is `p_plus / 2` unless
        given.
    ties : float
        Relative tolerance in which values count as equal.
    """
    p_minus = p_plus / 2 if p_minus is None else p_minus
    return (r > _threshold(r, p_plus, ties)) | (r < -_threshold(-r, p_minus, ties))


def kept_automatic(r: Vector) -> Mask:
    """Neurons kept by the automatic proportion: of each sign those above the mean, always the largest."""
    keep = np.zeros(len(r), dtype=bool)
    for sign in (1.0, -1.0):
        v = [max(0.0, sign * value) for value in r]
        present = [value for value in v if value > 0]
        if present:
            mean = math.fsum(present) / len(present)
            above, largest = mean * (1 + TIES), max(present) * (1 - TIES)
            keep |= np.array([value > 0 and (value > above or value >= largest) for value in v])
    return keep


def redistribute_lambda(r: Vector, keep: Mask) -> Vector:
    """The kept entries, scaled so that the mass of each sign is what it was (but see `unplaced_mass`)."""
    out = np.zeros(len(r))
    for sign in (1.0, -1.0):
        of_sign = sign * r > 0
        kept = of_sign & keep
        if kept.any():
            out[kept] = r[kept] * (np.abs(r[of_sign]).sum() / np.abs(r[kept]).sum())
    return out


def unplaced_mass(r: Vector, keep: Mask) -> float:
    """Signed mass of the signs of which no entry is kept: it has nowhere to go."""
    return float(sum(r[s * r > 0].sum() for s in (1.0, -1.0) if not (keep & (s * r > 0)).any()))


def decision_margin(r: Vector, p_plus: float, p_minus: float | None = None) -> float:
    """How far the kept set is from being another one, relative to the mass.

    Rounding of this relative size in `r` may change which neurons are kept: a running sum lies that close to
    the limit, a value that close to the smallest that equals the first one kept, or a sign consists of so
    little mass that it may be rounding itself. A comparison with another implementation should ask for a
    margin well above its rounding.
    """
    p_minus = p_plus / 2 if p_minus is None else p_minus
    largest = float(np.abs(r).max(initial=0.0))
    margins = [1.0]
    for side, p in ((r, p_plus), (-r, p_minus)):
        v = sorted(value for value in side.tolist() if value > 0)
        if not v or p == 0:
            continue
        sums = list(accumulate(v))
        limit = p * (1 + SUMS) * sums[-1]
        first = next((i for i, total in enumerate(sums) if total > limit), len(v) - 1)
        bound = v[first] * (1 - TIES)
        # Sums inside of a group of equal values don't matter, but for the one behind the group before.
        before = [total for value, total in zip(v, sums, strict=True) if value < bound]
        margins += [abs(total - limit) / sums[-1] for total in (*before[-1:], sums[first])]
        margins += [abs(value - bound) / value for i, value in enumerate(v) if i != first]
        margins.append(v[-1] / largest)
    return min(margins)


def _threshold(r: Vector, p: float, ties: float) -> float:
    """theta of the positive side of `r`: what is larger is kept. 0 if nothing is pruned."""
    v = sorted(value for value in r.tolist() if value > 0)
    if not v or p == 0:
        return 0.0
    running_sums = list(accumulate(v))
    limit = p * (1 + SUMS) * running_sums[-1]
    # Only where the limit is rounded up to V could the definition prune everything: the largest stays.
    over = [value for value, total in zip(v, running_sums, strict=True) if total > limit] or v[-1:]
    bound = over[0] * (1 - ties)
    return max((value for value in v if value < bound), default=0.0)
