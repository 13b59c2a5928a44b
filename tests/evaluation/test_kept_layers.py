"""Neurons that pruning keeps by layer: of the window that is drawn, as the run counted them."""

import numpy as np
import pytest
import torch
from helpers.commands import attribute, command, error_line, table, write
from helpers.tiny_net import MODEL, WINDOW
from torch import nn

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.windows import WindowExplainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs on two overlapping windows of both strands: unpruned, at two p."""
    folder = tmp_path_factory.mktemp("kept")
    letters = "".join(np.random.default_rng(4).choice(list("ACGT"), 200))
    genome = write(folder / "genome.fa", f">chr1\n{letters}\n")
    bed = write(folder / "two.bed", "chr1\t50\t60\ta\t0\t+\nchr1\t70\t80\tb\t0\t-\n")
    for p in ("0", "0.05", "0.4"):
        done = attribute(
            genome, "-r", bed, "-m", MODEL, "-t", "1", "-t", "0", "-o", folder / p, "-p", p, "-q"
        )
        assert done == 0
    return folder


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize(("place", "window"), [("chr1:41-60", "a"), ("chr1:61-62", "a"), ("chr1:71-80", "b")])
@pytest.mark.parametrize("target", ["0", "1"])
def test_the_table_counts_as_the_run_did(folder, capsys, place, window, target):
    given = [folder / "0.05.h5", place, "--with", folder / "0.h5", "--with", folder / "0.4.h5", "-t", target]
    assert command("plot", *given, "-m", MODEL, "-o", folder / "x.svg", "-q") == 0
    header, *lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert header == ["tensor", "neurons", "0.05", "0.4"]
    neurons = np.array([int(line[1]) for line in lines])
    # What the second convolution and the dense layer read.
    assert neurons.tolist() == [6 * WINDOW, 6 * WINDOW // 4]
    for column, run in enumerate(("0.05", "0.4"), 2):
        rows = [
            r for r in table(folder / f"{run}.windows.tsv") if (r["name"], r["target"]) == (window, target)
        ]
        kept = sum(int(line[column]) for line in lines)
        assert float(rows[0]["kept_share"]) == pytest.approx(kept / neurons.sum())


def test_each_layer_keeps_what_the_definition_of_the_threshold_keeps():
    """A layer of which each neuron reads one base: its relevance is known without a walk."""
    weights = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, -3.0, -1.0])
    net = nn.Sequential(nn.Conv1d(4, 1, 1, bias=False), nn.Flatten(), nn.Linear(7, 1, bias=False)).double()
    net[0].weight.data.fill_(1.0)
    net[2].weight.data[:] = weights
    net.requires_grad_(False)
    one_hot = np.eye(4, dtype=np.uint8)[:, [0, 1, 2, 3, 0, 1, 2]][None]
    graph = capture(net, torch.from_numpy(one_hot).double())
    target = Target("score", (Term(0, 0, None),))
    for p, kept in ((0.0, None), (0.1, 5), (0.25, 4), (0.5, 2)):
        # Of 15.5 positive a share p goes, the least first; of 4 negative p / 2.
        explainer = Explainer(graph, [target], None, PRESETS["epsilon"], Pruning(p))
        layers = WindowExplainer(explainer, InputLayout()).kept_layers(one_hot, reverse=False)
        assert [(layer.neurons, layer.kept) for layer in layers] == ([] if kept is None else [(7, kept)])


def test_another_model_is_refused(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    code = "from helpers.tiny_net import TinyNet\nclass Other(TinyNet):\n    'Another file.'\n"
    write(folder / "other.py", code)
    given = [folder / "0.05.h5", "chr1:41-60", "-t", "0", "-m", "other.py:Other"]
    assert command("plot", *given, "-o", folder / "no.svg") == 1
    error = error_line(capsys)
    assert "was made with the model 'TinyNet' from other files than the given 'Other'; give" in error
    assert not (folder / "no.svg").exists()


@pytest.mark.parametrize(("option", "value"), [("-w", "w.pt"), ("--window", 40), ("--layout", "NCL")])
@pytest.mark.parametrize("name", ["plot", "evaluate"])
def test_what_is_said_of_a_model_that_isnt_named_is_wrong_usage(folder, capsys, name, option, value):
    given = ["chr1:41-60", "-o", folder / "no.svg"] if name == "plot" else []
    assert command(name, folder / "0.05.h5", *given, option, value) == 2
    assert "goes with --model; name the model too" in capsys.readouterr().err
    assert not (folder / "no.svg").exists()


def test_an_archive_of_several_models_is_refused(folder, capsys):
    bed = folder / "two.bed"
    both = ["-m", MODEL, "-m", MODEL, "-t", "0", "-o", folder / "mean", "-q"]
    assert attribute(folder / "genome.fa", "-r", bed, *both) == 0
    assert command("plot", folder / "mean.h5", "chr1:41-60", "-m", MODEL, "-o", folder / "no.svg") == 1
    said = "is the mean of several models; one model is asked, so give archives of each alone"
    assert said in error_line(capsys)
