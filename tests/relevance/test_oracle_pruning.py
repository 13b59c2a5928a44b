"""The pruning oracle: the test vectors of the method, cases done by hand, and the laws of the definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.pruning import (
    SUMS,
    TIES,
    decision_margin,
    kept_automatic,
    kept_by_definition,
    redistribute_lambda,
    unplaced_mass,
)

MIXED = [5, 3, 1, 0.5, 0.5, -2, -1, -0.25, 0]

# Small whole numbers make ties and running sums that hit p V exactly; the others make neither.
values = st.one_of(st.integers(-4, 4).map(float), st.floats(-1e3, 1e3, allow_subnormal=False))
vectors = st.lists(values, max_size=20).map(lambda r: np.array(r, dtype=np.float64))
proportions = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75]), st.floats(0.0, 0.99))
law = settings(max_examples=300)


@pytest.mark.parametrize(
    ("r", "p_plus", "p_minus", "expected"),
    [
        (MIXED, 0.25, 0.125, [6.25, 3.75, 0, 0, 0, -13 / 6, -13 / 12, 0, 0]),
        ([1, 1, 1, 1], 0.25, None, [1, 1, 1, 1]),
        ([1, 1, 2, 4], 0.2, None, [1, 1, 2, 4]),
        ([2, -3], 0.9, 0.9, [2, -3]),
        # A group of equal values goes as a whole where the proportion covers it: 2 <= .25 * 8.
        ([1, 1, 2, 4], 0.25, None, [0, 0, 8 / 3, 16 / 3]),
        # A smaller value below a tie goes, the tie stays: .5 <= 1 < 1.5.
        ([0.5, 1, 1, 1.5], 0.25, None, [0, 8 / 7, 8 / 7, 12 / 7]),
        # The negative side uses half of the positive proportion.
        ([1, 3, -1, -3], 0.25, None, [0, 4, -1, -3]),
        # Equal to within the tolerance: the group of two holds more than .2 of the mass.
        ([1 - 1e-6, 1, 2, 4], 0.2, None, [1 - 1e-6, 1, 2, 4]),
        # And less than .25 of it but for rounding.
        ([1, 1 + 1e-6, 2, 4], 0.25, None, [0, 0, 2 * (8 + 1e-6) / 6, 4 * (8 + 1e-6) / 6]),
        ([0, 0], 0.5, None, [0, 0]),
        ([], 0.5, None, []),
    ],
)
def test_lambda_on_vectors_done_by_hand(r, p_plus, p_minus, expected):
    r = np.array(r, dtype=np.float64)

    pruned = redistribute_lambda(r, kept_by_definition(r, p_plus, p_minus))

    np.testing.assert_allclose(pruned, expected, rtol=0, atol=1e-12)
    assert pruned.sum() == pytest.approx(r.sum(), abs=1e-12)


@given(vectors)
@law
def test_no_proportion_is_the_identity_bit_for_bit(r):
    keep = kept_by_definition(r, 0.0)

    assert (keep == (r != 0)).all()
    assert redistribute_lambda(r, keep).tobytes() == np.where(r == 0, 0.0, r).tobytes()


@given(vectors, proportions, proportions)
@law
def test_the_pruned_mass_of_each_sign_never_exceeds_its_proportion(r, p_plus, p_minus):
    keep = kept_by_definition(r, p_plus, p_minus)

    for sign, p in ((1, p_plus), (-1, p_minus)):
        v = np.maximum(sign * r, 0.0)
        assert v[~keep].sum() <= p * (1 + SUMS) * v.sum() * (1 + 1e-12)
        assert (v > 0).any() == (v[keep] > 0).any()


@given(vectors, proportions, proportions)
@law
def test_a_value_goes_exactly_if_it_is_smaller_than_the_first_that_doesnt_fit(r, p_plus, p_minus):
    keep = kept_by_definition(r, p_plus, p_minus)

    for sign, p in ((1, p_plus), (-1, p_minus)):
        v = np.maximum(sign * r, 0.0)
        present, limit = v[v > 0], p * (1 + SUMS) * sum(sorted(v))
        # All but the largest fit where only rounding lets that one fit, too.
        over = [value for value in present if sum(sorted(v[v <= value])) > limit] or [v.max(initial=0.0)]
        for j in np.flatnonzero(v):
            assert keep[j] == (v[j] >= min(over) * (1 - TIES) or p == 0)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 9)), min_size=1, max_size=8),
    st.sampled_from([0.02, 0.05, 0.25, 0.5, 0.75, 0.9]),
    st.integers(0, 2**32 - 1),
)
@law
def test_values_that_are_equal_but_for_rounding_are_kept_or_pruned_together(groups, p, seed):
    # Whole numbers: running sums often hit p V exactly.
    exact = np.array([float(size) for size, count in groups for _ in range(count)])
    rounded = exact * (1 + 1e-7 * np.random.default_rng(seed).uniform(-1, 1, len(exact)))

    assert (kept_by_definition(rounded, p) == kept_by_definition(exact, p)).all()
    assert (kept_automatic(rounded) == kept_automatic(exact)).all()


@given(vectors, proportions, st.randoms(use_true_random=False))
@law
def test_the_order_of_the_neurons_does_not_matter(r, p, random):
    order = list(range(len(r)))
    random.shuffle(order)

    assert (kept_by_definition(r[order], p) == kept_by_definition(r, p)[order]).all()
    assert (kept_automatic(r[order]) == kept_automatic(r)[order]).all()


@given(vectors, proportions, proportions)
@law
def test_the_two_signs_are_mirror_images(r, p_plus, p_minus):
    mirrored = kept_by_definition(-r, p_minus, p_plus)

    assert (kept_by_definition(r, p_plus, p_minus) == mirrored).all()


@given(vectors, proportions)
@law
def test_lambda_keeps_the_mass_the_signs_and_the_order_of_survivors(r, p):
    keep = kept_by_definition(r, p)

    pruned = redistribute_lambda(r, keep)

    assert (np.sign(pruned) == np.where(keep, np.sign(r), 0)).all()
    for sign, share in ((1, p), (-1, p / 2)):
        before, after = np.maximum(sign * r, 0.0), np.maximum(sign * pruned, 0.0)
        assert after.sum() == pytest.approx(before.sum(), rel=1e-12)
        survivors = np.flatnonzero(after)
        ranked = survivors[np.argsort(before[survivors], kind="stable")]
        assert (np.diff(after[ranked]) >= 0).all()
        assert (after[survivors] >= before[survivors] * (1 - 1e-12)).all()
        assert (after[survivors] <= before[survivors] / (1 - share) * (1 + 1e-12)).all()


def test_the_largest_survives_where_the_proportion_rounds_to_all():
    smallest = np.array([5e-324])

    assert kept_by_definition(smallest, 0.75).all()


@pytest.mark.parametrize(
    ("r", "kept"),
    [
        ([1, 1, 1, 1], [1, 1, 1, 1]),  # all would go: the largest stay, together
        ([1, 1 + 1e-6, 1 - 1e-6, 1], [1, 1, 1, 1]),
        ([1, 2, 3, 6], [0, 0, 0, 1]),  # mean 3: up to and with it
        ([1, 2, 3 + 1e-6, 6], [0, 0, 0, 1]),
        ([1, 2, 6, 6], [0, 0, 1, 1]),
        ([1, 2, 3, 6, -1, -2, 0], [0, 0, 0, 1, 0, 1, 0]),
        ([-4], [1]),
        ([0, 0], [0, 0]),
    ],
)
def test_the_automatic_proportion_on_vectors_done_by_hand(r, kept):
    assert kept_automatic(np.array(r, dtype=np.float64)).tolist() == [bool(k) for k in kept]


def test_a_sign_without_survivors_is_unplaced_and_leaves_the_other_alone():
    r, keep = np.array([2.0, -3.0, -1.0, 0.5]), np.array([True, False, False, False])

    assert redistribute_lambda(r, keep).tolist() == [2.5, 0, 0, 0]
    assert unplaced_mass(r, keep) == -4.0


def test_the_margin_tells_how_near_another_decision_is():
    # Running sums 1, 3, 7 against .4 * 7 = 2.8: the group of one is 1.8 / 7 away, that of two .2 / 7.
    assert decision_margin(np.array([1.0, 2.0, 4.0]), 0.4) == pytest.approx(0.2 / 7, rel=1e-4)
    # The smaller one lies as far from the bound of those that equal the larger as the tolerance leaves.
    assert decision_margin(np.array([1.0, 1.0 + 1e-9, 4.0]), 0.25) == pytest.approx(TIES, rel=1e-4)
    assert decision_margin(np.array([1.0 - TIES * (1 + 1e-6), 1.0, 4.0]), 0.25) < 1e-9
    assert decision_margin(np.array([4.0, -1e-15]), 0.25) < 1e-14
    assert decision_margin(np.array([1.0, 1.0]), 0.0) == 1.0
