# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Tensors side by side move neurons; constants among them absorb."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Array, Case, check_conversions, check_relevance, tensor

from sparselrp_cli.graph.operations.concatenate import Concatenate

SHAPE = (2, 3, 6)
CONSTANT = np.random.default_rng(9).normal(size=(1, 2, 4))


def of_two(rng: np.random.Generator) -> Case:
    def oracle(R: Array, x: Array, y: Array) -> list[Array]:
        return [R[:, : x.shape[1]], R[:, x.shape[1] :]]

    inputs = [rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 1, 4))]
    return Case(Concatenate(1, (None, None)), inputs, lambda x, y: np.concatenate([x, y], 1), oracle)


def of_a_constant(rng: np.random.Generator) -> Case:
    def forward(x: Array) -> Array:
        return np.concatenate([np.repeat(CONSTANT, len(x), 0), x], 1)

    operation = Concatenate(1, (tensor(CONSTANT), None))
    return Case(operation, [rng.normal(size=(2, 3, 4))], forward, lambda R, x: [R[:, 2:]])


def stacked(rng: np.random.Generator) -> Case:
    inputs = [rng.normal(size=(2, 3, 4)) for _ in range(2)]
    operation = Concatenate(2, (None, None), stack=True)
    return Case(operation, inputs, lambda x, y: np.stack([x, y], 2), lambda R, x, y: [R[:, :, 0], R[:, :, 1]])


CASES = {"two": of_two, "with a constant": of_a_constant, "stacked": stacked}
CONVERSIONS = {
    "one after another": (lambda x: torch.hstack([x, x]), ["concatenate"]),
    "at the end": (lambda x: torch.dstack([x, x]), ["concatenate"]),
    "columns": (lambda x: torch.column_stack([x, x]), ["concatenate"]),
    "cat": (lambda x: torch.cat([x, x.flip(2)], 1), ["flip", "concatenate"]),
    "cat with a constant": (
        lambda x: torch.cat([torch.ones(1, 2, 6, dtype=x.dtype).expand(len(x), -1, -1), x], 1),
        ["concatenate"],
    ),
    "stack": (lambda x: torch.stack([x, x.flip(2)], -1), ["flip", "concatenate"]),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))
