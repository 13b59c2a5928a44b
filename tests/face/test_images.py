"""Images, explained from Python."""

import numpy as np
import pytest
import torch
from face.networks import Pictures, made, pictures
from torch import nn

import sparselrp


def test_relevance_of_images_has_their_shape():
    x = pictures()
    a = sparselrp.PLRP(made(Pictures)).attribute(x, target=3)
    assert a.relevance.shape == x.shape
    assert a.contributions.shape == (2, 8, 8)
    torch.testing.assert_close(a.contributions, a.relevance.sum(1))
    assert repr(a).startswith("Attribution(2 images of 8 x 8, target '3', scores ")
    assert set(a.numpy()) >= {"relevance", "contributions"}


def test_relevance_of_images_is_conserved_and_not_centred():
    net, x = made(Pictures).double(), pictures().double()
    a = sparselrp.PLRP(net).attribute(x, target=[1, 2])
    torch.testing.assert_close(a.score, net.eval()(x)[[0, 1], [1, 2]].detach())
    torch.testing.assert_close(a.relevance.sum((1, 2, 3)) + a.absorbed + a.lost, a.score)
    assert not a.background.any()


class PlainPictures(nn.Module):
    """ReLU and no biases."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, bias=False)
        self.head = nn.Linear(4, 2, bias=False)

    def forward(self, x):
        return self.head(self.stem(x).relu().mean((2, 3)))


def test_relevance_of_lrp_0_is_gradient_x_input():
    net, x = made(PlainPictures).double(), pictures().double()
    a = sparselrp.PLRP(net, prune=0, composite="zero").attribute(x, target=0)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)
    torch.testing.assert_close(a.relevance, gradient * x, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("composite", ["epsilon-plus-flat", "epsilon-plus-w-square", "epsilon-plus-box"])
def test_rules_of_the_first_layer_conserve_relevance_of_images(composite):
    net, x = made(Pictures).double(), pictures().double()
    a = sparselrp.PLRP(net, composite=composite, prune=0).attribute(x.sigmoid(), target=0)
    assert float(a.conservation_error.max()) < 1e-8


def test_flat_gives_every_number_of_a_small_image_the_same():
    net = nn.Sequential(nn.Conv2d(2, 1, 3, bias=False), nn.Flatten()).double()
    x = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    a = sparselrp.PLRP(net, composite="epsilon-plus-flat", prune=0).attribute(x)
    torch.testing.assert_close(a.relevance, (a.score / 18).reshape(1, 1, 1, 1).expand_as(x))


def test_images_of_one_sign_and_of_both_are_explained_by_one_module():
    net, x = made(Pictures), pictures()
    plrp = sparselrp.PLRP(net, composite="z-plus")
    first = plrp.attribute(x.abs(), target=0)
    plrp.attribute(x, target=0)
    assert torch.equal(plrp.attribute(x.abs(), target=0).relevance, first.relevance)


def test_a_heatmap_is_the_relevance_over_the_channels():
    a = sparselrp.PLRP(made(Pictures)).attribute(pictures(), target=0)
    (image,) = a.plot(1).get_images()
    np.testing.assert_allclose(image.get_array(), a.contributions[1], rtol=1e-5, atol=1e-7)
    low, high = image.get_clim()
    assert low == -high
    with pytest.raises(sparselrp.InputError, match="an image is drawn whole"):
        a.plot(0, 1, 2)


def test_a_segmentation_is_explained_at_a_pixel():
    net, x = nn.Conv2d(3, 2, 3, padding=1).double(), pictures().double()
    a = sparselrp.PLRP(net, prune=0, composite="zero").attribute(x, target=(1, 4, 5))
    torch.testing.assert_close(a.score, net(x)[:, 1, 4, 5].detach())
    outside = torch.ones(8, 8, dtype=torch.bool)
    outside[3:6, 4:7] = False
    assert not a.contributions[:, outside].any()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda a: a.hypothetical, "images have no hypothetical contributions; use relevance"),
        (lambda a: a.seqlets(), "motifs are of sequences; these are images"),
        (lambda a: a.to_modisco("x"), "motifs are of sequences; these are images"),
    ],
    ids=["hypothetical", "seqlets", "to_modisco"],
)
def test_what_only_sequences_have_is_refused(ask, message):
    a = sparselrp.PLRP(made(Pictures)).attribute(pictures(), target=0)
    with pytest.raises(sparselrp.InputError, match=message):
        ask(a)


@pytest.mark.parametrize("given", [{"reverse_complement": True}, {"centre": (0.3, 0.2, 0.2, 0.3)}], ids=str)
def test_settings_of_sequences_are_refused_for_images(given):
    with pytest.raises(sparselrp.InputError, match=f"{next(iter(given))}= is .* images have none"):
        sparselrp.PLRP(made(Pictures), **given).attribute(pictures(), target=0)


def test_a_network_of_images_is_inspected():
    found = sparselrp.inspect(made(Pictures), pictures())
    assert str(found).startswith("model Pictures: images of 3 x 8 x 8\noutput output (N, 4)\n")
    assert found.to_dict()["image"] == [3, 8, 8]
    assert found.to_dict()["conservation_error"] < 1e-4
