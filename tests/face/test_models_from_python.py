"""`load_model`, `pack` and `inspect` from Python."""

import json
from pathlib import Path

import pytest
import torch
from face.networks import LENGTH, PositionsFirst, Sites, made, sequences
from helpers.commands import command
from helpers.tiny_net import MODEL, WINDOW, TinyNet
from torch import nn

import sparselrp

SUHW = Path(__file__).parents[2] / "models" / "suhw-dm3"


def test_a_loaded_model_says_what_it_takes_and_gives():
    model = sparselrp.load_model(SUHW)
    assert (model.name, model.window) == ("suhw-dm3", 600)
    assert model.outputs[0].tasks == ("suhw",)
    assert isinstance(model.module, nn.Module)


def test_a_factory_is_loaded_with_its_weights(tmp_path):
    net = TinyNet()
    with torch.no_grad():
        net.head.bias.fill_(3)
    torch.save(net.state_dict(), tmp_path / "w.pt")
    loaded = sparselrp.load_model(MODEL, tmp_path / "w.pt")
    assert torch.equal(loaded.module.head.bias, net.head.bias)


def test_a_file_that_can_run_code_needs_trust(tmp_path):
    torch.save(made(Sites), tmp_path / "net.pt")
    with pytest.raises(sparselrp.ModelError, match="trust_model="):
        sparselrp.load_model(tmp_path / "net.pt")


@pytest.mark.parametrize("given", ["path", "loaded", "module"])
def test_what_is_inspected_is_what_the_command_prints(given, capsys):
    capsys.readouterr()
    assert command("inspect", MODEL, "-q") == 0
    text = capsys.readouterr().out
    assert command("inspect", MODEL, "-q", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    net = {"path": MODEL, "loaded": sparselrp.load_model(MODEL), "module": TinyNet()}[given]
    found = sparselrp.inspect(net)
    assert f"{found}\n" == f"{found!r}\n" == text
    assert found.to_dict() == document
    assert found.obstacle is None


def test_an_example_says_the_window():
    net = made(Sites)
    found = sparselrp.inspect(net, sequences(), composite="epsilon")
    assert found.to_dict()["window"] == LENGTH
    assert found.to_dict()["composite"] == "epsilon"
    assert net.training
    turned = sparselrp.inspect(PositionsFirst(net), sequences().transpose(1, 2), layout="NLC")
    assert turned.to_dict()["layout"] == "NLC"


def test_a_model_that_cant_be_explained_is_shown_all_the_same():
    class Hard(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x).sum((1, 2))[:, None]

    found = sparselrp.inspect(Hard(), sequences())
    assert "NONE" in str(found)
    assert isinstance(found.obstacle, sparselrp.UnsupportedOperationError)


def test_a_window_has_to_be_known():
    with pytest.raises(sparselrp.ModelError, match="give it in bp, as window=2114"):
        sparselrp.inspect(made(Sites))
    assert sparselrp.inspect(made(Sites), window=WINDOW).to_dict()["window"] == WINDOW


def test_a_packed_module_is_the_folder_that_the_command_writes(tmp_path):
    net = TinyNet()
    assert sparselrp.pack(net, tmp_path / "here") == tmp_path / "here"
    assert command("pack", MODEL, "-o", tmp_path / "there", "-q") == 0
    for name in ("graph.json", "weights.safetensors"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert net.training


def test_a_folder_that_is_there_is_replaced_only_if_asked(tmp_path):
    sparselrp.pack(TinyNet(), tmp_path / "tiny", name="first")
    with pytest.raises(sparselrp.ModelError, match=r"exists already; .* replace it with force="):
        sparselrp.pack(TinyNet(), tmp_path / "tiny")
    sparselrp.pack(TinyNet(), tmp_path / "tiny", name="second", force=True)
    assert sparselrp.load_model(tmp_path / "tiny").name == "second"
