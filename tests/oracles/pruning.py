"""Which neurons survive, and where the mass of the others goes: the definitions, by sorting in float64."""

import math
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]


def kept_by_definition(r: Vector, p_plus: float, p_minus: float | None = None) -> Mask:
    """Neurons kept at a fixed proportion.

    Parameters
    ----------
    r : (J,) float64
        Relevance of all neurons of one layer of one sample.
    p_plus, p_minus : float in [0, 1)
        Largest share of the positive and of the negative mass that may go; `p_minus` is `p_plus / 2` unless
        given.
    """
    p_minus = p_plus / 2 if p_minus is None else p_minus
    return (r > _threshold(r, p_plus)) | (r < -_threshold(-r, p_minus))


def kept_automatic(r: Vector, g: float = 1.0) -> Mask:
    """Neurons kept by the automatic proportion: of each sign those above `mean / g`, always the largest."""
    keep = np.zeros(len(r), dtype=bool)
    for sign in (1.0, -1.0):
        v = [max(0.0, sign * value) for value in r]
        present = [value for value in v if value > 0]
        if present:
            mean = math.fsum(present) / len(present)
            keep |= np.array([value > 0 and (value > mean / g or value == max(present)) for value in v])
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
    `p V`, the last value pruned and the first one kept are that close, or a sign consists of so little mass
    that it may be rounding itself. A comparison with another implementation should ask for a margin well
    above its rounding.
    """
    p_minus = p_plus / 2 if p_minus is None else p_minus
    largest = float(np.abs(r).max(initial=0.0))
    margins = [1.0]
    for side, p in ((r, p_plus), (-r, p_minus)):
        v = sorted(value for value in side if value > 0)
        if not v or p == 0:
            continue
        total = sum(v)
        ends = [i for i in range(len(v) - 1) if v[i] != v[i + 1]]
        sums = list(accumulate(v))
        margins += [abs(sums[i] - p * total) / total for i in ends]
        theta = _threshold(side, p)
        above = [value for value in v if value > theta]
        margins += [(min(above) - theta) / min(above), v[-1] / largest]
    return min(margins)


def _threshold(r: Vector, p: float) -> float:
    """theta of the positive side of `r`: the largest value pruned, 0 if none is."""
    v = sorted(max(0.0, float(value)) for value in r)
    v = [value for value in v if value > 0]
    running_sums = list(accumulate(v))
    pruned = 0
    for i, running_sum in enumerate(running_sums, start=1):
        if running_sum <= p * running_sums[-1]:
            pruned = i
    # Only where `p V` is rounded up to V, among subnormal numbers, could the definition prune everything.
    pruned = min(pruned, len(v) - 1)
    while pruned > 0 and v[pruned - 1] == v[pruned]:
        pruned -= 1
    return v[pruned - 1] if pruned > 0 else 0.0
