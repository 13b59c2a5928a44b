# ruff: noqa: N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Dense layers against their matrix."""

import numpy as np
import pytest
import torch
from oracles.operations import (
    LAYER_RULES,
    SEEDS,
    Array,
    Called,
    check_conversions,
    check_layer,
    check_refusals,
    tensor,
)
from torch.nn import functional

from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.dense import Dense

SHAPE = (2, 4, 6)


def as_matrix(layer: Dense, x: Array) -> tuple[Array, Array]:
    """The same weights at every position."""
    positions, features = x.shape
    W = layer.weight.numpy()
    M = np.zeros((positions, features, positions, len(W)))
    for p, o, i in np.ndindex(positions, *W.shape):
        M[p, i, p, o] = W[o, i]
    bias = np.zeros(len(W)) if layer.bias is None else layer.bias.numpy()
    return M.reshape(x.size, -1), np.tile(bias, positions)


def draw(*, bias: bool):
    def layer(rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
        return Dense(tensor(rng.normal(size=(4, 5))), tensor(rng.normal(size=4)) if bias else None), (2, 5)

    return layer


LAYERS = {"dense": draw(bias=True), "dense, no bias": draw(bias=False)}


def weights(*shape: int) -> torch.Tensor:
    return torch.arange(float(np.prod(shape)), dtype=torch.float64).reshape(shape).cos()


CONVERSIONS = {"linear": (lambda x: functional.linear(x, weights(3, 6), weights(3)), ["dense"])}
REFUSALS = {
    "embedding of a number": (
        lambda x: functional.embedding(x[:, 0].long(), weights(9, 3)),
        "embedding: only embeddings of tokens that one base each decides have a rule, such as"
        " x.argmax(axis) + 4 for one-hot x, with special tokens before or behind; where several do, as of"
        " k-mers, let forward take the tokens' ids and name them with --tokens",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rule", LAYER_RULES)
@pytest.mark.parametrize("draw", LAYERS.values(), ids=LAYERS)
def test_every_rule_follows_the_matrix(draw, rule, seed):
    rng = np.random.default_rng(seed)
    layer, shape = draw(rng)
    check_layer(layer, as_matrix, rng.normal(size=(2, *shape)), rule, rng)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))


def test_an_embedding_of_the_observed_base_is_a_dense_layer():
    bases = torch.eye(4, dtype=torch.float64)[torch.tensor([[0, 3, 1, 2], [2, 2, 0, 1]])].transpose(1, 2)
    net = Called(lambda x: functional.embedding(x.argmax(1), weights(5, 3)))
    graph = capture(net, bases)
    assert [node.operation.kind for node in graph.nodes] == ["permute", "dense"]
    assert max(check_against_module(graph, net, bases).values()) < 1e-12
