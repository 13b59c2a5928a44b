"""`sparselrp.PLRP`: its numbers, its settings, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from face.networks import (
    BOOKS,
    LENGTH,
    Plain,
    Sites,
    made,
    same,
    sequences,
)
from helpers.commands import attribute
from torch import nn

import sparselrp

SUHW = Path(__file__).parents[2] / "models" / "suhw-dm3"


def test_relevance_of_epsilon_without_pruning_is_gradient_x_input():
    net, x = made(Plain).double(), sequences().double()
    a = sparselrp.PLRP(net, prune=0, composite="zero", centre=None).attribute(x, target=1)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(a.hypothetical, gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(a.contributions, (gradient * x).sum(1), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(a.score, net(x)[:, 1].detach(), rtol=1e-9, atol=1e-12)
    near = sparselrp.PLRP(net, prune=0, composite="epsilon", centre=None).attribute(x, target=1)
    torch.testing.assert_close(near.hypothetical, gradient, rtol=1e-3, atol=1e-4)


def test_the_accounts_close():
    a = sparselrp.PLRP(made(Sites)).attribute(sequences(), target=2)
    booked = a.contributions.double().sum(1) + a.background + a.absorbed + a.lost
    torch.testing.assert_close(booked, a.score, rtol=1e-4, atol=1e-6)
    assert float(a.conservation_error.max()) < 1e-4


def test_numbers_are_those_of_the_command(tmp_path):
    model, bases = sparselrp.load_model(SUHW), "ACGT"
    x = model.example(3)
    fasta = tmp_path / "x.fa"
    records = ["".join(bases[i] for i in one.argmax(0)) for one in x]
    fasta.write_text("".join(f">s{i}\n{record}\n" for i, record in enumerate(records)))
    assert attribute(fasta, "-m", SUHW, "-o", tmp_path / "run", "-b", 3, "-q") == 0
    run = sparselrp.open(tmp_path / "run.h5")
    a = sparselrp.PLRP(model).attribute(x)
    assert a.target == run.target == "suhw"
    np.testing.assert_array_equal(a.hypothetical.numpy(), run.hypothetical)
    np.testing.assert_allclose(a.contributions.numpy(), run.contributions, rtol=0, atol=1e-7)
    for name in BOOKS:
        np.testing.assert_array_equal(a.numpy()[name], run.windows[name])


def test_both_strands_are_averaged_as_the_mean_of_two_explanations():
    net, x = made(Sites), sequences()
    a = sparselrp.PLRP(net, reverse_complement=True).attribute(x, target=0)
    forward = sparselrp.PLRP(net).attribute(x, target=0)
    backward = sparselrp.PLRP(net).attribute(x.flip(1, 2), target=0)
    mean = (forward.hypothetical + backward.hypothetical.flip(1, 2)) / 2
    torch.testing.assert_close(a.hypothetical, mean)


def test_batches_and_their_size_make_no_difference():
    net, x = made(Sites).double(), sequences(5)
    whole = sparselrp.PLRP(net).attribute(x, target=[0, 1, 2, 1, 0])
    parts = sparselrp.PLRP(net).attribute(x, target=[0, 1, 2, 1, 0], batch_size=2)
    for name in ("contributions", "maps", *BOOKS[:-1]):
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name), rtol=1e-9, atol=1e-12)


def test_weights_that_arent_finite_are_named():
    net = made(Sites)
    net.scan.weight.data[0, 0, 0] = float("nan")
    with pytest.raises(sparselrp.ModelError, match=r"weights of 'scan.weight' hold NaN"):
        sparselrp.PLRP(net).attribute(sequences(), target=0)


def test_a_module_without_a_rule_for_an_operation_is_refused():
    class Hard(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x).sum((1, 2))[:, None]

    with pytest.raises(sparselrp.UnsupportedOperationError, match="no rule for"):
        sparselrp.PLRP(Hard()).attribute(sequences())


SETTINGS = {
    "prune=1.0": ({"prune": 1.0}, "prune=1.0: 1.0 isn't a proportion"),
    "prune=nan": ({"prune": float("nan")}, "prune=nan"),
    "prune='0.1'": ({"prune": "0.1"}, "'0.1' isn't a proportion"),
    "composite": ({"composite": "epsilonplus"}, "did you mean 'epsilon-plus'"),
    "redistribute": ({"redistribute": "M"}, "redistribute='M'"),
    "select and m": ({"select": "z-plus", "redistribute": "m"}, "select= goes with redistribute='lambda'"),
    "centre": ({"centre": (0.5, 0.5)}, "four shares of A, C, G and T"),
    "ends": ({"ends": "keep"}, "ends='keep'"),
    "truth": ({"reverse_complement": 1}, "neither true nor false"),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_are_checked_as_those_of_the_command(case):
    given, message = SETTINGS[case]
    with pytest.raises(sparselrp.SettingError, match=message):
        sparselrp.PLRP(made(Sites), **given)


def test_a_layout_that_there_isnt_is_refused():
    with pytest.raises(sparselrp.ModelError, match="layout='LNC': must be one of NCL, NLC"):
        sparselrp.PLRP(made(Sites), layout="LNC")


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_batch_size_is_a_number_of_examples(size):
    with pytest.raises(sparselrp.SettingError, match="give a number of examples, 1 or more"):
        sparselrp.PLRP(made(Sites)).attribute(sequences(), target=0, batch_size=size)


def test_what_isnt_a_module_is_refused():
    with pytest.raises(sparselrp.ModelError, match=r"net is of type str, not a torch\.nn\.Module"):
        sparselrp.PLRP("models/suhw-dm3")


def test_a_packed_model_says_which_windows_it_takes(tmp_path):
    folder = sparselrp.pack(made(Sites), tmp_path / "sites", window=LENGTH)
    model = sparselrp.load_model(folder)
    a = sparselrp.PLRP(model).attribute(sequences(), target=0)
    assert same(a, sparselrp.PLRP(made(Sites)).attribute(sequences(), target=0))
    with pytest.raises(sparselrp.InputError, match=r"the packed model takes \(4, 30\)"):
        sparselrp.PLRP(model).attribute(sequences(length=20), target=0)


def test_a_repr_is_one_line():
    plrp = sparselrp.PLRP(made(Sites), prune=0.2)
    assert repr(plrp) == "PLRP(Sites, prune=0.2, composite='epsilon-gamma')"


def test_nothing_is_printed_and_the_log_tells_what_goes_on(capfd, caplog):
    with caplog.at_level("INFO", "sparselrp"):
        sparselrp.PLRP(nn.Sequential(made(Sites), nn.Sigmoid())).attribute(sequences(), target=0)
    assert capfd.readouterr() == ("", "")
    assert any("sigmoid" in record.message for record in caplog.records)
