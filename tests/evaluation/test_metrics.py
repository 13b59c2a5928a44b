"""Metrics against definitions written out, and the numbers of the books."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparselrp_cli.evaluation.faithfulness import SHARES, curves, shuffled_backgrounds
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


LENGTH, SITES = 20, np.arange(20) < 5
ZERO, CONSTANT, NEGATIVE = np.zeros(LENGTH), np.full(LENGTH, 0.1), np.full(LENGTH, -0.1)
ONE_INSIDE, ONE_OUTSIDE = np.eye(LENGTH)[2], np.eye(LENGTH)[9]
NAN = float("nan")


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (relevance_mass_accuracy, (NAN, 0.25, NAN, 1.0, 0.0)),
        # Of the five highest a quarter by chance; else one, and four of the nineteen that are equal.
        (relevance_rank_accuracy, (0.25, 0.25, 0.25, (1 + 4 * 4 / 19) / 5, (4 * 5 / 19) / 5)),
        # The one is above all fifteen outside, the others equal to them; or all five are below one.
        (auroc, (0.5, 0.5, 0.5, (15 + 4 * 7.5) / 75, 5 * 14 * 0.5 / 75)),
        (average_precision, (0.25, 0.25, 0.25, 0.2 * 1 + 0.8 * 0.25, 0.25)),
        (gini, (NAN, 0.0, 0.0, 0.95, 0.95)),
        (complexity, (NAN, np.log(20), np.log(20), 0.0, 0.0)),
        (lambda a: rank_correlation(a, np.arange(20.0)), (NAN, NAN, NAN, None, None)),
    ],
    ids=["mass", "rank_accuracy", "auroc", "auprc", "gini", "complexity", "correlation"],
)
def test_flat_maps_and_those_of_one_base_have_the_right_value_or_none(metric, expected):
    takes_sites = metric in (relevance_mass_accuracy, relevance_rank_accuracy, auroc, average_precision)
    for a, value in zip((ZERO, CONSTANT, NEGATIVE, ONE_INSIDE, ONE_OUTSIDE), expected, strict=True):
        found = metric(a, SITES) if takes_sites else metric(a)
        if value is not None:
            assert found == pytest.approx(value, nan_ok=True)
            assert not np.signbit(found) or np.isnan(found)
        found32 = metric(a.astype(np.float32), SITES) if takes_sites else metric(a.astype(np.float32))
        assert found32 == pytest.approx(found, nan_ok=True)


def test_the_correlation_with_a_map_of_one_base_is_that_of_its_place():
    """Pearson's correlation of the ranks: those of the map are two values."""
    ranks = np.arange(20.0)
    other = np.where(np.arange(20) == 9, 20, 10.0)
    assert rank_correlation(ONE_OUTSIDE, ranks) == pytest.approx(np.corrcoef(other, ranks)[0, 1])


@pytest.mark.parametrize("flat", [ZERO, CONSTANT, NEGATIVE])
def test_the_curves_of_a_flat_map_are_those_of_a_random_order(flat):
    weights = np.random.default_rng(3).random(LENGTH)
    window, backgrounds = np.zeros((4, LENGTH), np.uint8), np.zeros((5, 4, LENGTH), np.uint8)
    window[0], backgrounds[:, 1] = 1, 1
    drawn = [
        curves(window, a, backgrounds, weighted(weights), np.random.default_rng(0)) for a in (flat, ZERO)
    ]
    np.testing.assert_array_equal(drawn[0].deletion, drawn[1].deletion)
    np.testing.assert_array_equal(drawn[0].insertion, drawn[1].insertion)


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


def a_window_of(bases, length, draws):
    """A window of one base everywhere, and backgrounds of another."""
    window, backgrounds = np.zeros((4, length), np.uint8), np.zeros((draws, 4, length), np.uint8)
    window[bases[0]], backgrounds[:, bases[1]] = 1, 1
    return window, backgrounds


def slow_area(values, shares):
    """The mean over the first fifth, by trapezia."""
    inside = [(x, v) for x, v in zip(shares, values, strict=True) if x <= 0.2]
    return sum((x - w) * (u + v) / 2 for (w, u), (x, v) in pairwise(inside)) / inside[-1][0]


