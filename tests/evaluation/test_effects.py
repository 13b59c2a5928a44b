"""Agreement with mutagenesis against Pearson's correlation written out, and values by hand."""

import math

import numpy as np
import pytest

from sparselrp_cli.evaluation.effects import ism_r, observed_effects, pearson, var_r
from sparselrp_cli.evaluation.mutagenesis import effects, mutagenesis

NAN = float("nan")


def slow_pearson(x, y):
    """The definition, number by number."""
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    product = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    of_x, of_y = (math.fsum((v - m) ** 2 for v in w) for w, m in ((x, mean_x), (y, mean_y)))
    return product / math.sqrt(of_x * of_y)


def one_hot_of(letters):
    return np.array([[letter == base for letter in letters] for base in "ACGT"]).astype(np.uint8)


def drawn(seed, letters="ACNGTTNA"):
    rng = np.random.default_rng(seed)
    one_hot = one_hot_of(letters)
    changes = np.where((one_hot == 0) & one_hot.any(axis=0), rng.normal(size=one_hot.shape), 0)
    return one_hot, rng.normal(size=one_hot.shape), changes


@pytest.mark.parametrize("seed", range(5))
def test_ism_r_and_var_r_are_their_definitions_position_by_position(seed):
    one_hot, hypothetical, changes = drawn(seed)
    contributions = (one_hot * hypothetical).sum(axis=0)
    at_observed, predicted, found = [], [], []
    for i in np.flatnonzero(one_hot.any(axis=0)):
        others = [b for b in range(4) if not one_hot[b, i]]
        observed = int(one_hot[:, i].argmax())
        at_observed.append((contributions[i], -sum(changes[b, i] for b in others) / 3))
        predicted += [hypothetical[b, i] - hypothetical[observed, i] for b in others]
        found += [changes[b, i] for b in others]
    assert ism_r(contributions, changes, one_hot) == pytest.approx(
        slow_pearson(*zip(*at_observed, strict=True))
    )
    assert var_r(hypothetical, changes, one_hot) == pytest.approx(slow_pearson(predicted, found))


def test_values_by_hand():
    one_hot = one_hot_of("ACN")
    changes = np.array([[0, -3, 0], [-1, 0, 0], [-2, -3, 0], [-3, -6, 0]], float)
    np.testing.assert_allclose(observed_effects(changes), [2, 4, 0])
    # Two known positions: a line through both; what is said of the unknown one doesn't count.
    assert ism_r(np.array([1.0, 7.0, -99.0]), changes, one_hot) == pytest.approx(1)
    assert ism_r(np.array([7.0, 1.0, -99.0]), changes, one_hot) == pytest.approx(-1)
    # Half of each effect, on top of something else at each position.
    assert var_r(changes / 2 + np.array([5, -7, 100]), changes, one_hot) == pytest.approx(1)
    assert pearson(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 4])) == pytest.approx(0.8)


@pytest.mark.parametrize("seed", range(3))
def test_var_r_is_blind_to_what_is_added_to_all_four_bases_of_a_position(seed):
    one_hot, hypothetical, changes = drawn(seed)
    added = np.random.default_rng(9).normal(size=one_hot.shape[1])
    assert var_r(hypothetical + added, changes, one_hot) == pytest.approx(
        var_r(hypothetical, changes, one_hot)
    )


def test_mutagenesis_is_its_own_ceiling():
    one_hot, _, changes = drawn(0)
    assert ism_r(observed_effects(changes), changes, one_hot) == pytest.approx(1)
    assert var_r(changes, changes, one_hot) == pytest.approx(1)


@pytest.mark.parametrize(
    ("a", "b"),
    [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0, 0, 0]), ([], []), ([1], [2]), ([1, 2, NAN], [1, 2, 3])],
    ids=["flat map", "no effects", "nothing known", "one position", "not a number"],
)
def test_what_is_constant_or_no_number_has_no_correlation(a, b):
    assert np.isnan(pearson(np.array(a, float), np.array(b, float)))


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_a_correlation_has_no_scale(scale):
    x, y = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
    assert pearson(scale * x, y / scale) == pytest.approx(0.8)


def test_effects_are_the_score_with_each_base_less_that_of_the_window():
    weights = np.array([[0, 1, 2], [3, 5, 8], [1, 1, 1], [0, 0, 4.0]])
    one_hot = one_hot_of("CNT")
    found = effects(one_hot, lambda x: (x * weights).sum(axis=(1, 2)))
    np.testing.assert_allclose(found, [[-3, 0, -2], [0, 0, 4], [-2, 0, -3], [-3, 0, 0]])
    np.testing.assert_allclose(
        mutagenesis(one_hot, lambda x: (x * weights).sum(axis=(1, 2))), [8 / 3, 0, 1 / 3]
    )


def test_a_long_window_is_changed_part_by_part():
    rng = np.random.default_rng(0)
    one_hot = one_hot_of(rng.choice(list("ACGTN"), 200))
    weights = rng.normal(size=one_hot.shape)
    found = effects(one_hot, lambda x: (x * weights).sum(axis=(1, 2)))
    expected = (weights - (one_hot * weights).sum(axis=0)) * one_hot.any(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-12)
