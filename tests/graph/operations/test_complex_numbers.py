"""Spectra against the sums that they are: real and imaginary parts take their shares like real numbers."""

import numpy as np
import pytest
import torch
from oracles.operations import Array, Called, check_conversions, check_refusals, tensor
from torch import Tensor

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE, Pruning

SHAPE = (2, 3, 6)
rfft, irfft = torch.fft.rfft, torch.fft.irfft
TURN = torch.polar(torch.ones(4, dtype=torch.float64), torch.arange(4, dtype=torch.float64))
MIXING = torch.polar(torch.ones(2, 3, dtype=torch.float64), torch.arange(6, dtype=torch.float64).view(2, 3))


def complex_of(x: Tensor) -> Tensor:
    return torch.view_as_complex(x.unflatten(-1, (3, 2)))


CONVERSIONS = {
    "the real part": (lambda x: torch.fft.fft(x).real, ["homogeneous", "homogeneous"]),
    "the imaginary part": (lambda x: torch.fft.ifft(x, dim=1).imag, ["homogeneous", "homogeneous"]),
    "along two axes": (lambda x: torch.fft.fft2(x).real, ["homogeneous", "homogeneous"]),
    "as pairs": (lambda x: torch.view_as_real(rfft(x)), ["homogeneous", "homogeneous"]),
    "a size": (lambda x: rfft(x).abs(), ["homogeneous", "homogeneous"]),
    "a power spectrum": (lambda x: rfft(x).abs() ** 2, ["homogeneous", "homogeneous", "activation"]),
    "the size of pairs": (lambda x: complex_of(x).abs(), ["reshape", "homogeneous", "homogeneous"]),
    "there and back": (
        lambda x: torch.fft.ifft(torch.fft.fft(x) / torch.fft.fft(torch.eye(6, dtype=x.dtype)[1])).real,
        ["homogeneous"] * 4,
    ),
    "autocorrelation": (lambda x: irfft(rfft(x) * rfft(x).conj()), ["homogeneous"] * 5),
    "matrices": (lambda x: (MIXING @ rfft(x)).real, ["homogeneous"] * 3),
    "matrices behind": (
        lambda x: (rfft(x).transpose(1, 2) @ MIXING.t()).abs(),
        ["homogeneous", "permute", "homogeneous", "homogeneous"],
    ),
    "einsum": (lambda x: torch.einsum("oc,ncl->nol", MIXING, rfft(x)).imag, ["homogeneous"] * 3),
    "einsum of two": (lambda x: torch.einsum("ncl,ncl->nl", rfft(x), rfft(x)).real, ["homogeneous"] * 4),
    "real numbers turned": (lambda x: (x[..., :4] * TURN).imag, ["slice", "homogeneous", "homogeneous"]),
    "cast": (
        lambda x: (x[..., :4].to(torch.complex128) * TURN).real,
        ["slice", "homogeneous", "homogeneous", "homogeneous"],
    ),
    "of two parts": (lambda x: torch.complex(x, x.flip(2)).abs(), ["flip", "homogeneous", "homogeneous"]),
    "moved and summed": (
        lambda x: (rfft(x).flip(1) - rfft(x)[:, :, [3, 2, 1, 0]]).sum(2).real,
        ["homogeneous", "flip", "homogeneous", "index-select", "subtract", "sum", "homogeneous"],
    ),
    "of pieces": (
        lambda x: torch.stft(
            x.flatten(1), 4, window=torch.ones(4, dtype=x.dtype), center=False, return_complex=True
        ).abs(),
        ["reshape", "homogeneous", "homogeneous"],
    ),
}
WORDS = (
    "of complex numbers only sums, moves, products and sizes have a rule; write the real and imaginary parts"
)
REFUSALS = {
    "an angle": (lambda x: rfft(x).angle(), "angle: rewrite it with operations that have a rule"),
    "an exponential": (lambda x: rfft(x).exp().real, f"exp: {WORDS}"),
    "a sum with a constant": (lambda x: (rfft(x) + TURN).abs(), f"add: {WORDS}"),
    "a quotient": (lambda x: (1 / rfft(x)).real, f"reciprocal: {WORDS}"),
    "over samples": (
        lambda x: torch.fft.fftn(x).real, "fft_fftn: it works along the samples, which must stay apart"
    ),
}  # fmt: skip


def test_aten_functions_are_converted_and_compute_the_same():
    check_conversions(CONVERSIONS, np.random.default_rng(0).normal(size=SHAPE))


def test_what_has_no_rule_is_refused_with_its_reason():
    check_refusals(REFUSALS, np.random.default_rng(0).normal(size=SHAPE))


def real_part(x: Array, k: int) -> Array:
    """Of the transform at frequency k: each number by the cosine at its place."""
    return x * np.cos(2 * np.pi * k * np.arange(len(x)) / len(x))


def power(x: Array, k: int) -> Array:
    """|F_k|^2 = sum_ij x_i x_j cos(2 pi k (i - j) / n): half of each product to each factor."""
    r, n = np.zeros(len(x)), len(x)
    for i, j in np.ndindex(n, n):
        share = x[i] * x[j] * np.cos(2 * np.pi * k * (i - j) / n) / 2
        r[i] += share
        r[j] += share
    return r


def correlation(x: Array, k: int) -> Array:
    """sum_i x_i x_(i+k), around: half of each product to each factor."""
    r, n = np.zeros(len(x)), len(x)
    for i in range(n):
        share = x[i] * x[(i + k) % n] / 2
        r[i] += share
        r[(i + k) % n] += share
    return r


SPECTRA = {
    "the real part": (lambda x: torch.fft.fft(x).real, real_part),
    "the square of a size": (lambda x: rfft(x).abs() ** 2, power),
    "squares of both parts": (lambda x: rfft(x).real ** 2 + rfft(x).imag ** 2, power),
    "a product with the conjugate": (lambda x: (rfft(x) * rfft(x).conj()).real, power),
    "autocorrelation": (lambda x: irfft(rfft(x) * rfft(x).conj(), 6), correlation),
}


@pytest.mark.parametrize(("spectrum", "shares"), SPECTRA.values(), ids=SPECTRA)
def test_a_spectrum_is_shared_by_the_terms_of_its_sum(spectrum, shares):
    x = np.random.default_rng(0).random((2, 4, 6))
    net = Called(lambda x: spectrum(x).flatten(1))
    k, channel, width = 1, 2, spectrum(tensor(x)).shape[-1]
    target = [Target("one", (Term(0, channel * width + k, None),))]
    graph = capture(net, tensor(x))
    (found,) = Explainer(graph, target, composite=PRESETS["zero"], pruning=NONE).explain(tensor(x))
    expected = np.zeros(x.shape)
    for n in range(2):
        expected[n, channel] = shares(x[n, channel], k)
    np.testing.assert_allclose(found.contributions.numpy(), expected, rtol=1e-10, atol=1e-12)
    for pruning in (NONE, Pruning(0.25), Pruning(0.25, redistribute="m")):
        (found,) = Explainer(graph, target, composite=PRESETS["epsilon-gamma"], pruning=pruning).explain(
            tensor(x)
        )
        assert float(found.conservation_error.max()) < 1e-9
