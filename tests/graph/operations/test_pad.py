"""Padding moves neurons; a constant that isn't 0 absorbs."""

import numpy as np
import pytest
from oracles.operations import SEEDS, Case, check_conversions, check_refusals, check_relevance, moved
from torch.nn import functional

from sparselrp_cli.graph.operations.pad import Pad

SHAPE = (2, 3, 6)


def padded(x, value=0.0):
    return np.pad(x, ((0, 0), (0, 0), (2, 1)), constant_values=value)


CASES = {
    "padded": lambda rng: Case(Pad((2, 1)), [rng.normal(size=(2, 3, 4))], padded, moved(padded)),
    "padded with a number": lambda rng: Case(
        Pad((2, 1), 1.5), [rng.normal(size=(2, 3, 4))], lambda x: padded(x, 1.5), moved(padded)
    ),
    "cut": lambda rng: Case(
        Pad((-1, 0, 0, -1)), [rng.normal(size=(2, 3, 4))], lambda x: x[:, :-1, 1:],
        moved(lambda x: x[:, :-1, 1:]),
    ),
}  # fmt: skip
CONVERSIONS = {
    "zeros": (lambda x: functional.pad(x, (2, 1)), ["pad"]),
    "a number": (lambda x: functional.pad(x, (2, 1, 0, 1), value=0.5), ["pad"]),
    "mirrored": (lambda x: functional.pad(x, (2, 1), "reflect"), ["homogeneous"]),
}
REFUSALS = {
    "samples": (
        lambda x: functional.pad(x, (0, 0, 0, 0, 1, 0)),
        "pad: it mixes samples or drops the sample axis",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
