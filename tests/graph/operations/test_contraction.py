# ruff: noqa: N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Einstein sums against their matrix."""

import numpy as np
import pytest
import torch
from oracles.operations import LAYER_RULES, SEEDS, Array, check_conversions, check_layer, tensor
from torch.nn import functional

from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.contraction import Contraction

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
    "of two": (lambda x: torch.einsum("ncl,ndl->ncd", x, x), ["homogeneous"]),
    "a bilinear form": (
        lambda x: functional.bilinear(x, x.flip(2), weights(2, 6, 6), weights(2)),
        ["flip", "homogeneous", "shift"],
    ),
    "an axis summed alone": (lambda x: torch.einsum("ncl,lk->nk", x, weights(6, 2)), ["homogeneous"]),
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
