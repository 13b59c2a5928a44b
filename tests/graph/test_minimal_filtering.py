"""Transposed convolutions by minimal filtering: as exact as torch's, zero where nothing is."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph import minimal_filtering
from sparselrp_cli.graph.minimal_filtering import WIDTHS, pays, transposed
from sparselrp_cli.graph.operations.convolution import Convolution

every_width = pytest.mark.parametrize("width", WIDTHS)
FACTOR = 8.0
"""How much more may be lost by rounding than in torch's own, where it is 2e-7 of a typical number."""


def drawn(width: int, channels: tuple[int, int], positions: int, n: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(width)
    values = torch.randn(n, channels[0], positions, generator=generator)
    return values, torch.randn(*channels, width, generator=generator)


def exact(values: Tensor, weight: Tensor, padding: int, length: int) -> Tensor:
    """By torch in float64; what the convolution's input has beyond what is read gets nothing."""
    found = functional.conv_transpose1d(values.double(), weight.double(), padding=padding)
    return functional.pad(found, (0, length - found.shape[2]))


@pytest.mark.parametrize("positions", [1, 2, 5, 8, 31, 64])
@pytest.mark.parametrize("padded", [False, True], ids=["", "padded"])
@every_width
def test_it_computes_the_transposed_convolution(width, padded, positions):
    values, weight = drawn(width, (6, 5), positions, 3)
    padding = (width - 1) // 2 if padded else 0
    length = positions + width - 1 - 2 * padding
    expected = exact(values, weight, padding, length)

    found = transposed(values.double(), weight.double(), padding, length)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    single = transposed(values, weight, padding, length)
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-4)


@every_width
def test_sets_of_positions_meet_without_a_seam(width, monkeypatch):
    monkeypatch.setattr(minimal_filtering, "_SETS", 3)
    values, weight = drawn(width, (4, 3), 101)
    expected = exact(values, weight, 1, 101 + width - 3)
    found = transposed(values.double(), weight.double(), 1, 101 + width - 3)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spread", [0.0, 3.0], ids=["like values", "values over ten magnitudes"])
@every_width
def test_it_rounds_as_torchs_convolution_does(width, spread):
    values, weight = drawn(width, (256, 256), 300)
    values = values * (spread * drawn(1, (256, 1), 300)[0]).exp()
    expected = exact(values, weight, width // 2, 300 - (width + 1) % 2)
    length = expected.shape[2]

    def error(found: Tensor) -> float:
        return float((found.double() - expected).square().mean().sqrt())

    torchs = functional.conv_transpose1d(values, weight, padding=width // 2)
    assert error(transposed(values, weight, width // 2, length)) < FACTOR * error(torchs)


@every_width
def test_where_nothing_is_read_zero_is_given(width):
    values, weight = drawn(width, (8, 8), 200)
    values[:, :, 40:150] = 0
    found = transposed(values, weight, width // 2, 200)
    first, last = 40 + width - 1 - width // 2, 150 - width // 2
    assert not found[:, :, first:last].any()
    assert found[:, :, :first].all()
    assert found[:, :, last : 200 - width // 2].all()


def test_a_convolution_is_carried_back_so_where_that_pays_alone():
    values, weight = drawn(5, (256, 256), 256)
    assert pays(values, weight)
    assert not pays(values.double(), weight)
    assert not pays(values[:, :, :255], weight)
    assert not pays(values[:, :255], weight[:255])
    assert not pays(values, weight[..., :2])
    assert not pays(values.to("meta"), weight)


@pytest.mark.parametrize(
    ("geometry", "fast"),
    [
        ({}, True),
        ({"padding": (0,)}, True),
        ({"stride": (2,)}, False),
        ({"dilation": (2,)}, False),
        ({"padding": (5,)}, False),
    ],
    ids=["same", "valid", "stride", "dilation", "more padding than width"],
)
def test_a_layer_gives_the_same_by_either_way(geometry, fast, monkeypatch):
    values, weight = drawn(5, (256, 256), 300)
    layer = Convolution(
        weight, None, **{"stride": (1,), "padding": (2,), "dilation": (1,), "groups": 1} | geometry
    )
    like = torch.zeros(1, 256, 700)
    like = like[:, :, : _length_in(layer, 300)]
    ways = []
    monkeypatch.setattr(minimal_filtering, "transposed", lambda *a: ways.append(a) or transposed(*a))
    found = layer.transpose(values, weight, like)
    monkeypatch.setattr(minimal_filtering, "pays", lambda *_: False)
    torch.testing.assert_close(found, layer.transpose(values, weight, like), rtol=1e-4, atol=1e-3)
    assert len(ways) == fast


def _length_in(layer: Convolution, positions: int) -> int:
    (stride,), (padding,), (dilation,) = layer.stride, layer.padding, layer.dilation
    return (positions - 1) * stride - 2 * padding + dilation * (layer.weight.shape[2] - 1) + 1