@pytest.mark.parametrize("seed", range(5))
def test_shares_and_abpc_are_their_definitions_point_by_point(seed):
    """Weights of both signs: on its way the score falls below its background, and rises above itself."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0.2, 1, 100)
    window, backgrounds = a_window_of((0, 1), 100, 2)
    found = curves(window, weights, backgrounds, weighted(weights), rng)
    score, background = weights.sum(), 0.0
    assert found.background_score == pytest.approx(background)
    ascending = np.sort(weights)
    deletion = [score - ascending[::-1][: round(100 * x)].sum() for x in SHARES]
    least_first = [score - ascending[: round(100 * x)].sum() for x in SHARES]
    assert score > background
    lost = [max(-1, min(1, (score - f) / (score - background))) for f in deletion]
    there = [max(-1, min(1, (score - f - background) / (score - background))) for f in deletion]
    assert found.deletion_share == pytest.approx(slow_area(lost, SHARES))
    assert found.insertion_share == pytest.approx(slow_area(there, SHARES))
    apart = [high - low for high, low in zip(least_first, deletion, strict=True)]
    assert found.abpc == pytest.approx(slow_area(apart, SHARES))
    worst = curves(window, -weights, backgrounds, weighted(weights), rng)
    assert worst.abpc == pytest.approx(-found.abpc)


def test_shares_by_hand():
    """Ten positions, of which one has all: 5 of a lead of 2, and then 3 below the background."""
    weights = np.array([0, 0, 5, 0, 0, 0, 0, 0, 0, -3.0])
    window, backgrounds = a_window_of((0, 1), 10, 1)
    shares = (0.0, 0.1, 0.2)
    found = curves(window, weights, backgrounds, weighted(weights), np.random.default_rng(0), shares)
    np.testing.assert_allclose(found.deletion, [2, -3, -3])
    np.testing.assert_allclose(found.least_first, [2, 5, 5])
    assert found.deletion_drop == pytest.approx(3.75)
    assert found.deletion_share == found.insertion_share == pytest.approx(0.75)
    assert found.abpc == pytest.approx(6)
    # The wrong way: 3 up, more than the lead, counts as the lead.
    wrong = curves(window, -weights, backgrounds, weighted(weights), np.random.default_rng(0), shares)
    assert wrong.deletion_share == wrong.insertion_share == pytest.approx(-0.75)


@pytest.mark.parametrize("lead", [0, -1], ids=["as much as its background", "less"])
def test_shares_are_left_open_where_a_window_does_not_score_more_than_its_background(lead):
    weights = np.array([1, lead - 1.0])
    window, backgrounds = a_window_of((0, 1), 2, 1)
    shares = (0.0, 0.1, 0.2)
    found = curves(window, weights, backgrounds, weighted(weights), np.random.default_rng(0), shares)
    assert np.isnan([found.deletion_share, found.insertion_share]).all()
    assert np.isfinite([found.deletion_drop, found.insertion_rise, found.abpc]).all()


def test_an_order_at_random_has_no_area_between_its_curves_on_average():
    weights = np.random.default_rng(0).normal(0.2, 1, 100)
    window, backgrounds = a_window_of((0, 1), 100, 400)
    found = curves(window, np.zeros(100), backgrounds, weighted(weights), np.random.default_rng(0))
    best = curves(window, weights, backgrounds, weighted(weights), np.random.default_rng(0))
    assert abs(found.abpc) < 0.05 * best.abpc


def test_shuffled_backgrounds_keep_dinucleotides_and_depend_on_seed_and_number_only():
    codes = np.random.default_rng(0).integers(0, 5, (3, 60))
    one_hot = (codes[:, np.newaxis] == np.arange(4)[:, np.newaxis]).astype(np.uint8)
    found = shuffled_backgrounds(one_hot, 2, seed=4)
    assert found.shape == (3, 2, 4, 60)
    pairs = [np.einsum("bi,ci->bc", x[:, :-1].astype(int), x[:, 1:]) for x in (one_hot[1], *found[1])]
    assert (pairs[0] == pairs[1]).all()
    assert (pairs[0] == pairs[2]).all()
    assert (found[1, 0] != found[1, 1]).any()
    alone = shuffled_backgrounds(one_hot[1:2], 2, seed=4, numbers=[1])
    np.testing.assert_array_equal(alone[0], found[1])


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
