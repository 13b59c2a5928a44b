"""Metrics against definitions written out, and the numbers of the books."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparselrp_cli.evaluation.faithfulness import SHARES, curves
from sparselrp_cli.evaluation.intervals import interval
from sparselrp_cli.evaluation.metrics import (
    auroc,
    average_precision,
    complexity,
    gini,
    rank_correlation,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from sparselrp_cli.evaluation.mutagenesis import mutagenesis

maps = st.lists(st.integers(-3, 3), min_size=2, max_size=12)


def test_the_numbers_of_the_definitions():
    a, m = np.array([4, -1, 0.5, -2, -1]), np.array([1, 1, 0, 0, 0], bool)
    assert relevance_mass_accuracy(a, m) == pytest.approx(4 / 4.5)
    assert gini(np.array([0, 0, 0, 1])) == 0.75
    assert gini(np.array([1, 2, 3, 4])) == 0.25
    assert complexity(np.array([0, 0, 5.0])) == 0
    assert complexity(np.array([1, -1, 1, -1])) == pytest.approx(np.log(4))


@given(maps, st.data())
@settings(max_examples=200)
def test_ranking_metrics_are_their_definitions_by_counting(values, data):
    a = np.array(values, float)
    m = np.array(data.draw(st.lists(st.booleans(), min_size=len(a), max_size=len(a))))
    inside, outside = a[m], a[~m]
    if len(inside) and len(outside):
        pairs = [(x > y) + (x == y) / 2 for x in inside for y in outside]
        assert auroc(a, m) == pytest.approx(np.mean(pairs))
    if not len(inside):
        assert np.isnan(average_precision(a, m))
        return
    expected, before = 0.0, 0.0
    for threshold in sorted(set(values), reverse=True):
        called = a >= threshold
        recall, precision = m[called].sum() / m.sum(), m[called].mean()
        expected += (recall - before) * precision
        before = recall
    assert average_precision(a, m) == pytest.approx(expected)


def test_rank_accuracy_shares_ties():
    a, m = np.array([1.0, 1.0, 1.0, 0.0]), np.array([True, False, False, False])
    assert relevance_rank_accuracy(a, m) == pytest.approx(1 / 3)


def test_without_relevance_there_is_no_number():
    zero, m = np.zeros(4), np.array([True, False, False, False])
    assert all(np.isnan(f(zero)) for f in (gini, complexity))
    assert np.isnan(relevance_mass_accuracy(zero, m))
    assert np.isnan(rank_correlation(zero, np.arange(4.0)))
    assert rank_correlation(np.array([1, 2, 9]), np.array([0, 5, 6])) == pytest.approx(1)


def weighted(weights):
    """A score that is the sum of the weights of bases A."""
    return lambda one_hot: (one_hot[:, 0] * weights).sum(axis=1).astype(float)


def test_curves_of_an_additive_score_are_sums():
    """100 positions with A, a background of C: the best ranking takes away most, the worst least."""
    weights = np.random.default_rng(0).random(100)
    window = np.zeros((4, 100), np.uint8)
    window[0] = 1
    background = np.zeros((3, 4, 100), np.uint8)
    background[:, 1] = 1
    rng = np.random.default_rng(0)
    best = curves(window, weights, background, weighted(weights), rng)
    worst = curves(window, -weights, background, weighted(weights), rng)
    random = curves(window, np.zeros(100), background, weighted(weights), rng)
    largest_first = np.sort(weights)[::-1]
    expected = [weights.sum() - largest_first[: round(100 * share)].sum() for share in SHARES]
    np.testing.assert_allclose(best.deletion, expected, atol=1e-9)
    np.testing.assert_allclose(best.insertion, weights.sum() - np.array(expected), atol=1e-9)
    assert best.deletion[-1] == pytest.approx(0)
    assert best.deletion_drop > random.deletion_drop > worst.deletion_drop > 0
    assert best.insertion_rise == pytest.approx(best.deletion_drop)


def test_curves_go_as_far_as_their_shares():
    """Ten equal positions, one of them replaced at a time: the mean over two is 1, over one a half."""
    window, background = np.zeros((4, 10), np.uint8), np.zeros((1, 4, 10), np.uint8)
    window[0], background[:, 1] = 1, 1
    score = weighted(np.ones(10))
    found = curves(window, np.ones(10), background, score, np.random.default_rng(0), (0.0, 0.1, 0.2))
    np.testing.assert_allclose(found.deletion, [10, 9, 8])
    assert found.deletion_drop == pytest.approx(1)
    short = curves(window, np.ones(10), background, score, np.random.default_rng(0), (0.0, 0.1))
    assert short.deletion_drop == pytest.approx(0.5)


def test_mutagenesis_of_an_additive_score_is_its_weights():
    weights = np.arange(6.0)
    window = np.zeros((4, 6), np.uint8)
    window[0, :4] = 1
    window[2, 4] = 1  # the last position is unknown
    found = mutagenesis(window, weighted(weights))
    np.testing.assert_allclose(found, [0, 1, 2, 3, -4 / 3, 0])


def test_an_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        found = interval(rng.normal(size=60), seed=trial)
        covered += found.low <= 0 <= found.high
    assert 175 <= covered <= 198


def test_an_interval_leaves_out_what_is_no_number():
    found = interval([1.0, float("nan"), 3.0])
    assert (found.mean, found.windows) == (2.0, 2)
    assert interval([float("nan")]).windows == 0
