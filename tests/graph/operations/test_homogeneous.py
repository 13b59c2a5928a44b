# ruff: noqa: N803, N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Functions shared by their gradient: linear maps by term, products by equal shares."""

import functools

import numpy as np
import pytest
import torch
from oracles.operations import (
    SEEDS,
    Array,
    Case,
    Draw,
    check_conversions,
    check_refusals,
    check_relevance,
    linear_map,
    traced,
)
from torch.nn import functional

from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.homogeneous import Homogeneous

SHAPE = (2, 3, 6)


def between(length: int, new: int) -> Array:
    """Linear interpolation to a new length, corners not aligned."""
    M = np.zeros((new, length))
    for k in range(new):
        place = min(max((k + 0.5) * length / new - 0.5, 0), length - 1)
        left = min(int(place), length - 2)
        M[k, left], M[k, left + 1] = 1 - (place - left), place - left
    return M


def product_of_all(R: Array, x: Array) -> list[Array]:
    """Along the last axis: as many equal shares as there are factors."""
    r = np.zeros(x.shape)
    for n, c, p in np.ndindex(*x.shape):
        r[n, c, p] = R[n, c] / x.shape[2]
    return [r]


def running_product(R: Array, x: Array) -> list[Array]:
    r = np.zeros(x.shape)
    for n, c, k in np.ndindex(*x.shape):
        for j in range(k + 1):
            r[n, c, j] += R[n, c, k] / (k + 1)
    return [r]


def norm(R: Array, x: Array) -> list[Array]:
    """Of the last axis: each takes the share of its square."""
    return [R[..., None] * x**2 / (x**2).sum(-1, keepdims=True)]


def largest(R: Array, x: Array) -> list[Array]:
    """The two largest of the last axis, in their order."""
    r = np.zeros(x.shape)
    for n, c, k in np.ndindex(*R.shape):
        r[n, c, np.argsort(-x[n, c])[k]] = R[n, c, k]
    return [r]


def middle(R: Array, x: Array) -> list[Array]:
    """The lower of the two in the middle of the last axis."""
    r = np.zeros(x.shape)
    for n, c in np.ndindex(*R.shape):
        r[n, c, np.argsort(x[n, c])[2]] = R[n, c]
    return [r]


FUNCTIONS = {
    "reflect": (lambda x: functional.pad(x, (2, 1), "reflect"), *linear_map(np.eye(6)[[2, 1, *range(6), 4]])),
    "replicate": (
        lambda x: functional.pad(x, (2, 1), "replicate"),
        *linear_map(np.eye(6)[[0, 0, 0, 1, 2, 3, 4, 5, 5]]),
    ),
    "nearest": (lambda x: functional.interpolate(x, scale_factor=2), *linear_map(np.eye(6).repeat(2, 0))),
    "linear": (
        lambda x: functional.interpolate(x, size=9, mode="linear"), *linear_map(between(6, 9))
    ),
    "running sum": (lambda x: x.cumsum(2), *linear_map(np.tril(np.ones((6, 6))))),
    "product of a line": (lambda x: x.prod(2), lambda x: x.prod(2), product_of_all),
    "running product": (lambda x: x.cumprod(2), lambda x: x.cumprod(2), running_product),
    "median": (lambda x: x.median(2)[0], lambda x: np.sort(x)[:, :, 2], middle),
    "norm": (lambda x: torch.linalg.vector_norm(x, dim=2), lambda x: np.sqrt((x**2).sum(2)), norm),
    "largest values": (lambda x: x.topk(2)[0], lambda x: -np.sort(-x)[:, :, :2], largest),
}  # fmt: skip


@functools.cache
def operations() -> dict[str, Operation]:
    return traced({name: function for name, (function, *_) in FUNCTIONS.items()}, SHAPE[1:])


def draw(name: str) -> Draw:
    _, forward, oracle = FUNCTIONS[name]

    def case(rng: np.random.Generator) -> Case:
        operation = operations()[name]
        assert isinstance(operation, Homogeneous), operation.describe()
        return Case(operation, [rng.normal(size=(2, 3, 6))], forward, oracle)

    return case


CASES = {name: draw(name) for name in FUNCTIONS}
ONE = ["homogeneous"]
CONVERSIONS = {
    "rolled": (lambda x: x.roll(2, -1), ONE),
    "repeated": (lambda x: x.repeat(1, 2, 1), ONE),
    "lower half": (lambda x: x.tril(), ONE),
    "unfolded": (lambda x: x.unfold(2, 3, 1), ONE),
    "gathered": (lambda x: x.gather(2, torch.zeros(1, 3, 2).long().expand(len(x), -1, -1)), ONE),
    "gathered channels": (
        lambda x: x.gather(1, torch.tensor([2, 0]).view(1, 2, 1).expand(x.shape[0], -1, 6)), ONE
    ),
    "taken along an axis": (
        lambda x: torch.take_along_dim(x, torch.tensor([[[3, 0], [1, 1], [5, 2]]]), 2), ONE
    ),
    "the same taken of every line": (lambda x: torch.take_along_dim(x, torch.tensor([[[3, 0]]]), 2), ONE),
    "nearest, two axes": (
        lambda x: functional.interpolate(x.unsqueeze(1), scale_factor=2), ["reshape", "homogeneous"]
    ),
    "nearest, another way of rounding": (
        lambda x: functional.interpolate(x, size=9, mode="nearest-exact"), ONE
    ),
    "of three axes": (
        lambda x: functional.interpolate(x[:, None, None], scale_factor=2, mode="trilinear"),
        ["reshape", "reshape", "homogeneous"],
    ),
    "median": (lambda x: x.median(2)[0], ONE),
    "least so far": (lambda x: x.cummin(2)[0], ONE),
    "spread with the mean": (
        lambda x: torch.cat(torch.std_mean(x, 2, keepdim=True), 2),
        ["homogeneous", "homogeneous", "concatenate"],
    ),
    "squared spread with the mean": (
        lambda x: torch.cat(torch.var_mean(x, 2, keepdim=True), 2),
        ["homogeneous", "homogeneous", "concatenate"],
    ),
    "minimum": (lambda x: x.min(2)[0], ONE),
    "sorted": (lambda x: x.sort(2)[0], ONE),
    "k-th": (lambda x: x.kthvalue(2, 2)[0], ONE),
    "standard deviation": (lambda x: x.std(2), ONE),
    "variance": (lambda x: x.var(2, correction=0), ONE),
}  # fmt: skip
REFUSALS = {
    "samples sorted": (lambda x: x.sort(0)[0], "sort: it works along the samples, which must stay apart"),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_follows_its_formula_and_is_conserved(draw, seed):
    check_relevance(draw, seed)


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))
