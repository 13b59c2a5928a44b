"""Examples of any type and layout, and inputs beside them."""

import pytest
import torch
from face.networks import (
    LENGTH,
    Plain,
    PositionsFirst,
    Sites,
    WithControl,
    made,
    same,
    sequences,
)
from torch import nn

import sparselrp


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float64, torch.bfloat16])
def test_inputs_of_any_type_are_turned_to_the_modules(dtype):
    net, x = made(Sites), sequences()
    a = sparselrp.PLRP(net).attribute(x.to(dtype), target=0)
    assert a.hypothetical.dtype == a.inputs.dtype == torch.float32
    assert same(a, sparselrp.PLRP(net).attribute(x, target=0))


def test_how_examples_lie_in_memory_makes_no_difference():
    net, x = made(Sites), sequences()
    laid_out = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert not laid_out.is_contiguous()
    plrp = sparselrp.PLRP(net)
    assert same(plrp.attribute(x, target=0), plrp.attribute(laid_out, target=0))


def test_a_module_in_float64_is_explained_in_it():
    net, x = made(Sites).double(), sequences()
    a = sparselrp.PLRP(net, prune=0).attribute(x, target=0)
    assert a.hypothetical.dtype == torch.float64
    torch.testing.assert_close(a.score, net.eval()(x.double())[:, 0].detach(), rtol=1e-12, atol=1e-12)
    assert float(a.conservation_error.max()) < 1e-10


def test_a_module_in_half_precision_is_explained_in_float32():
    net, x = made(Sites), sequences()
    exact = sparselrp.PLRP(net, prune=0).attribute(x, target=0)
    a = sparselrp.PLRP(made(Sites).bfloat16(), prune=0).attribute(x, target=0)
    assert a.hypothetical.dtype == torch.float32
    torch.testing.assert_close(a.score, exact.score, rtol=0.1, atol=0.02)


def test_examples_may_hold_any_numbers():
    net, x = (
        made(Plain).double(),
        torch.randn(3, 4, LENGTH, generator=torch.Generator().manual_seed(0)).double(),
    )
    a = sparselrp.PLRP(net, prune=0, composite="z-plus").attribute(x, target=0)
    assert float(a.conservation_error.max()) < 1e-9
    assert torch.equal(a.inputs, x)
    plain = sparselrp.PLRP(net, prune=0, composite="zero", centre=None)
    torch.testing.assert_close(plain.attribute(x, target=0).relevance.sum((1, 2)), net(x)[:, 0].detach())


def test_signs_of_the_examples_decide_no_result_of_others():
    net, x = made(Sites), sequences()
    plrp = sparselrp.PLRP(net, composite="z-plus")
    before = plrp.attribute(x, target=0)
    plrp.attribute(-x, target=0)
    assert same(plrp.attribute(x, target=0), before)


def test_layouts_are_those_that_the_module_takes():
    net, x = made(Sites), sequences()
    expected = sparselrp.PLRP(net).attribute(x, target=0)
    turned = sparselrp.PLRP(PositionsFirst(net), layout="NLC").attribute(x.transpose(1, 2), target=0)
    torch.testing.assert_close(turned.hypothetical, expected.hypothetical)
    assert torch.equal(turned.inputs, x)


FORMS = {
    "NC1L": (lambda x: x[:, :, None], lambda x: x[:, :, 0]),
    "NCL1": (lambda x: x[..., None], lambda x: x[..., 0]),
    "N1CL": (lambda x: x[:, None], lambda x: x[:, 0]),
    "N1LC": (lambda x: x.transpose(1, 2)[:, None], lambda x: x[:, 0].transpose(1, 2)),
}


class InForm(nn.Module):
    def __init__(self, inner, form):
        super().__init__()
        self.inner, self.form = inner, form

    def forward(self, x):
        return self.inner(FORMS[self.form][1](x))


@pytest.mark.parametrize("form", FORMS)
def test_sequences_with_an_axis_of_length_1_are_sequences(form):
    net, x = made(Sites), sequences()
    a = sparselrp.PLRP(InForm(net, form), layout=form).attribute(FORMS[form][0](x), target=0)
    torch.testing.assert_close(a.hypothetical, sparselrp.PLRP(net).attribute(x, target=0).hypothetical)


class OfIds(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(4, 3), nn.Linear(3, 1)

    def forward(self, ids):
        return self.head(self.embedding(ids).relu().mean(1))


def test_a_module_of_ids_takes_ids():
    net, x = made(OfIds), sequences()
    a = sparselrp.PLRP(net, layout="NL").attribute(x.argmax(1))
    assert a.hypothetical.shape == x.shape
    assert torch.equal(a.inputs, x)
    torch.testing.assert_close(a.score, net(x.argmax(1))[:, 0].detach().double(), rtol=1e-5, atol=1e-6)
    with pytest.raises(sparselrp.InputError, match="layout='NL' takes ids of bases"):
        sparselrp.PLRP(net, layout="NL").attribute(x.argmax(1) + 1)


def test_the_order_of_bases_is_that_of_the_module():
    net, x = made(Sites), sequences()
    order = [3, 2, 1, 0]
    a = sparselrp.PLRP(net, alphabet="TGCA").attribute(x, target=0)
    expected = sparselrp.PLRP(net).attribute(x, target=0)
    torch.testing.assert_close(a.hypothetical, expected.hypothetical[:, order])
    assert torch.equal(a.inputs, x[:, order])


@pytest.mark.parametrize("given", ["a tensor", "a tuple", "a dict"])
def test_inputs_beside_the_sequence_are_each_examples_own(given, captures):
    net, x = made(WithControl).eval(), sequences(3)
    control = torch.rand(3, 7, generator=torch.Generator().manual_seed(1))
    more = {"a tensor": control, "a tuple": (control,), "a dict": {"control": control}}[given]
    plrp = sparselrp.PLRP(net, prune=0)
    a = plrp.attribute(x, additional_forward_args=more)
    torch.testing.assert_close(a.score, net(x, control)[:, 0].detach().double(), rtol=1e-5, atol=1e-6)
    assert a.contributions.shape == (3, LENGTH)
    plrp.attribute(x, additional_forward_args=more, batch_size=1)
    assert len(captures) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (torch.ones(2, 7), "'control' isn't a tensor with a row for each of 3 examples"),
        ((torch.ones(3, 7),) * 3, "3 for 2 more parameters of forward"),
        ({"tracks": torch.ones(3, 7)}, "forward takes control, strength, not 'tracks'"),
        (torch.full((3, 7), float("inf")), "'control' holds NaN or infinity"),
    ],
)
def test_inputs_beside_the_sequence_are_checked(more, message):
    with pytest.raises(sparselrp.InputError, match=message):
        sparselrp.PLRP(made(WithControl)).attribute(sequences(3), additional_forward_args=more)


def test_inputs_of_one_orientation_arent_averaged_over_both():
    plrp = sparselrp.PLRP(made(WithControl), reverse_complement=True)
    with pytest.raises(
        sparselrp.InputError, match="are of one orientation, and reverse_complement= reads both"
    ):
        plrp.attribute(sequences(3), additional_forward_args=torch.ones(3, 7))
