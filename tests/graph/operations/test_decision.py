# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Comparisons decide: they carry no relevance, and absorb what they are given."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Case, check_conversions, check_relevance

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations.decision import Decision

SHAPE = (2, 3, 6)
SIGN = Decision(torch.ops.aten.sign.default, (("self", Place(0)),), "sign")
CASES = {
    "sign": lambda rng: Case(
        SIGN, [rng.normal(size=(2, 3, 4))], np.sign, lambda R, x: [np.zeros(x.shape)]
    ),
}  # fmt: skip
CONVERSIONS = {
    "comparison of two": (
        lambda x: (x > x.flip(2)).to(x.dtype) * x, ["flip", "decision", "decision", "product"]
    ),
    "comparison with a number": (lambda x: (x.abs() <= 0.5) * x, ["activation", "decision", "product"]),
    "of comparisons": (
        lambda x: ((x > 0) & ~(x > 1)) * x, ["decision", "decision", "decision", "decision", "product"]
    ),
    "rounded": (lambda x: x.round() * x, ["decision", "product"]),
    "read as a number": (lambda x: x.sign().mean(2), ["decision", "decision"]),
    "moved, and read as a number": (
        lambda x: torch.nn.functional.pad(x.sign(), (1, 1)).sum(2), ["decision", "pad", "decision"]
    ),
    "added to what is none": (lambda x: x + x.round(), ["decision", "add"]),
    "chosen by a step": (
        lambda x: torch.where(x > 0, 1.0, 0.0).to(x.dtype), ["decision", "where", "decision"]
    ),
    "moved": (
        lambda x: (x > 0).flip(2)[:, :1].expand(-1, 3, -1).transpose(1, 2) * x.transpose(1, 2),
        ["decision", "flip", "slice", "expand", "permute", "permute", "product"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_a_step_function_absorbs_what_it_is_given():
    x, c = np.random.default_rng(0).normal(size=(2, 2, 3))
    at = At((torch.from_numpy(x),), *SIGN.forward(torch.from_numpy(x)))
    assert SIGN.pull(torch.from_numpy(c), at) == (None,)
    np.testing.assert_array_equal(SIGN.absorbed(torch.from_numpy(c), at), c * np.sign(x))
