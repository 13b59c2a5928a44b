"""Maximal-scoring segments of a sequence of numbers."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt


@numba.njit(cache=True)
def maximal_segments(scores: npt.NDArray[np.float64]) -> Any:
    """Find all maximal-scoring segments in linear time.

    A segment is maximal if no segment that overlaps it scores more, after the better ones have been taken out
    (Ruzzo & Tompa, ISMB 1999, section 2).

    Parameters
    ----------
    scores : ndarray of float64, shape (L,)
        Negative on average, or everything is one segment.

    Returns
    -------
    starts, ends : ndarray of int64, shape (k,)
        Half-open, from left to right.
    totals : ndarray of float64, shape (k,)
        Sum of the scores of each segment; more than 0.
    """
    n = len(scores)
    starts, ends = np.empty(n, np.int64), np.empty(n, np.int64)
    # Sum of all scores before, and up to the end of, each segment that is open.
    before, up_to = np.empty(n), np.empty(n)
    k, total = 0, 0.0
    for i in range(n):
        if scores[i] <= 0:
            total += scores[i]
            continue
        start, left = i, total
        total += scores[i]
        while True:
            j = k - 1
            while j >= 0 and before[j] >= left:
                j -= 1
            if j < 0 or up_to[j] >= total:
                break
            # From the start of segment j to here scores more than either: they are one.
            start, left, k = starts[j], before[j], j
        starts[k], ends[k], before[k], up_to[k] = start, i + 1, left, total
        k += 1
    return starts[:k].copy(), ends[:k].copy(), up_to[:k] - before[:k]
