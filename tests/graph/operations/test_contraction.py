# ruff: noqa: N803, N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Einstein sums against their matrix."""

import numpy as np
import pytest
import torch
from oracles.operations import (
    LAYER_RULES,
    SEEDS,
    Array,
    Case,
    check_conversions,
    check_layer,
    check_relevance,
    tensor,
)
from torch.nn import functional

from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.contraction import Contraction, EinsteinSum

SHAPE = (2, 3, 6)


def as_matrix(layer: Contraction, x: Array) -> tuple[Array, Array]:
    """The output for every single input neuron set to 1."""
    first, second, result = layer.indices
    W = layer.weight.numpy()
    sizes = dict(zip(first[1:] + second, (*x.shape, *W.shape), strict=True))
    M = np.zeros((*x.shape, *(sizes[i] for i in result[1:])))
    names = sorted(sizes)
    for values in np.ndindex(*(sizes[i] for i in names)):
        at = dict(zip(names, values, strict=True))
        place = tuple(at[i] for i in first[1:] + result[1:])
        M[place] += W[tuple(at[i] for i in second)]
    matrix = M.reshape(x.size, -1)
    return matrix, np.zeros(matrix.shape[1])


def draw(equation: str, *shape: int):
    def layer(rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
        return Contraction(tensor(rng.normal(size=shape)), None, equation), (3, 4)

    return layer


LAYERS = {
    "channels": draw("ncl,cd->nld", 3, 5),
    "heads": draw("nld,hdk->nhlk", 2, 4, 3),
    "weights of every position": draw("nld,ld->nl", 3, 4),
    "groups": draw("ngi,gio->ngo", 3, 4, 2),
    "element by element": draw("nld,ld->nld", 3, 4),
}


def pairs(equation: str, *shapes: tuple[int, ...]):
    def case(rng: np.random.Generator) -> Case:
        inputs = [rng.normal(size=shape) for shape in shapes]
        return Case(EinsteinSum(equation), inputs, lambda *xs: np.einsum(equation, *xs), halves(equation))

    return case


def halves(equation: str):
    """Half of each product's relevance to each factor, product by product."""
    given, result = equation.split("->")
    names = given.split(",")

    def oracle(R: Array, *inputs: Array) -> list[Array]:
        sizes: dict[str, int] = {}
        for axes, x in zip(names, inputs, strict=True):
            for axis, length in zip(axes, x.shape, strict=True):
                sizes[axis] = max(length, sizes.get(axis, 1))
        y = np.einsum(equation, *inputs)
        relevance = [np.zeros(x.shape) for x in inputs]
        for index in np.ndindex(*sizes.values()):
            at = dict(zip(sizes, index, strict=True))
            places = [
                tuple(at[axis] % length for axis, length in zip(axes, x.shape, strict=True))
                for axes, x in zip(names, inputs, strict=True)
            ]
            above = tuple(at[axis] for axis in result)
            product = inputs[0][places[0]] * inputs[1][places[1]]
            for r, place in zip(relevance, places, strict=True):
                r[place] += product / y[above] * R[above] / 2
        return relevance

    return oracle


CASES = {
    "scores of attention": pairs("nhid,nhjd->nhij", (2, 2, 3, 4), (2, 2, 5, 4)),
    "values that attention mixes": pairs("nhij,nhjd->nihd", (2, 2, 3, 4), (2, 2, 4, 3)),
    "one head of keys for all": pairs("nhid,nhjd->nhij", (2, 3, 2, 4), (2, 1, 5, 4)),
    "position by position": pairs("ncl,ncl->ncl", (2, 3, 4), (2, 3, 4)),
}


def weights(*shape: int) -> torch.Tensor:
    return torch.arange(float(np.prod(shape)), dtype=torch.float64).reshape(shape).cos()


CONVERSIONS = {
    "with a constant": (lambda x: torch.einsum("ncl,lk->nck", x, weights(6, 2)), ["dense"]),
    "with a constant, written the other way": (
        lambda x: torch.einsum("lk, ncl -> nck", weights(6, 2), x), ["dense"]
    ),
    "of groups": (lambda x: torch.einsum("bgi,gio->bgo", x, weights(3, 6, 2)), ["dense"]),
    "the result left to be understood": (lambda x: torch.einsum("bgi,gio", x, weights(3, 6, 2)), ["dense"]),
    "axes left to be understood": (lambda x: torch.einsum("...i,io->...o", x, weights(6, 2)), ["dense"]),
    "groups left to be understood": (
        lambda x: torch.einsum("b...i,...io->b...o", x, weights(3, 6, 2)), ["dense"]
    ),
    "of two": (lambda x: torch.einsum("ncl,ndl->ncd", x, x), ["matrix-product"]),
    "of two, an axis of one summed alone": (
        lambda x: torch.einsum("ncl,nde->ncd", x, x), ["homogeneous"]
    ),
    "a diagonal": (
        lambda x: torch.einsum("nll,nl->nl", x.unsqueeze(1)[:, 0, :, :3], x.mean(2)),
        ["reshape", "slice", "slice", "mean", "homogeneous"],
    ),
    "a constant with an axis of one": (
        lambda x: torch.einsum("ncl,cl->ncl", x[:, :, :1], weights(3, 5)), ["slice", "dense"]
    ),
    "a bilinear form": (
        lambda x: functional.bilinear(x, x.flip(2), weights(2, 6, 6), weights(2)),
        ["flip", "homogeneous", "shift"],
    ),
    "an axis summed alone": (lambda x: torch.einsum("ncl,lk->nk", x, weights(6, 2)), ["homogeneous"]),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_a_sum_of_two_activations_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rule", LAYER_RULES)
@pytest.mark.parametrize("draw", LAYERS.values(), ids=LAYERS)
def test_every_rule_follows_the_matrix(draw, rule, seed):
    rng = np.random.default_rng(seed)
    layer, shape = draw(rng)
    check_layer(layer, as_matrix, rng.normal(size=(2, *shape)), rule, rng)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))
