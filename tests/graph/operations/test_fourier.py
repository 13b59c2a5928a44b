# ruff: noqa: N806 -- the symbols of the papers: W for weights, R for relevance of what lies above
"""Convolutions by the Fourier transform against their matrix, and against the convolution they are."""

import itertools

import numpy as np
import pytest
import torch
from helpers.captures import captured_once
from oracles.operations import (
    LAYER_RULES,
    SEEDS,
    Array,
    check_conversions,
    check_layer,
    tensor,
)
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operations.fourier import FourierConvolution
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

SHAPE = (2, 3, 6)


def as_matrix(layer: FourierConvolution, x: Array) -> tuple[Array, Array]:
    """Each position of the circle is read by every other with the weight of their distance."""
    channels, length = x.shape
    W = np.broadcast_to(layer.weight.numpy(), (channels, layer.weight.shape[-1]))
    n = W.shape[1]
    M = np.zeros((channels, length, channels, n))
    for c, i, o in np.ndindex(channels, min(length, n), n):
        M[c, i, c, o] = W[c, (o - i) % n]
    return M.reshape(x.size, -1), np.zeros(channels * n)


def draw(*shape: int):
    def layer(rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
        return FourierConvolution(tensor(rng.normal(size=shape)), None, -1), (3, 6)

    return layer


LAYERS = {
    "a circle as long": draw(3, 6),
    "padded": draw(3, 11),
    "cut": draw(3, 5),
    "one kernel for all channels": draw(1, 11),
}
KERNEL = torch.linspace(-1, 2, 18, dtype=torch.float64).reshape(3, 6).cos()
rfft, irfft = torch.fft.rfft, torch.fft.irfft
CONVERSIONS = {
    "as long": (lambda x: irfft(rfft(x) * rfft(KERNEL)), ["convolution"]),
    "of an odd length": (
        lambda x: irfft(rfft(x, 11) * rfft(KERNEL, 11), 11)[..., :6], ["convolution", "slice"]
    ),
    "scaled, as HyenaDNA does": (
        lambda x: irfft(rfft(x, 12) * (rfft(KERNEL, 12) / 12), 12, norm="forward")[..., :6],
        ["convolution", "slice"],
    ),
    "scaled on the other side": (
        lambda x: irfft(-(rfft(KERNEL, 12) * rfft(x, 12, norm="ortho")) * 2 / 3, 12, norm="ortho"),
        ["convolution"],
    ),
    "a correlation": (lambda x: irfft(rfft(x, 12) * rfft(KERNEL, 12).conj(), 12), ["convolution"]),
    "by einsum": (
        lambda x: irfft(torch.einsum("ncl,cl->ncl", rfft(x, 12), rfft(KERNEL, 12)), 12), ["convolution"]
    ),
    "by einsum, axes in another order": (
        lambda x: irfft(torch.einsum("ncl,lc->ncl", rfft(x, 12), rfft(KERNEL, 12).t()), 12), ["convolution"]
    ),
    "half of the whole transform, as Evo takes": (
        lambda x: irfft(torch.fft.fft(x, 12)[..., :7] * rfft(KERNEL, 12), 12), ["convolution"]
    ),
    "along another axis": (
        lambda x: irfft(rfft(x, 5, 1) * rfft(KERNEL, 5, 0), 5, 1), ["convolution"]
    ),
    "of another length": (lambda x: irfft(rfft(x, 12), 10), ["homogeneous", "homogeneous"]),
    "modes left out, as Fourier operators do": (
        lambda x: irfft(functional.pad(rfft(x)[..., :2] * rfft(KERNEL)[..., :2], (0, 2)), 6),
        ["homogeneous", "slice", "homogeneous", "pad", "homogeneous"],
    ),
    "a kernel that depends on the sequence": (
        lambda x: irfft(rfft(x, 12) * rfft(x.relu(), 12), 12),
        ["homogeneous", "activation", "homogeneous", "homogeneous", "homogeneous"],
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


class Mixed(nn.Module):
    """A causal convolution by channel as long as the window, between two layers."""

    def __init__(self, *, fourier: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv1d(4, 5, 5), nn.Linear(5, 2)
        self.kernel, self.fourier = nn.Parameter(torch.randn(5, 16)), fourier

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.conv(x))
        if self.fourier:
            h = irfft(rfft(h, 31) * rfft(self.kernel, 31), 31)[..., :16]
        else:
            h = functional.conv1d(functional.pad(h, (15, 0)), self.kernel.flip(1).unsqueeze(1), groups=5)
        return self.head(torch.relu(h).mean(2))


@pytest.mark.parametrize("composite", ["epsilon", "gamma", "z-plus", "epsilon-plus"])
def test_it_is_explained_and_pruned_as_the_convolution_it_computes(composite):
    bases = torch.randint(4, (3, 20), generator=torch.Generator().manual_seed(1))
    x = functional.one_hot(bases, 4).transpose(1, 2).double()
    found = []
    for fourier, p in itertools.product((True, False), (0.0, 0.25)):
        graph = captured_once(Mixed(fourier=fourier).double().eval(), x)
        target = Target("1", (Term(0, 1, None),))
        (explained,) = Explainer(graph, [target], None, PRESETS[composite], Pruning(p)).explain(x)
        assert float(explained.conservation_error.max()) < 1e-9
        found.append(explained.contributions)
    for ours, expected in zip(found[:2], found[2:], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-7, atol=1e-10)
