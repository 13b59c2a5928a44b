"""Pruning in torch: the test vectors, the laws, and the oracle on fresh random layers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.pruning import TIES, decision_margin, kept_automatic, kept_by_definition

from sparselrp_cli.relevance.pruning import Pruning, kept, kept_automatically, survivors_scale

LAWS = settings(max_examples=150)
proportions = st.floats(0, 0.99)
layers = st.lists(
    st.one_of(st.floats(-10, 10), st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-300, -5e-324, 1e300])),
    min_size=1,
    max_size=40,
).map(lambda values: torch.tensor([values], dtype=torch.float64))


def pruned(r: torch.Tensor, p: float, q: float) -> torch.Tensor:
    scale, _ = survivors_scale(r, kept(r, p, q))
    return r * scale


@pytest.mark.parametrize(
    ("r", "p", "q", "expected"),
    [
        ([5, 3, 1, 0.5, 0.5, -2, -1, -0.25, 0], 0.25, 0.125, [6.25, 3.75, 0, 0, 0, -13 / 6, -13 / 12, 0, 0]),
        ([1, 1, 1, 1], 0.25, 0.125, [1, 1, 1, 1]),
        ([1, 1, 2, 4], 0.2, 0.1, [1, 1, 2, 4]),
        ([2, -3], 0.9, 0.9, [2, -3]),
    ],
)
def test_vectors_of_the_method(r, p, q, expected):
    result = pruned(torch.tensor([r], dtype=torch.float64), p, q)
    torch.testing.assert_close(result, torch.tensor([expected], dtype=torch.float64), rtol=1e-12, atol=0)


@LAWS
@given(layers, proportions, proportions)
def test_kept_set_is_that_of_the_definition(r, p, q):
    flat = r[0].numpy()
    if decision_margin(flat, p, q) < 1e-9:
        return
    assert kept(r, p, q)[0].tolist() == kept_by_definition(flat, p, q).tolist()


@LAWS
@given(layers)
def test_automatic_kept_set_is_that_of_the_definition(r):
    flat = r[0].numpy()
    for v in (np.maximum(flat, 0), np.maximum(-flat, 0)):
        positive = v[v > 0]
        if (
            len(positive)
            and np.isclose(positive, positive.mean(), rtol=1e-9).any()
            and len(set(positive)) > 1
        ):
            return  # a value at the mean itself: rounding decides
    assert kept_automatically(r)[0].tolist() == kept_automatic(flat).tolist()


@LAWS
@given(layers, proportions, proportions)
def test_mass_of_each_sign_is_conserved_and_survivors_keep_sign_and_order(r, p, q):
    if r.abs()[r != 0].numel() and r.abs()[r != 0].min() < 1e-200:
        return  # sums of subnormal numbers can't be scaled exactly
    result = pruned(r, p, q)
    for sign in (1, -1):
        before, after = (sign * r).clamp(min=0), (sign * result).clamp(min=0)
        torch.testing.assert_close(after.sum(), before.sum(), rtol=1e-12, atol=0)
        survivors = after > 0
        assert ((sign * r)[survivors] > 0).all()
        order = torch.argsort(before[survivors])
        assert (after[survivors][order].diff() >= 0).all()
        if (before > 0).any():
            assert before[survivors].sum() >= (1 - max(p, q)) * before.sum() * (1 - 1e-12)


@LAWS
@given(layers, proportions)
def test_order_of_the_neurons_doesnt_matter(r, p):
    order = torch.arange(r.shape[1]).flip(0)
    assert torch.equal(kept(r[:, order], p, p / 2), kept(r, p, p / 2)[:, order])


def test_samples_are_pruned_apart_from_each_other():
    r = torch.randn(5, 200, generator=torch.Generator().manual_seed(1))
    together = kept(r, 0.3, 0.2)
    alone = torch.cat([kept(row[None], 0.3, 0.2) for row in r])
    assert torch.equal(together, alone)


@pytest.mark.parametrize(("dtype", "ties"), [(torch.float32, TIES), (torch.bfloat16, 2.0**-6)])
def test_lower_precision_prunes_by_the_same_definition(dtype, ties):
    r = torch.randn(3, 500, generator=torch.Generator().manual_seed(2)).to(dtype)
    for row, keep in zip(r, kept(r, 0.25, 0.125), strict=True):
        assert keep.tolist() == kept_by_definition(row.double().numpy(), 0.25, 0.125, ties).tolist()


def test_a_layer_of_zeros_keeps_nothing_and_stays_zero():
    assert not kept(torch.zeros(2, 5), 0.5, 0.5).any()
    assert torch.equal(pruned(torch.zeros(2, 5), 0.5, 0.5), torch.zeros(2, 5))


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_proportion_outside_its_range_is_refused(p):
    with pytest.raises(ValueError, match="isn't in"):
        Pruning(p)
