"""Slices move neurons; what is cut away gets nothing."""

import numpy as np
import pytest
from oracles.operations import SEEDS, Case, check_conversions, check_refusals, check_relevance, moved

from sparselrp_cli.graph.operations.slice import Slice

SHAPE = (2, 4, 6)


def draw(operation, move):
    return lambda rng: Case(operation, [rng.normal(size=(2, 4, 6))], move, moved(move))


CASES = {
    "slice": draw(Slice(2, 1, 4), lambda x: x[:, :, 1:4]),
    "every second": draw(Slice(2, 1, 6, 2), lambda x: x[:, :, 1::2]),
    "one": draw(Slice(1, 2, 3, drop=True), lambda x: x[:, 2]),
}
CONVERSIONS = {
    "slice": (lambda x: x[:, :, 1:-1], ["slice"]),
    "every second": (lambda x: x[:, :, ::2], ["slice"]),
    "one": (lambda x: x[:, -1], ["slice"]),
    "split": (lambda x: x.split(4, 2)[1], ["slice"]),
    "split with sizes": (lambda x: x.split([1, 2, 3], -1)[1], ["slice"]),
    "chunk": (lambda x: x.chunk(2, 1)[1], ["slice"]),
    "unbind": (lambda x: x.unbind(2)[3], ["slice"]),
    "all of it": (lambda x: x.relu()[:, :, 0:], ["activation"]),
}
REFUSALS = {
    "some samples": (lambda x: x[:1], "slice: it mixes samples or drops the sample axis"),
    "one sample": (lambda x: x[0], "select: it mixes samples or drops the sample axis"),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
