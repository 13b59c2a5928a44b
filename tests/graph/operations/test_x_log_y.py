"""A number times a logarithm: half to each; 0 where the number is 0."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Case, check_conversions, check_refusals, check_relevance, shares

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations.x_log_y import XLogY

SHAPE = (2, 3, 6)


def case(first, second):
    def draw(rng):
        inputs = [rng.normal(size=first), 1.2 + rng.random(second)]
        return Case(XLogY(), inputs, lambda x, y: x * np.log(y), shares(0.5, 0.5))

    return draw


CASES = {
    "of two": case((2, 3, 4), (2, 3, 4)),
    "a broadcast number": case((2, 1, 4), (2, 3, 4)),
    "a broadcast logarithm": case((2, 3, 4), (2, 1, 4)),
}
NUMBERS = torch.tensor([[0.5], [2.0], [3.0]]).double()
CONVERSIONS = {
    "of two": (lambda x: torch.xlogy(x, x.exp()), ["activation", "x-log-y"]),
    "special": (lambda x: torch.special.xlogy(x, x.exp()), ["activation", "x-log-y"]),
    "of a constant": (lambda x: torch.xlogy(NUMBERS, x.exp()), ["activation", "activation", "scale"]),
    "of a number": (lambda x: torch.xlogy(2, x.exp()), ["activation", "activation", "scale"]),
    "by a constant": (lambda x: torch.xlogy(x, NUMBERS), ["scale"]),
    "by whole numbers": (lambda x: torch.xlogy(x, torch.arange(2, 8)), ["scale"]),
    "by a number": (lambda x: torch.special.xlogy(x, 3), ["scale"]),
    "entropy": (lambda x: torch.special.entr(x.exp()), ["activation", "activation"]),
}
REFUSALS = {
    "by 0": (
        lambda x: torch.xlogy(x, NUMBERS - 0.5), "xlogy: logarithms of 0 and of negative numbers have no rule"
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


def test_zeros_and_ones_get_no_relevance_rather_than_nan():
    x, y = torch.tensor([0.0, 0.0, 2.0]).double(), torch.tensor([0.0, 0.0, 1.0]).double()
    operation = XLogY()
    z, _ = operation.forward(x, y)
    on_x, on_y = operation.pull(torch.ones_like(z), At((x, y), z))
    assert z.tolist() == on_x.tolist() == on_y.tolist() == [0.0, 0.0, 0.0]


class Information(torch.nn.Module):
    def forward(self, x):
        return torch.special.entr(x).sum(1)


def test_the_entropy_of_certain_bases_is_0_and_finite():
    x = torch.zeros(1, 4, 5).double()
    x[:, 2] = 1
    graph = capture(Information(), x)
    assert graph.outputs_for(x)[graph.outputs[0].node].abs().max() == 0
