# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Batch normalisation that stands alone: ``scale * x + shift`` per channel, the shift absorbs."""

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Called, Case, check_relevance, tensor
from torch import nn

from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.operations.batch_norm import ChannelAffine

SCALE, SHIFT = np.random.default_rng(9).normal(size=(2, 3))


def in_proportion(R, x):
    s, t = SCALE[None, :, None], SHIFT[None, :, None]
    return [s * x / (s * x + t) * R]


CASES = {
    "affine": lambda rng: Case(
        ChannelAffine(tensor(SCALE), tensor(SHIFT)), [rng.normal(size=(2, 3, 4))],
        lambda x: SCALE[:, None] * x + SHIFT[:, None], in_proportion,
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm1d(3), nn.BatchNorm1d(3, affine=False)], ids=["batch", "without weights"]
)
def test_a_norm_with_fixed_statistics_is_an_affine_map_per_channel(norm):
    torch.manual_seed(1)
    norm = norm.double()
    norm.train()(3 * torch.rand(5, 3, 6, dtype=torch.float64))
    norm.eval()
    x = torch.rand(2, 3, 6, dtype=torch.float64)
    graph = capture(Called(lambda x: norm(x.flip(2))), x)
    assert [n.operation.kind for n in graph.nodes] == ["flip", "affine"]
    assert max(check_against_module(graph, lambda x: norm(x.flip(2)), x).values()) < 1e-12
