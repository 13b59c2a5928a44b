"""Products: half to each factor, or all to the signal where the other is a gate."""

import numpy as np
import pytest
import torch
from oracles.operations import (
    SEEDS,
    Called,
    Case,
    check_conversions,
    check_relevance,
    passed_on,
    shares,
    tensor,
)

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operations.product import Product, Scale

SHAPE, A, B = (2, 3, 6), (2, 3, 4), (2, 3, 1)
FACTOR = np.random.default_rng(9).normal(size=(1, 3, 1))


def draw(operation, given, *shapes):
    return lambda rng: Case(
        operation, [rng.normal(size=s) for s in shapes], lambda x, y: x * y, shares(*given)
    )


CASES = {
    "product": draw(Product(), (0.5, 0.5), A, B),
    "product with a gate": draw(Product(gate=1), (1.0, 0.0), A, A),
    "product with a smaller signal": draw(Product(gate=0), (0.0, 1.0), A, B),
    "uniform product with a gate": draw(Product(gate=1, rule="uniform"), (0.5, 0.5), B, A),
    "scale": lambda rng: Case(Scale(tensor(FACTOR)), [rng.normal(size=A)], lambda x: FACTOR * x, passed_on),
    "scale what is broadcast": lambda rng: Case(
        Scale(tensor(FACTOR)), [rng.normal(size=(2, 1, 4))], lambda x: FACTOR * x, passed_on
    ),
}
CONVERSIONS = {
    "product": (lambda x: x * x.flip(2), ["flip", "product"]),
    "gate first": (lambda x: torch.sigmoid(x) * x, ["activation", "product"]),
    "times a number": (lambda x: x * 2, ["scale"]),
    "a number times": (lambda x: torch.arange(6.0, dtype=x.dtype) * x, ["scale"]),
    "a mask": (lambda x: (x > 0) * x, ["decision", "product"]),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


@pytest.mark.parametrize(
    ("function", "described"),
    [
        (lambda x: x * x.flip(2), ""),
        (lambda x: torch.sigmoid(x) * x, "gate: factor 1"),
        (lambda x: x * (1 - torch.sigmoid(x)), "gate: factor 2"),
        (lambda x: x * (2 * torch.sigmoid(x) * torch.sigmoid(x).clamp(0.2, 0.8)).flip(2), "gate: factor 2"),
        (lambda x: x * (x > 0).to(x.dtype)[:, :, :1], "gate: factor 2"),
        (lambda x: x * torch.rsqrt(x.square().mean(2, keepdim=True) + 1), "gate: factor 2"),
        (lambda x: x * (x.square() + 1) ** -1.5, "gate: factor 2"),
        (lambda x: torch.sigmoid(x) * torch.sigmoid(x.flip(2)), ""),
        (lambda x: x * torch.relu(torch.sigmoid(x)), ""),
    ],
    ids=["none", "sigmoid", "what is left of one", "gates of gates, moved", "decision", "norm", "power",
         "two gates", "a function of a gate"],
)  # fmt: skip
def test_a_factor_is_a_gate_if_it_is_made_of_gates_only(function, described):
    graph = capture(Called(function), torch.rand(*SHAPE, dtype=torch.float64))
    assert graph.nodes[-1].operation.kind == "product"
    assert graph.nodes[-1].operation.describe() == described
