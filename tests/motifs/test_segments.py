"""Maximal-scoring segments against their definition."""

import numpy as np
import pytest

from sparselrp_cli.motifs.segments import maximal_segments


def slow_segments(scores):
    """By the recursion: the best of all stretches, then the same left and right of it."""
    best, place = 0.0, None
    for start in range(len(scores)):
        for end in range(start + 1, len(scores) + 1):
            total = scores[start:end].sum()
            # Of equal ones the shortest.
            if total > best + 1e-9 or (
                place and abs(total - best) <= 1e-9 and end - start < place[1] - place[0]
            ):
                best, place = total, (start, end)
    if place is None:
        return []
    start, end = place
    left = slow_segments(scores[:start])
    right = [(a + end, b + end) for a, b in slow_segments(scores[end:])]
    return [*left, place, *right]


@pytest.mark.parametrize("seed", range(60))
def test_segments_are_those_of_the_recursion(seed):
    rng = np.random.default_rng(seed)
    scores = rng.normal(-0.2, 1.0, rng.integers(1, 30))
    starts, ends, totals = maximal_segments(scores)
    assert list(zip(starts, ends, strict=True)) == slow_segments(scores)
    assert np.allclose(totals, [scores[a:b].sum() for a, b in zip(starts, ends, strict=True)])


@pytest.mark.parametrize("scores", [[], [-1.0, -2.0], [0.0, 0.0]])
def test_where_nothing_is_positive_there_is_no_segment(scores):
    assert len(maximal_segments(np.array(scores, float))[0]) == 0
