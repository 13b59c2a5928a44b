"""The rules oracle: the test vectors of the method, one neuron at a time by hand, and conservation."""

import numpy as np
import pytest
from oracles.pruning import kept_by_definition, redistribute_lambda
from oracles.rules import RULES, masked_step, stabilise, step

A = np.array([1.0, 2.0, 0.5, 0.0])
WEIGHTS = np.array([[1.0, -1.0], [0.5, 1.0], [0.2, 0.1], [3.0, 3.0]])
NO_BIAS = np.zeros(2)
ABOVE = np.array([2.0, 1.0])


@pytest.mark.parametrize(
    ("rule", "unpruned", "by_lambda", "by_mask"),
    [
        ("z-plus", [0.952381, 1.927991, 0.119628, 0], [0.991935, 2.008065, 0, 0], [1, 2, 0, 0]),
        ("zero", [0, 2.857143, 0.142857, 0], [0, 3, 0, 0], [0, 3, 0, 0]),
    ],
)
def test_the_vectors_of_the_method(rule, unpruned, by_lambda, by_mask):
    r = step(A, WEIGHTS, NO_BIAS, ABOVE, rule, 0.0, nonnegative=True).relevance
    keep = kept_by_definition(r, 0.25)
    masked = masked_step(A, WEIGHTS, NO_BIAS, ABOVE, rule, keep, 1e-3, 0.0, nonnegative=True)

    np.testing.assert_allclose(r, unpruned, rtol=0, atol=1e-6)
    np.testing.assert_allclose(redistribute_lambda(r, keep), by_lambda, rtol=0, atol=1e-6)
    np.testing.assert_allclose(masked.relevance, by_mask, rtol=0, atol=1e-6)
    assert not masked.fell_back.any()


@pytest.mark.parametrize(
    ("rule", "nonnegative", "a", "w", "b", "shares", "absorbed"),
    [
        # z = 2 - 1 + 1 = 2
        ("zero", True, [1, 1], [2, -1], 1, [1, -0.5], 0.5),
        # z = 2 - 2 = 0: nothing can be shared
        ("zero", True, [1, 1], [2, -1], -1, [0, 0], 1),
        # z + eps = 2.5
        ("epsilon", True, [1, 1], [2, -1], 1, [2 / 2.5, -1 / 2.5], 1.5 / 2.5),
        # z - eps = -2.5
        ("epsilon", False, [-1, 1], [2, -1], 1, [2 / 2.5, 1 / 2.5], -0.5 / 2.5),
        # z = 0 counts as positive: denominator eps = .5
        ("epsilon", True, [1, 1], [2, -1], -1, [2 / 0.5, -1 / 0.5], -0.5 / 0.5),
        # positive weights and bias only, 2 + 1 + .5
        ("z-plus", True, [1, 1], [2, -1], 1, [2 / 3.5, 0], 1.5 / 3.5),
        ("z-plus", True, [1, 1], [2, -1], -1, [2 / 2.5, 0], 0.5 / 2.5),
        # both signs: 3 * 2 from the positive input, -1 * -1 from the negative one
        ("z-plus", False, [3, -1], [2, -1], 1, [6 / 8.5, 1 / 8.5], 1.5 / 8.5),
        ("z-plus", False, [-3, 1], [2, -1], -1, [0, 0], 1),
        # weights 2 + .5 and -1, bias 1.25, denominator 2.75 + .5
        ("gamma", True, [1, 1], [2, -1], 1, [2.5 / 3.25, -1 / 3.25], 1.75 / 3.25),
        # true output 3 >= 0: weights 2.5 where a > 0 and -1.25 where a < 0, bias 1.25
        ("gamma", False, [1, -1], [2, -1], 0, [2.5 / 4.25, 1.25 / 4.25], 0.5 / 4.25),
        ("gamma", False, [1, 1], [2, -1], 1, [2.5 / 3.25, -1 / 3.25], 1.75 / 3.25),
        # true output -5 < 0: the other way round, -2 * 2.5 + 1 * -1.25 - 1.25 = -7.5, stabilised to -8
        ("gamma", False, [-2, 1], [2, -1], -1, [5 / 8, 1.25 / 8], 1.75 / 8),
        # true output -2 < 0 with non-negative inputs: the negative contribution is favoured, 2 - 5 - .5
        ("gamma", True, [1, 1], [2, -4], 0, [-2 / 3.5, 5 / 3.5], 0.5 / 3.5),
    ],
)
def test_one_output_neuron_by_hand(rule, nonnegative, a, w, b, shares, absorbed):
    a, w, b = np.array(a, dtype=float), np.array(w, dtype=float)[:, None], np.array([b], dtype=float)

    out = step(a, w, b, np.ones(1), rule, 0.5, nonnegative=nonnegative, gamma=0.25)

    np.testing.assert_allclose(out.relevance, shares, rtol=1e-14)
    np.testing.assert_allclose(out.absorbed, [absorbed], rtol=1e-14)


