"""The larger and the smaller of two: the winner takes all; a constant that wins absorbs."""

import numpy as np
import pytest
import torch
from oracles.operations import Called, check_conversions, tensor

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

SHAPE = (2, 3, 6)
ROW = np.random.default_rng(9).normal(size=6)
CHOICE = ["decision", "where"]
CONVERSIONS = {
    "larger of two": (lambda x: torch.maximum(x, x.flip(2)), ["flip", "homogeneous"]),
    "smaller of two": (lambda x: torch.fmin(x, x.flip(2)), ["flip", "homogeneous"]),
    "larger than a constant": (lambda x: torch.maximum(x, tensor(ROW)), CHOICE),
    "larger than a constant, the other way round": (lambda x: torch.fmax(tensor(ROW), x), CHOICE),
    "smaller than a constant": (lambda x: torch.minimum(x, tensor(ROW)), CHOICE),
    "clamped from below": (lambda x: x.clamp(min=tensor(ROW)), CHOICE),
    "clamped from above": (lambda x: torch.clamp_max(x, tensor(ROW)), CHOICE),
    "clamped on both sides": (lambda x: x.clamp(tensor(ROW) - 1, tensor(ROW) + 1), CHOICE + CHOICE),
    "clamped to activations": (
        lambda x: x.clamp(max=x.mean(2, keepdim=True)), ["mean", "homogeneous"]
    ),
    "clamped to a tensor of one number": (
        lambda x: x.clamp(torch.tensor(-0.5, dtype=x.dtype)), ["activation"]
    ),
}  # fmt: skip
WITH_CONSTANTS = {
    "larger": (lambda x: torch.maximum(x, tensor(ROW)), lambda x: x > ROW),
    "smaller": (lambda x: torch.minimum(tensor(ROW), x), lambda x: x < ROW),
    "clamped": (
        lambda x: x.clamp(tensor(ROW) - 1, tensor(ROW) + 1), lambda x: (x > ROW - 1) & (x < ROW + 1)
    ),
}  # fmt: skip


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


@pytest.mark.parametrize(
    ("function", "stays"), WITH_CONSTANTS.values(), ids=WITH_CONSTANTS
)  # fmt: skip
def test_what_stays_takes_its_relevance_and_the_constant_absorbs_the_rest(function, stays):
    x = np.random.default_rng(1).normal(size=SHAPE)
    graph = capture(Called(lambda x: function(x).flatten(1).sum(1, keepdim=True)), tensor(x))
    target = Target("0", (Term(0, 0, None),))
    (found,) = Explainer(graph, [target], None, PRESETS["zero"], Pruning(0.0)).explain(tensor(x))
    np.testing.assert_allclose(found.contributions, np.where(stays(x), x, 0), atol=1e-12)
    np.testing.assert_allclose(found.score - found.relevance - found.absorbed, 0, atol=1e-12)
