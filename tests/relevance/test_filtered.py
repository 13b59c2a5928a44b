"""Convolutions that are computed by minimal filtering: the engine's, not the graph's."""

import pytest
import torch

from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.graph.shapes import BatchDim
from sparselrp_cli.relevance.filtered import FilteredConvolution, filtered_where_it_pays
from sparselrp_cli.relevance.rules import Gamma
from sparselrp_cli.relevance.step import PreparedLayer


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolution(weight=None, **changed):
    weight = drawn(260, 256, 5) / 36 if weight is None else weight
    geometry = {"stride": (1,), "padding": (2,), "dilation": (1,), "groups": 1} | changed
    return Convolution(weight, drawn(len(weight), seed=1), **geometry)


def node(layer):
    shape = (BatchDim(), 260, 300)
    return Node("layer", layer, ("x",), shape)


def filtered(layer):
    found = filtered_where_it_pays(node(layer)).operation
    assert isinstance(found, FilteredConvolution)
    return found


@pytest.mark.parametrize(
    ("layer", "fast"),
    [
        (convolution(), True),
        (convolution(padding=(0,)), True),
        (convolution(dilation=(3,), padding=(12,)), True),
        (convolution(stride=(2,)), False),
        (convolution(groups=2), False),
        (convolution(padding=(5,)), False),
        (convolution(drawn(64, 256, 5)), False),
        (convolution(drawn(260, 256, 11)), False),
        (convolution(drawn(260, 256, 1, 5), stride=(1, 1), padding=(0, 2), dilation=(1, 1)), False),
    ],
    ids=[
        "same",
        "valid",
        "dilated",
        "stride",
        "groups",
        "more padding than width",
        "few channels",
        "wide",
        "image",
    ],
)
def test_a_layer_is_filtered_where_that_pays_alone(layer, fast):
    assert isinstance(filtered_where_it_pays(node(layer)).operation, FilteredConvolution) == fast


@pytest.mark.parametrize("changed", [{}, {"padding": (0,)}, {"dilation": (4,), "padding": (6,)}], ids=str)
@pytest.mark.parametrize("rectified", [False, True], ids=["", "rectified"])
def test_it_gives_what_the_convolution_gives(changed, rectified):
    layer = convolution(**changed)
    object.__setattr__(layer, "rectified", rectified)
    x = drawn(2, 256, 400, seed=2)
    z, _ = layer.forward(x)
    values = drawn(*z.shape, seed=3)
    found, _ = filtered(layer).forward(x)
    torch.testing.assert_close(found, z, rtol=5e-5, atol=5e-5)
    back = filtered(layer).transpose(values, layer.weight, x)
    torch.testing.assert_close(back, layer.transpose(values, layer.weight, x), rtol=5e-5, atol=5e-5)


@pytest.mark.parametrize(
    "x", [drawn(1, 256, 100), drawn(1, 256, 400).double(), torch.empty(1, 256, 400, device="meta")],
    ids=["few positions", "float64", "without numbers"],
)  # fmt: skip
def test_what_does_not_pay_is_left_to_torch(x, monkeypatch):
    monkeypatch.setattr("sparselrp_cli.relevance.minimal_filtering.convolved", None)
    layer = filtered(convolution())
    layer = layer if x.dtype == torch.float32 else FilteredConvolution(
        layer.weight.double(), layer.bias.double(), (1,), (2,), (1,), 1
    )  # fmt: skip
    if x.device.type == "meta":
        layer = FilteredConvolution(layer.weight.to("meta"), layer.bias.to("meta"), (1,), (2,), (1,), 1)
    z, _ = layer.forward(x)
    assert z.shape == (1, 260, x.shape[2])
    assert layer.transpose(z, layer.weight, x).shape == x.shape


def test_denominators_stay_away_from_zero_beside_large_numbers():
    """Numbers a hundred million times smaller than their neighbours are under the rounding of the sums."""
    layer = convolution()
    x = drawn(1, 256, 400, seed=2).relu()
    x[:, :, 200:230] *= 1e-9
    x[:, :, 190] *= 1e3
    prepared = PreparedLayer.prepare(filtered(layer), Gamma(), True)
    z, _ = prepared.layer.forward(x)
    found = prepared.favoured_magnitude(prepared.favoured, x, z)
    least = (prepared.favoured.scale - 1) * z.abs()
    assert bool((found >= least).all())
    expected = PreparedLayer.prepare(layer, Gamma(), True).favoured_magnitude(prepared.favoured, x, z)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_rules_divide_by_exact_sums():
    """A rule's own denominators are torch's: what is small beside others isn't lost in their rounding."""
    layer = filtered(convolution())
    x = drawn(1, 256, 400, seed=2)
    assert torch.equal(layer.apply(x, layer.weight, None), convolution().apply(x, layer.weight, None))
