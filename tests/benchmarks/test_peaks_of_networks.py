"""What trains and tests the networks on peaks: where filters come from, and the measures of profiles."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.evidence.attention import ConvTransformer
from benchmarks.evidence.binding import start_from_suhw
from benchmarks.evidence.peak_profiles import LENGTH, NEAR, divergence, highest, profile_loss
from benchmarks.history import ROOT
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    bases = torch.randint(4, (3, 600), generator=torch.Generator().manual_seed(0))
    return nn.functional.one_hot(bases, 4).transpose(1, 2).float()


def started(filters: int, *, folded: bool) -> nn.Module:
    conv = nn.Conv1d(4, filters, 21, padding=10, bias=folded)
    if folded:
        start_from_suhw(conv)
        return conv.eval()
    norm = nn.BatchNorm1d(filters)
    start_from_suhw(conv, norm)
    return nn.Sequential(conv, norm).eval()


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "with its normalisation"])
def test_a_first_convolution_starts_from_filters_of_the_shipped_model(windows, folded):
    shipped = load_model(ModelRequest(str(ROOT / "models" / "suhw-dm3"))).module.blocks[:2]
    with torch.no_grad():
        wanted, found = shipped(windows), started(64, folded=folded)(windows)
    # Of all 64 the order alone is another.
    key = lambda y: y[:, y[0, :, 0].argsort()]  # noqa: E731
    torch.testing.assert_close(key(found), key(wanted), atol=1e-4, rtol=1e-4)


def test_fewer_filters_are_some_of_all(windows):
    with torch.no_grad():
        some, all_of_them = started(24, folded=True)(windows), started(64, folded=True)(windows)
    torch.testing.assert_close(some, all_of_them[:, :24])


def test_the_transformer_has_a_rule_for_every_operation(windows):
    capture(ConvTransformer(2).eval().requires_grad_(False), windows[:1]).require_supported()


@pytest.mark.parametrize(
    ("predicted", "bits"),
    [([0.5, 0.5, 0, 0], 0.0), ([0, 0, 0.5, 0.5], 1.0), ([0.25] * 4, 0.311278)],
    ids=["the same", "apart", "flat"],
)
def test_divergence_is_in_bits(predicted, bits):
    real = np.array([[2.0, 2, 0, 0], [0, 0, 0, 0]])
    assert divergence(np.array([predicted] * 2), real) == pytest.approx(bits, abs=1e-6)


def test_the_highest_stretch_is_found_by_its_middle():
    profiles = np.full((2, LENGTH), 0.1)
    profiles[0, 300:500] = 1
    profiles[1, -2 * NEAR :] = 1
    assert highest(profiles).tolist() == [400, LENGTH - NEAR]


def test_the_loss_of_a_profile_is_least_at_the_profile_itself():
    real = torch.zeros(2, 1, 8)
    real[0, 0, 2:4] = 2
    exact = torch.log(real[:, :, :] + 1e-9)
    assert profile_loss(exact, real).item() == pytest.approx(math.log(2), abs=1e-6)
    assert profile_loss(torch.zeros(2, 1, 8), real).item() == pytest.approx(math.log(8), abs=1e-6)
