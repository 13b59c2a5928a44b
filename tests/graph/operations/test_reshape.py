"""Reshapes move neurons, and say where samples are afterwards."""

import numpy as np
import pytest
from oracles.operations import SEEDS, Case, check_conversions, check_refusals, check_relevance, moved

from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.shapes import BatchDim

SHAPE, N = (2, 3, 6), BatchDim()
CASES = {
    "flattened": lambda rng: Case(
        Reshape((N, 3, 6), (N, 18)), [rng.normal(size=SHAPE)], lambda x: x.reshape(2, 18),
        moved(lambda x: x.reshape(2, 18)),
    ),
    "merged with samples": lambda rng: Case(
        Reshape((N, 3, 6), (BatchDim(3), 6)), [rng.normal(size=SHAPE)], lambda x: x.reshape(6, 6),
        moved(lambda x: x.reshape(6, 6)),
    ),
}  # fmt: skip
CONVERSIONS = {
    "view": (lambda x: x.view(-1, 2, 9), ["reshape"]),
    "flatten": (lambda x: x.flatten(1), ["reshape"]),
    "unflatten": (lambda x: x.unflatten(2, (2, 3)), ["reshape"]),
    "unsqueeze": (lambda x: x.unsqueeze(1), ["reshape"]),
    "squeeze": (lambda x: x[:, :1].squeeze(1), ["slice", "reshape"]),
    "squeeze of two axes": (lambda x: x[:, :1, :1].squeeze((1, 2)), ["slice", "slice", "reshape"]),
    "nothing": (lambda x: x.relu().reshape(x.shape), ["activation"]),
}
REFUSALS = {
    "samples along an axis that holds others' numbers": (
        lambda x: x.permute(1, 0, 2).reshape(18, -1), "reshape: it mixes samples"
    ),
    "samples cut": (lambda x: x.permute(1, 0, 2).reshape(9, -1), "reshape: it mixes samples"),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