def test_the_sign_of_zero_is_positive():
    assert stabilise(0.0, 0.5) == stabilise(-0.0, 0.5) == 0.5
    assert stabilise(-1.0, 0.5) == -1.5


def test_a_non_negative_input_with_negative_entries_is_refused():
    with pytest.raises(ValueError, match="has negative entries"):
        step(-A, WEIGHTS, NO_BIAS, ABOVE, "z-plus", 0.0, nonnegative=True)


def test_an_unknown_rule_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown rule 'delta'; the rules are zero, epsilon, gamma, z-plus"):
        step(A, WEIGHTS, NO_BIAS, ABOVE, "delta", 0.0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("eps", [0.0, 1e-6, 0.3])
def test_relevance_and_what_is_absorbed_add_up_to_the_relevance_above(rule, nonnegative, eps):
    rng = np.random.default_rng(0)
    a = rng.normal(size=6)
    a = np.abs(a) if nonnegative else a
    W, b, R = rng.normal(size=(6, 5)), rng.normal(size=5), rng.normal(size=5)  # noqa: N806
    keep = np.array([True, False, True, False, False, True])

    plain = step(a, W, b, R, rule, eps, nonnegative=nonnegative)
    masked = masked_step(a, W, b, R, rule, keep, 1e-3, eps, nonnegative=nonnegative)

    for out in (plain, masked):
        assert out.relevance.sum() + out.absorbed.sum() == pytest.approx(R.sum(), abs=1e-12)


@pytest.mark.parametrize("rule", ["z-plus", "gamma"])
def test_on_non_negative_inputs_and_outputs_the_signed_form_is_the_plain_one(rule):
    rng = np.random.default_rng(1)
    a, W, R = np.abs(rng.normal(size=6)), np.abs(rng.normal(size=(6, 5))), rng.normal(size=5)  # noqa: N806
    W[0] *= -0.1

    one = step(a, W, np.ones(5), R, rule, 1e-6, nonnegative=True)
    other = step(a, W, np.ones(5), R, rule, 1e-6, nonnegative=False)

    np.testing.assert_array_equal(one.relevance, other.relevance)
    np.testing.assert_array_equal(one.absorbed, other.absorbed)


def test_a_masked_column_leaves_the_bias_out_and_a_column_that_falls_back_keeps_it():
    W = np.array([[1.0, 0.0], [2.0, 3.0]])  # noqa: N806
    b = np.array([1.0, 1.0])

    out = masked_step(np.ones(2), W, b, np.array([4.0, 8.0]), "epsilon", np.array([True, False]), 1e-3, 0.0)

    # Column 0 has one survivor, which gets all; column 1 has none: z = 3 + 1 as if nothing were masked.
    assert out.fell_back.tolist() == [False, True]
    assert out.relevance.tolist() == [4.0, 6.0]
    assert out.absorbed.tolist() == [0.0, 2.0]


def test_a_masked_column_that_nearly_cancels_falls_back():
    W = np.array([[1.0], [-0.9], [2.0]])  # noqa: N806
    arguments = (np.ones(3), W, np.zeros(1), np.ones(1), "zero", np.array([True, True, False]))

    kept = masked_step(*arguments, 0.05, 0.0)  # |.1| >= .05 * 1.9
    fallen = masked_step(*arguments, 0.06, 0.0)

    np.testing.assert_allclose(kept.relevance, [10, -9, 0])
    np.testing.assert_allclose(fallen.relevance, [1 / 2.1, -0.9 / 2.1, 2 / 2.1])
    assert (kept.fell_back.tolist(), fallen.fell_back.tolist()) == ([False], [True])
