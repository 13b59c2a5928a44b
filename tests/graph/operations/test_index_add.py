# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Sums into chosen places: what is added takes the share of its term."""

import numpy as np
import pytest
import torch
from oracles.operations import (
    SEEDS,
    Array,
    Case,
    check_conversions,
    check_refusals,
    check_relevance,
)
from torch.nn import functional

from sparselrp_cli.graph.operations.index_add import IndexAdd

SHAPE = (2, 3, 6)
TO = np.array([2, 0, 2, 2, 0, 4])


def draw(rng: np.random.Generator) -> Case:
    def forward(x: Array) -> Array:
        y = np.zeros((2, 3, 5))
        np.add.at(y, (slice(None), slice(None), TO), x)
        return y

    def oracle(R: Array, x: Array) -> list[Array]:
        y, r = forward(x), np.zeros(x.shape)
        for n, c, j in np.ndindex(*x.shape):
            r[n, c, j] = x[n, c, j] / y[n, c, TO[j]] * R[n, c, TO[j]]
        return [r]

    return Case(IndexAdd(2, torch.from_numpy(TO), 5), [rng.normal(size=SHAPE)], forward, oracle)


CASES = {"index add": draw}


def places(x: torch.Tensor) -> torch.Tensor:
    return torch.tensor([[0, 1, 0], [2, 2, 2]]).expand(len(x), -1, -1)


CONVERSIONS = {
    "to what was there": (
        lambda x: (x * 2).index_add(2, torch.tensor([0, 3, 0]), x[:, :, :3], alpha=2),
        ["scale", "slice", "scale", "index-add", "add"],
    ),
    "to zeros": (
        lambda x: x.new_zeros(len(x), 3, 2).index_add_(2, torch.tensor([0, 1] * 3), x), ["index-add"]
    ),
    "to a constant": (
        lambda x: torch.ones(len(x), 3, 2).to(x).index_add(2, torch.tensor([0, 1] * 3), x),
        ["index-add", "shift"],
    ),
    "by the same index for every sample": (
        lambda x: (x * 2).scatter_add(2, places(x), x[:, :, 3:]),
        ["scale", "slice", "reshape", "slice", "reshape", "index-add", "add", "reshape"],
    ),
    "their mean": (
        lambda x: x.new_ones(len(x), 3, 4).scatter_reduce(2, places(x), x, "mean"),
        ["slice", "slice", "reshape", "index-add", "shift", "scale", "reshape"],
    ),
    "their mean, what was there left out": (
        lambda x: (x * 2).scatter_reduce(2, places(x), x, "mean", include_self=False),
        ["scale", "reshape", "slice", "slice", "reshape", "scale", "index-add", "add", "scale", "reshape"],
    ),
    "their mean along an axis": (
        lambda x: x.new_zeros(len(x), 3, 2).index_reduce(
            2, torch.tensor([0, 1] * 3), x, "mean", include_self=False
        ),
        ["reshape", "index-add", "scale", "reshape"],
    ),
    "accumulated": (
        lambda x: (x * 2).transpose(0, 2).index_put(
            (torch.tensor([0, 0]),), x.transpose(0, 2)[:2], accumulate=True
        ).transpose(0, 2),
        ["scale", "permute", "permute", "slice", "index-add", "add", "permute"],
    ),
    "overlapping windows": (
        lambda x: functional.fold(x.reshape(len(x), 6, 3), (1, 5), (1, 3)),
        ["reshape", "reshape", "permute", "reshape", "index-add", "reshape", "pad"],
    ),
}  # fmt: skip
REFUSALS = {
    "the largest": (
        lambda x: x.scatter_reduce(2, places(x), x, "amax"),
        "scatter_reduce: its reduction 'amax' has no rule; 'sum' and 'mean' have one",
    ),
    "along the samples": (
        lambda x: x.index_add(0, torch.tensor([0]), x[:1]),
        "index_add: it works along the samples, which must stay apart",
    ),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
