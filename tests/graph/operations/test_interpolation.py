"""Weighted means of two tensors: each term takes its share; a weight that the sequence decides is a gate."""

import numpy as np
import torch
from oracles.operations import Called, check_conversions, tensor

from sparselrp_cli.graph.capture import capture

SHAPE = (2, 3, 6)
ROW = np.random.default_rng(9).random(6)
CONVERSIONS = {
    "by a number": (lambda x: torch.lerp(x, x.flip(2), 0.3), ["flip", "scale", "scale", "add"]),
    "by a constant": (lambda x: torch.lerp(x, x.flip(2), tensor(ROW)), ["flip", "scale", "scale", "add"]),
    "to a constant": (lambda x: torch.lerp(x, tensor(ROW), 0.3), ["scale", "shift"]),
    "from a constant": (lambda x: torch.lerp(tensor(ROW), x, 0.3), ["scale", "shift"]),
    "by a gate": (
        lambda x: torch.lerp(x, x.flip(2), x.sigmoid()),
        ["flip", "activation", "negate", "shift", "product", "product", "add"],
    ),
    "from a constant by a gate": (
        lambda x: torch.lerp(tensor(ROW), x, x.sigmoid()),
        ["activation", "negate", "shift", "scale", "product", "add"],
    ),
    "to a constant by a gate": (
        lambda x: torch.lerp(x, tensor(ROW), x.sigmoid()),
        ["activation", "negate", "shift", "product", "scale", "add"],
    ),
    "between constants": (
        lambda x: torch.lerp(tensor(ROW), tensor(ROW[::-1]), x.sigmoid()),
        ["activation", "negate", "shift", "scale", "scale", "add"],
    ),
}  # fmt: skip


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_the_weight_is_a_gate_and_each_part_a_signal():
    graph = capture(Called(CONVERSIONS["by a gate"][0]), torch.ones(SHAPE, dtype=torch.float64))
    products = [n.operation.describe() for n in graph.nodes if n.operation.kind == "product"]
    assert products == ["gate: factor 1", "gate: factor 1"]
