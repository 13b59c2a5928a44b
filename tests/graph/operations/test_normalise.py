# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Normalisations by the sample's own statistics: linear, with the deviation held constant."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from oracles.operations import (
    SEEDS,
    Array,
    Case,
    Oracle,
    check_conversions,
    check_refusals,
    check_relevance,
    tensor,
)
from torch.nn import functional

from sparselrp_cli.graph.operations.normalise import Normalise

SHAPE = (2, 4, 6)
Place = tuple[int, ...]


def normalise(rows: list[list[Place]], w: Array, b: Array, eps: float, *, centred: bool) -> Oracle:
    """Over rows of neurons, each a list of places."""

    def oracle(R: Array, x: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for row in rows:
            mean = sum(x[i] for i in row) / len(row) if centred else 0.0
            sd = math.sqrt(sum((x[i] - mean) ** 2 for i in row) / len(row) + eps)
            for k in row:
                y = w[k] * (x[k] - mean) / sd + b[k]
                for j in row:
                    weight = (j == k) - (1 / len(row) if centred else 0)
                    r[j] += w[k] * weight * x[j] / sd / y * R[k]
        return [r]

    return oracle


def computed(rows: list[list[Place]], w: Array, b: Array, eps: float, *, centred: bool) -> Callable:
    def forward(x: Array) -> Array:
        y = np.zeros(x.shape)
        for row in rows:
            values = np.array([x[i] for i in row])
            values = values - values.mean() if centred else values
            sd = math.sqrt((values**2).mean() + eps)
            for i, value in zip(row, values, strict=True):
                y[i] = w[i] * value / sd + b[i]
        return y

    return forward


def draw(kind: str) -> Callable[[np.random.Generator], Case]:
    def case(rng: np.random.Generator) -> Case:
        shape, eps = (2, 4, 3), 1e-3
        places = list(np.ndindex(*shape))
        spans = {
            "layer": ((3,), lambda i: i[:2]),
            "layers": ((4, 3), lambda i: i[:1]),
            "group": ((4, 1), lambda i: (i[0], i[1] // 2)),
            "instance": ((4, 1), lambda i: i[:2]),
            "RMS": ((3,), lambda i: i[:2]),
        }
        affine, row_of = spans[kind]
        w, b = rng.normal(size=affine), rng.normal(size=affine)
        b = np.zeros(affine) if kind == "RMS" else b
        rows = [[i for i in places if row_of(i) == key] for key in dict.fromkeys(map(row_of, places))]
        span, groups = SPANS[kind]
        bias = None if kind == "RMS" else tensor(b)
        operation = Normalise(kind, span, groups, kind != "RMS", eps, tensor(w), bias)
        given = (rows, np.broadcast_to(w, shape), np.broadcast_to(b, shape), eps)
        x = [rng.normal(size=shape)]
        centred = kind != "RMS"
        return Case(operation, x, computed(*given, centred=centred), normalise(*given, centred=centred))

    return case


SPANS = {"layer": (1, 0), "layers": (2, 0), "group": (0, 2), "instance": (0, 4), "RMS": (1, 0)}
CASES = {f"normalise {kind}": draw(kind) for kind in ("layer", "layers", "group", "instance", "RMS")}


def weights(*shape: int) -> torch.Tensor:
    return torch.arange(float(np.prod(shape)), dtype=torch.float64).reshape(shape).cos()


CONVERSIONS = {
    "layer": (lambda x: functional.layer_norm(x, (6,), weights(6), weights(6)), ["normalise"]),
    "layer, of two axes": (lambda x: functional.layer_norm(x, (4, 6)), ["normalise"]),
    "RMS": (lambda x: functional.rms_norm(x, (6,), weights(6), 1e-4), ["normalise"]),
    "group": (lambda x: functional.group_norm(x, 2, weights(4), weights(4)), ["normalise"]),
    "instance": (functional.instance_norm, ["normalise"]),
    "instance, by statistics of the training": (
        lambda x: functional.instance_norm(
            x, weights(4), weights(4).square() + 0.5, weights(4), weights(4), use_input_stats=False
        ),
        ["affine"],
    ),
}
REFUSALS = {
    "over samples": (
        lambda x: functional.layer_norm(x.permute(1, 2, 0), (x.shape[0],)),
        "layer_norm: it works along the samples, which must stay apart",
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
