# ruff: noqa: N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Convolutions against their matrix."""

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
from torch import nn
from torch.nn import functional

from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

SHAPE = (2, 4, 9)


def as_matrix(layer: Convolution, x: Array) -> tuple[Array, Array]:
    """Every output neuron reads its window of the padded input, position by position; one or two axes."""
    W = layer.weight.numpy()
    c_out, per_group, *widths = W.shape
    lengths = [
        (size + 2 * padding - dilation * (width - 1) - 1) // stride + 1
        for size, width, padding, stride, dilation in zip(
            x.shape[1:], widths, layer.padding, layer.stride, layer.dilation, strict=True
        )
    ]
    M = np.zeros((*x.shape, c_out, *lengths))
    for o, c, *rest in np.ndindex(c_out, per_group, *lengths, *widths):
        places, taps = rest[: len(lengths)], rest[len(lengths) :]
        read = tuple(
            p * s - pad + t * d
            for p, t, s, pad, d in zip(places, taps, layer.stride, layer.padding, layer.dilation, strict=True)
        )
        channel = o // (c_out // layer.groups) * per_group + c
        if all(0 <= r < size for r, size in zip(read, x.shape[1:], strict=True)):
            M[(channel, *read, o, *places)] += W[(o, c, *taps)]
    bias = np.zeros(c_out) if layer.bias is None else layer.bias.numpy()
    return M.reshape(x.size, -1), np.repeat(bias, np.prod(lengths))


def draw(stride: int, padding: int, dilation: int, groups: int, *, bias: bool = True):
    def layer(rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
        weight = tensor(rng.normal(size=(4, 4 // groups, 3)))
        given = tensor(rng.normal(size=4)) if bias else None
        return Convolution(weight, given, (stride,), (padding,), (dilation,), groups), (4, 7)

    return layer


def draw_image(rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    weight, bias = tensor(rng.normal(size=(3, 2, 2, 3))), tensor(rng.normal(size=3))
    return Convolution(weight, bias, (1, 2), (1, 0), (1, 1), 1), (2, 3, 5)


LAYERS = {
    "convolution": draw(1, 0, 1, 1),
    "convolution, padding": draw(1, 2, 1, 1, bias=False),
    "convolution, stride": draw(2, 1, 1, 1),
    "convolution, dilation and groups": draw(1, 2, 2, 2),
    "convolution, two axes": draw_image,
}


def weights(*shape: int) -> torch.Tensor:
    return torch.arange(float(np.prod(shape)), dtype=torch.float64).reshape(shape).cos()


CONVERSIONS = {
    "one axis": (lambda x: functional.conv1d(x, weights(3, 4, 2), weights(3), padding=1), ["convolution"]),
    "even width, same length": (
        lambda x: functional.conv1d(x, weights(3, 4, 2), padding="same"), ["pad", "convolution"]
    ),
    "no padding": (lambda x: functional.conv1d(x, weights(3, 4, 2), padding="valid"), ["convolution"]),
    "two axes": (
        lambda x: functional.conv2d(x.unsqueeze(1), weights(3, 1, 2, 2)), ["reshape", "convolution"]
    ),
}  # fmt: skip
REFUSALS = {
    "three axes": (
        lambda x: functional.conv3d(x[:, None, None], weights(1, 1, 1, 1, 1)),
        "convolution: convolutions over 3 axes have no rule",
    ),
    "weights of the sequence": (
        lambda x: functional.conv1d(x, x[:1, :, :2].mean(0, keepdim=True)),
        "conv1d: its argument 'weight' is an activation; only constants have a rule here",
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


@pytest.mark.parametrize("width", [2, 4, 5])
def test_same_padding_of_even_and_odd_widths(width):
    torch.manual_seed(width)
    one = nn.Conv1d(4, 3, width, padding="same", dilation=3)
    two = nn.Conv2d(1, 3, (width, 3), padding="same")
    module = nn.Sequential(
        one, nn.ReLU(), nn.Unflatten(1, (1, 3)), two, nn.Flatten(), nn.Linear(3 * 3 * 20, 1)
    )
    x = torch.rand(3, 4, 20, dtype=torch.float64)
    graph = capture(module.double(), x)
    assert max(check_against_module(graph, module, x).values()) < 1e-12
    explainer = Explainer(
        graph, [Target("first", (Term(0, 0, None),))], pruning=Pruning(0.25, redistribute="m")
    )
    (explanation,) = explainer.explain(x)
    assert float(explanation.conservation_error.max()) < 1e-9
