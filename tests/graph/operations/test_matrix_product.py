# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Products of matrices: half to each factor (AttnLRP, prop. 3.3)."""

import functools
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from oracles.attention import matrix_product
from oracles.operations import (
    SEEDS,
    Array,
    Case,
    broadcast,
    check_conversions,
    check_refusals,
    check_relevance,
)
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operations.matrix_product import MatrixProduct
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

SHAPE = (2, 3, 6)


def batched(R: Array, x: Array, y: Array) -> list[Array]:
    relevance = [np.zeros(x.shape), np.zeros(y.shape)]
    for index in np.ndindex(*R.shape[:-2]):
        places = [broadcast(index, v.shape[:-2]) for v in (x, y)]
        for r, place, part in zip(
            relevance, places, matrix_product(R[index], x[places[0]], y[places[1]]), strict=True
        ):
            r[place] += part
    return relevance


CASES = {
    "matrix product": lambda rng: Case(
        MatrixProduct(), [rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 1, 5, 2))], np.matmul, batched
    ),
}


def weights(*shape: int) -> torch.Tensor:
    return torch.arange(float(np.prod(shape)), dtype=torch.float64).reshape(shape).sin()


CONVERSIONS = {
    "of two": (lambda x: x @ x.transpose(1, 2), ["permute", "matrix-product"]),
    "batched": (lambda x: torch.bmm(x, x.transpose(1, 2)), ["permute", "matrix-product"]),
    "batched and added to a constant": (
        lambda x: torch.baddbmm(weights(1, 3, 3), x, x.transpose(1, 2), alpha=2),
        ["permute", "matrix-product", "scale", "shift"],
    ),
    "with a constant": (lambda x: x @ weights(6, 2), ["dense"]),
    "of a constant": (lambda x: weights(2, 3) @ x, ["dense"]),
    "of groups with a constant": (
        lambda x: torch.bmm(x.transpose(0, 1), weights(3, 6, 2)).transpose(0, 1),
        ["permute", "dense", "permute"],
    ),
    "of a constant with groups": (
        lambda x: torch.bmm(weights(3, 5, 6), x.permute(1, 2, 0)).permute(2, 0, 1),
        ["permute", "dense", "permute"],
    ),
    "with one constant for every sample": (
        lambda x: torch.bmm(x, weights(1, 6, 2).expand(len(x), -1, -1)), ["dense"]
    ),
    "of groups, added to a constant": (
        lambda x: torch.baddbmm(
            weights(3, 1, 2), x.transpose(0, 1), weights(3, 6, 2), alpha=2
        ).transpose(0, 1),
        ["permute", "dense", "scale", "shift", "permute"],
    ),
    "with a constant of three axes": (lambda x: x.unsqueeze(2) @ weights(3, 6, 2), ["reshape", "dense"]),
    "of a constant of three axes": (lambda x: weights(3, 2, 6) @ x.unsqueeze(3), ["reshape", "dense"]),
    "repeated for groups": (
        lambda x: x.unsqueeze(1) @ weights(4, 6, 2), ["reshape", "homogeneous"]
    ),
    "with a constant vector": (lambda x: x @ weights(6), ["homogeneous"]),
}  # fmt: skip
REFUSALS = {
    "scaled": (
        lambda x: torch.baddbmm(x @ x.transpose(1, 2), x, x.transpose(1, 2), beta=2),
        "baddbmm: baddbmm with beta has no rule",
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


class Grouped(nn.Module):
    """A grouped linear layer between two layers, written in several ways."""

    def __init__(self, layer: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv1d(4, 12, 5), nn.Linear(6, 2)
        self.weight, self.layer = nn.Parameter(torch.randn(3, 4, 2)), layer

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.conv(x)).amax(2).view(-1, 3, 4)
        return self.head(torch.relu(self.layer(hidden, self.weight).reshape(-1, 6)))


def as_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """The same as a convolution of width 1 in groups."""
    return functional.conv1d(x.reshape(-1, 12, 1), weight.transpose(1, 2).reshape(6, 4, 1), groups=3)


WRITTEN = {
    "bmm": lambda x, weight: torch.bmm(x.transpose(0, 1), weight).transpose(0, 1),
    "einsum": lambda x, weight: torch.einsum("bgi,gio->bgo", x, weight),
    "matmul": lambda x, weight: x.unsqueeze(2) @ weight,
    "matmul of the constant": lambda x, weight: weight.transpose(1, 2) @ x.unsqueeze(3),
}


PRUNINGS = (Pruning(0.0), Pruning(0.25), Pruning(0.25, redistribute="m"))


@functools.cache
def relevance(layer: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
    """Of one task, by three rules, each unpruned and pruned in two ways."""
    bases = torch.randint(4, (3, 30), generator=torch.Generator().manual_seed(1))
    x = functional.one_hot(bases, 4).transpose(1, 2).double()
    graph, target, found = capture(Grouped(layer).double().eval(), x), Target("1", (Term(0, 1, None),)), []
    for composite, pruning in itertools.product(("epsilon", "gamma", "z-plus"), PRUNINGS):
        (explained,) = Explainer(graph, [target], None, PRESETS[composite], pruning).explain(x)
        assert float(explained.conservation_error.max()) < 1e-9
        found.append(explained.contributions)
    return found


@pytest.mark.parametrize("layer", WRITTEN.values(), ids=WRITTEN)
def test_a_grouped_layer_is_explained_and_pruned_as_a_grouped_convolution(layer):
    for found, expected in zip(relevance(layer), relevance(as_convolution), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
