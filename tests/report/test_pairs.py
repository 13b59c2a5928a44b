"""Pairs of motifs against shuffled labels: the exact distribution as the oracle, and planted sites."""

from math import comb

import numpy as np
import pytest

from sparselrp_cli.report.hits import Hit, WindowHits
from sparselrp_cli.report.pairs import PERMUTATIONS, pairs_of, positions


def hits_at(places):
    """Hits of motif m in window w at a distance from its centre, of some relevance."""
    places = sorted(places)
    row, motif, centre, relevance = (np.array(column) for column in zip(*places, strict=True))
    hits = [Hit(0, 1, "", "+", float(value), "") for value in relevance]
    return WindowHits(row, motif, hits, ["a", "b", "c"], centre.astype(float))


def tail(n, a, b, both):
    """Probability of at least so many shared windows of n, where a and b hold either: hypergeometric."""
    return sum(comb(a, k) * comb(n - a, b - k) for k in range(both, min(a, b) + 1)) / comb(n, b)


@pytest.mark.parametrize("shared", [0, 2, 4, 7, 12])
def test_p_of_shared_windows_is_that_of_the_hypergeometric_distribution(shared):
    n, a, b = 60, 20, 12
    holds_b = [*range(shared), *range(30, 30 + b - shared)]
    found = hits_at([(w, 0, 0, 1) for w in range(a)] + [(w, 1, 5, 1) for w in holds_b])
    (pair,) = pairs_of(found, n)
    error = 4 * 0.5 / np.sqrt(PERMUTATIONS)
    assert pair.windows == shared
    assert pair.p_more == pytest.approx(tail(n, a, b, shared), abs=error)
    assert pair.p_fewer == pytest.approx(1 - tail(n, a, b, shared + 1), abs=error)
    assert pair.expected == pytest.approx(a * b / n, abs=4 * 1.3 / np.sqrt(PERMUTATIONS))


def test_motifs_at_one_spacing_are_closer_than_their_places_give():
    rng = np.random.default_rng(0)
    first, far = rng.integers(-200, 200, (2, 40))
    at_ten = hits_at([(w, 0, first[w], 1) for w in range(40)] + [(w, 1, first[w] + 10, 1) for w in range(40)])
    (pair,) = pairs_of(at_ten, 40)
    assert pair.distance == 10
    assert set(pair.distances) == {10.0}
    assert pair.p_closer == 1 / (PERMUTATIONS + 1)
    apart = hits_at([(w, 0, first[w], 1) for w in range(40)] + [(w, 1, far[w], 1) for w in range(40)])
    assert pairs_of(apart, 40)[0].p_closer > 0.01


def test_of_several_hits_in_a_window_the_strongest_gives_the_place():
    found = hits_at(
        [(w, 0, 0, 1) for w in range(6)]
        + [(w, 1, d, r) for w in range(6) for d, r in [(3, 1), (50, -4), (7, 2)]]
    )
    assert set(pairs_of(found, 6)[0].distances) == {50.0}


def test_too_few_shared_windows_say_nothing_of_a_distance():
    (pair,) = pairs_of(hits_at([(w, m, 0, 1) for w in range(4) for m in (0, 1)]), 10)
    assert (pair.windows, pair.distance, pair.expected_distance, pair.p_closer) == (4, None, None, None)


@pytest.mark.parametrize("places", [[(0, 1, 0, 1), (3, 1, 0, 1)], [(0, 0, 0, 1)]])
def test_one_motif_has_no_pairs(places):
    assert pairs_of(hits_at(places), 5) == []


def test_equal_hits_give_equal_pairs_the_least_likely_first():
    rng = np.random.default_rng(0)
    held = rng.random((80, 3)) < 0.4
    held[:, 1] = held[:, 0]
    found = hits_at([(w, m, int(rng.integers(-50, 50)), 1) for w, m in zip(*np.nonzero(held), strict=True)])
    pairs = pairs_of(found, 80)
    assert len(pairs) == 3
    assert {pairs[0].one, pairs[0].other} == {0, 1}
    assert [pair.p_more for pair in pairs_of(found, 80)] == [pair.p_more for pair in pairs]


def test_every_hit_inside_a_window_is_in_the_histogram_of_its_motif():
    found = hits_at([(0, 0, -100, 1), (0, 0, 0, 1), (1, 0, 99.5, 1), (1, 2, 3, 1)])
    counts = positions(found, 0, 200)
    assert (counts[0], counts[len(counts) // 2], counts[-1], counts.sum()) == (1, 1, 1, 3)
