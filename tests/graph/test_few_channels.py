"""Transposed convolutions to few channels: as exact as torch's, the same in every batch."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph import few_channels
from sparselrp_cli.graph.few_channels import CHANNELS, FROM, pays, transposed
from sparselrp_cli.graph.operations.convolution import Convolution

GEOMETRIES = {
    "same": (5, 2, 1),
    "valid": (5, 0, 1),
    "even width": (4, 1, 1),
    "width 1": (1, 0, 1),
    "dilated": (3, 4, 4),
    "more padding than width": (3, 5, 1),
}
"""Width, padding, dilation."""
FACTOR = 8.0
"""How much more may be lost by rounding than in torch's own."""


def drawn(width: int, channels: tuple[int, int], positions: int, n: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1000 * width + positions)
    values = torch.randn(n, channels[0], positions, generator=generator)
    return values, torch.randn(*channels, width, generator=generator)


def exact(values: Tensor, weight: Tensor, padding: int, dilation: int, length: int) -> Tensor:
    """Place by place in float64."""
    width, positions = weight.shape[2], values.shape[2]
    found = torch.zeros(len(values), weight.shape[1], length, dtype=torch.float64)
    for position in range(length):
        for tap in range(width):
            number = position + padding - tap * dilation
            if 0 <= number < positions:
                found[:, :, position] += values[:, :, number].double() @ weight[:, :, tap].double()
    return found


@pytest.mark.parametrize("positions", [1, 2, 31])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_it_computes_the_transposed_convolution(last, geometry, positions):
    width, padding, dilation = GEOMETRIES[geometry]
    values, weight = drawn(width, (6, 3), positions, 2)
    if last:
        values, weight = (v.movedim(1, -1).contiguous().movedim(-1, 1) for v in (values, weight))
    for length in {max(0, positions - 2 * padding + dilation * (width - 1)), positions, positions + 7, 1}:
        expected = exact(values, weight, padding, dilation, length)

        found = transposed(values.double(), weight.double(), padding, dilation, length)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        single = transposed(values, weight, padding, dilation, length)
        torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dilation", [1, 3])
def test_blocks_of_positions_meet_without_a_seam(dilation, monkeypatch):
    monkeypatch.setattr(few_channels, "_POSITIONS", 10)
    values, weight = drawn(4, (5, 3), 101, 2)
    expected = exact(values, weight, 2, dilation, 120)
    found = transposed(values.double(), weight.double(), 2, dilation, 120)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spread", [0.0, 3.0], ids=["like values", "values over ten magnitudes"])
def test_it_rounds_as_torchs_convolution_does(spread):
    values, weight = drawn(19, (300, 4), 400)
    values = values * (spread * drawn(1, (300, 1), 400)[0]).exp()
    expected = exact(values, weight, 9, 1, 400)

    def error(found: Tensor) -> float:
        return float((found.double() - expected).square().mean().sqrt())

    torchs = functional.conv_transpose1d(values, weight, padding=9)
    assert error(transposed(values, weight, 9, 1, 400)) < FACTOR * error(torchs)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_window_gets_the_same_bits_in_every_batch_and_by_every_number_of_threads(threads):
    values, weight = drawn(11, (64, 4), 600, 5)
    values = values.movedim(1, -1).contiguous().movedim(-1, 1)
    alone = [transposed(window[None], weight, 5, 1, 600) for window in values]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = transposed(values, weight, 5, 1, 600)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(together, torch.cat(alone))


def test_where_nothing_is_read_zero_is_given():
    values, weight = drawn(5, (32, 4), 200)
    values[:, :, 40:150] = 0
    found = transposed(values, weight, 2, 1, 210)
    assert not found[:, :, 42:148].any()
    assert not found[:, :, 202:].any()
    assert found[:, :, :42].all()
    assert found[:, :, 148:202].all()


def test_an_empty_batch_stays_empty():
    values, weight = drawn(5, (32, 4), 20, 0)
    assert transposed(values, weight, 2, 1, 20).shape == (0, 4, 20)


def test_a_convolution_is_carried_back_so_where_that_pays_alone():
    values, weight = drawn(5, (FROM, CHANNELS), 20)
    assert pays(values, weight)
    assert pays(values.double(), weight)
    assert not pays(values.bfloat16(), weight)
    assert not pays(values[:, 1:], weight[1:])
    assert not pays(values, weight.repeat(1, 2, 1))
    assert not pays(values, weight[..., :1])
    assert not pays(values.to("meta"), weight)


@pytest.mark.parametrize(
    ("geometry", "fast"),
    [
        ({}, True),
        ({"padding": (0,)}, True),
        ({"dilation": (3,)}, True),
        ({"stride": (2,)}, False),
    ],
    ids=["same", "valid", "dilation", "stride"],
)
def test_a_layer_gives_the_same_by_either_way(geometry, fast, monkeypatch):
    values, weight = drawn(5, (64, 4), 100)
    given = {"stride": (1,), "padding": (2,), "dilation": (1,), "groups": 1} | geometry
    layer = Convolution(weight, None, **given)
    (stride,), (padding,), (dilation,) = layer.stride, layer.padding, layer.dilation
    like = torch.zeros(1, 4, 99 * stride - 2 * padding + 4 * dilation + 1)
    ways = []
    monkeypatch.setattr(few_channels, "transposed", lambda *a: ways.append(a) or transposed(*a))
    found = layer.transpose(values, weight, like)
    monkeypatch.setattr(few_channels, "pays", lambda *_: False)
    torch.testing.assert_close(found, layer.transpose(values, weight, like), rtol=1e-4, atol=1e-4)
    assert len(ways) == fast
