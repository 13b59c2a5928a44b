# ruff: noqa: N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Transposed convolutions against their matrix."""

import numpy as np
import pytest
import torch
from oracles.operations import (
    LAYER_RULES,
    SEEDS,
    Array,
    check_conversions,
    check_layer,
    check_refusals,
    tensor,
)
from torch.nn import functional

from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.transposed_convolution import TransposedConvolution

SHAPE = (2, 4, 6)


def as_matrix(layer: TransposedConvolution, x: Array) -> tuple[Array, Array]:
    """Every input neuron writes into the output, position by position; what falls outside is cut."""
    W = layer.weight.numpy()
    c_in, per_group, width = W.shape
    (stride,), (padding,), (extra,), (dilation,) = (
        layer.stride, layer.padding, layer.output_padding, layer.dilation
    )  # fmt: skip
    length = (x.shape[1] - 1) * stride - 2 * padding + dilation * (width - 1) + extra + 1
    M = np.zeros((*x.shape, per_group * layer.groups, length))
    for c, i, o, k in np.ndindex(c_in, x.shape[1], per_group, width):
        place = i * stride - padding + k * dilation
        if 0 <= place < length:
            M[c, i, c // (c_in // layer.groups) * per_group + o, place] += W[c, o, k]
    bias = np.zeros(M.shape[2]) if layer.bias is None else layer.bias.numpy()
    return M.reshape(x.size, -1), np.repeat(bias, length)


def draw(stride: int, padding: int, extra: int, dilation: int, groups: int):
    def layer(rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
        weight, bias = rng.normal(size=(4, 2, 3)), rng.normal(size=2 * groups)
        made = TransposedConvolution(
            tensor(weight), tensor(bias), (stride,), (padding,), (extra,), (dilation,), groups
        )
        return made, (4, 5)

    return layer


LAYERS = {
    "transposed": draw(1, 0, 0, 1, 1),
    "transposed, stride": draw(2, 1, 0, 1, 1),
    "transposed, output padding": draw(3, 1, 1, 1, 1),
    "transposed, dilation and groups": draw(2, 2, 1, 2, 2),
}


def weights(*shape: int) -> torch.Tensor:
    return torch.arange(float(np.prod(shape)), dtype=torch.float64).reshape(shape).cos()


CONVERSIONS = {
    "one axis": (lambda x: functional.conv_transpose1d(x, weights(4, 3, 2), weights(3), 2), ["convolution"]),
    "two axes": (
        lambda x: functional.conv_transpose2d(x.unsqueeze(1), weights(1, 3, 2, 2)), ["reshape", "convolution"]
    ),
}  # fmt: skip
REFUSALS = {
    "three axes": (
        lambda x: functional.conv_transpose3d(x[:, None, None], weights(1, 1, 1, 1, 1)),
        "convolution: convolutions over 3 axes have no rule",
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
