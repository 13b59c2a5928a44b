"""Distances: of two activations by their shares, from a constant the norm of a difference."""

import numpy as np
import pytest
import torch
from oracles.operations import Called, check_conversions, tensor

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE

SHAPE = (2, 4, 6)
ROWS = np.random.default_rng(9).normal(size=(3, 6))
MANY = np.random.default_rng(8).normal(size=(30, 6))
CONVERSIONS = {
    "of two": (lambda x: torch.cdist(x, x.flip(2)), ["flip", "homogeneous"]),
    "of two, of many rows": (lambda x: torch.cdist(x.repeat(1, 8, 1), x), ["homogeneous", "homogeneous"]),
    "from a constant": (lambda x: torch.cdist(x, tensor(ROWS)), ["reshape", "shift", "homogeneous"]),
    "of a constant": (lambda x: torch.cdist(tensor(ROWS), x), ["reshape", "shift", "homogeneous"]),
    "from many rows": (lambda x: torch.cdist(x, tensor(MANY)), ["reshape", "shift", "homogeneous"]),
    "by sums": (lambda x: torch.cdist(x, tensor(ROWS), p=1), ["reshape", "shift", "homogeneous"]),
    "by the largest": (
        lambda x: torch.cdist(x, tensor(ROWS), p=float("inf")), ["reshape", "shift", "homogeneous"]
    ),
    "two sides": (lambda x: torch.hypot(x, x.flip(2)), ["flip", "homogeneous"]),
    "a constant side": (
        lambda x: torch.hypot(x, tensor(ROWS[:1])), ["activation", "shift", "activation"]
    ),
}  # fmt: skip


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_a_distance_from_a_constant_is_shared_by_the_terms_of_the_difference(p):
    x = np.random.default_rng(0).random((2, 4, 6))
    net = Called(lambda x: torch.cdist(x, tensor(ROWS), p=p).flatten(1))
    target = [Target("one", (Term(0, 7, None),))]  # row 2 of x and 1 of the constants
    explainer = Explainer(capture(net, tensor(x)), target, composite=PRESETS["zero"], pruning=NONE)
    (found,) = explainer.explain(tensor(x))
    expected = np.zeros(x.shape)
    absorbed = np.zeros(2)
    for n in range(2):
        difference = x[n, 2] - ROWS[1]
        size = (np.abs(difference) ** p).sum() ** (1 / p)
        for k in range(6):
            relevance = np.abs(difference[k]) ** p / size ** (p - 1)
            expected[n, 2, k] = relevance * x[n, 2, k] / difference[k]
            absorbed[n] += relevance * -ROWS[1, k] / difference[k]
    np.testing.assert_allclose(found.contributions.numpy(), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.absorbed.numpy(), absorbed, rtol=1e-10)
    assert float(found.conservation_error.max()) < 1e-12
