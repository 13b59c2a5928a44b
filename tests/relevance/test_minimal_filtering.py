"""Convolutions by minimal filtering: as exact as torch's, and exact where nothing is read."""

import gc

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.relevance import minimal_filtering
from sparselrp_cli.relevance.minimal_filtering import WIDTHS, convolved, pays, suits

every_width = pytest.mark.parametrize("width", WIDTHS)
both_ways = pytest.mark.parametrize("transposed", [False, True], ids=["forwards", "back"])
FACTOR = 8.0
"""How much more may be lost by rounding than in torch's own, where it is 2e-7 of a typical number."""


def drawn(width: int, channels: tuple[int, int], positions: int, n: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(width)
    values = torch.randn(n, channels[0], positions, generator=generator)
    return values, torch.randn(channels[1], channels[0], width, generator=generator)


def by_torch(
    values: Tensor, weight: Tensor, padding: int, dilation: int, *, transposed: bool = False
) -> Tensor:
    convolve = functional.conv_transpose1d if transposed else functional.conv1d
    return convolve(values, weight, padding=padding, dilation=dilation)


def by_filtering(values, weight, padding, dilation, *, transposed=False):
    return convolved(values, weight, None, padding, dilation, transposed=transposed)


def the_way(values: Tensor, weight: Tensor, transposed: bool) -> tuple[Tensor, Tensor]:
    """Turn a drawn weight so that it reads the values in either direction."""
    return values, weight.transpose(0, 1).contiguous() if transposed else weight


@pytest.mark.parametrize("dilation", [1, 2, 7])
@pytest.mark.parametrize("positions", [33, 64, 101])
@pytest.mark.parametrize("padded", [False, True], ids=["valid", "padded"])
@both_ways
@every_width
def test_it_computes_the_convolution(width, transposed, padded, positions, dilation):
    values, weight = the_way(*drawn(width, (6, 5), positions, 3), transposed)
    geometry = (dilation * ((width - 1) // 2) if padded else 0), dilation
    expected = by_torch(values.double(), weight.double(), *geometry, transposed=transposed)

    found = by_filtering(values.double(), weight.double(), *geometry, transposed=transposed)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    single = by_filtering(values, weight, *geometry, transposed=transposed)
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-4)
    assert single.movedim(1, -1).is_contiguous()


@pytest.mark.parametrize("positions", [1, 2, 5, 8, 31])
@every_width
def test_few_positions_are_carried_back_too(width, positions):
    values, weight = the_way(*drawn(width, (6, 5), positions, 2), True)
    expected = by_torch(values.double(), weight.double(), 1, 1, transposed=True)
    found = by_filtering(values.double(), weight.double(), 1, 1, transposed=True)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@both_ways
@every_width
def test_sets_of_positions_meet_without_a_seam(width, transposed, monkeypatch):
    monkeypatch.setattr(minimal_filtering, "_SETS", 3)
    values, weight = the_way(*drawn(width, (4, 3), 101), transposed)
    expected = by_torch(values.double(), weight.double(), 1, 2, transposed=transposed)
    found = by_filtering(values.double(), weight.double(), 1, 2, transposed=transposed)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@both_ways
@pytest.mark.parametrize("spread", [0.0, 3.0], ids=["like values", "values over ten magnitudes"])
@every_width
def test_it_rounds_as_torchs_convolution_does(width, spread, transposed):
    values, weight = the_way(*drawn(width, (256, 256), 300), transposed)
    values = values * (spread * drawn(1, (256, 1), 300)[0]).exp()
    expected = by_torch(values.double(), weight.double(), width // 2, 1, transposed=transposed)

    def error(way) -> float:
        found = way(values, weight, width // 2, 1, transposed=transposed)
        return float((found.double() - expected).square().mean().sqrt())

    assert error(by_filtering) < FACTOR * error(by_torch)


@both_ways
@pytest.mark.parametrize("dilation", [1, 3])
@every_width
def test_where_nothing_is_read_the_bias_is_given(width, dilation, transposed):
    values, weight = the_way(*drawn(width, (8, 7), 200), transposed)
    values[:, :, 40:150] = 0
    bias = torch.randn(7, generator=torch.Generator().manual_seed(1))
    padding = dilation * (width // 2)
    found = convolved(values, weight, bias, padding, dilation, transposed=transposed) - bias[:, None]
    reads = by_torch(values.abs().double(), weight.abs().double(), padding, dilation, transposed=transposed)
    assert torch.equal(found != 0, reads != 0)
    assert bool((reads == 0).any())


def test_a_window_gets_the_same_bits_alone_and_among_others():
    values, weight = drawn(3, (130, 140), 300, 3)
    together = convolved(values, weight, None, 1)
    alone = [convolved(values[i : i + 1], weight, None, 1) for i in range(3)]
    assert torch.equal(together, torch.cat(alone))


def test_filters_are_made_once_for_a_weight_that_lives(monkeypatch):
    kept = minimal_filtering._Filters()
    made = []
    real = minimal_filtering._at_points
    monkeypatch.setattr(minimal_filtering, "_at_points", lambda *a: made.append(a[1]) or real(*a))
    _, weight = drawn(5, (6, 4), 1)
    first = kept.of(weight, False)
    assert kept.of(weight, False) is first
    assert kept.of(weight, True).shape == (8, 4, 6)
    assert made == [False, True]

    del weight
    made.clear()
    gc.collect()
    _, other = drawn(3, (6, 4), 1)
    kept.of(other, False)
    assert len(kept.known) == 1


def test_filters_take_no_more_memory_than_is_set(monkeypatch):
    kept = minimal_filtering._Filters()
    weights = [drawn(5, (6, 4), 1)[1] for _ in range(5)]
    monkeypatch.setattr(minimal_filtering, "_KEPT", 2 * kept.of(weights[0], False).nbytes)
    for weight in weights:
        found = kept.of(weight, False)
        torch.testing.assert_close(found, minimal_filtering._at_points(weight, False))
    assert [
        whose() is weight for (whose, _), weight in zip(kept.known.values(), weights[3:], strict=True)
    ] == [True] * 2


def test_it_is_taken_where_it_pays_alone():
    _, weight = drawn(5, (256, 260), 1)
    assert suits(weight)
    assert not suits(weight.double())
    assert not suits(weight[:, :255])
    assert not suits(weight[:255])
    assert not suits(weight[..., :2])
    assert not suits(weight.to("meta"))
    assert pays(128, 1)
    assert not pays(127, 1)
    assert pays(2000, 16)
    assert not pays(2000, 1990)  # each of 10 positions would have a set of four with three others empty
