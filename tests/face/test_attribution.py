"""The result of `PLRP.attribute`: its shapes, parts, figures and files."""

import re

import matplotlib as mpl
import numpy as np
import pytest
import torch
from face.networks import BOOKS, LENGTH, Plain, Sites, made, sequences
from helpers.commands import attribute

import sparselrp
from sparselrp_cli.face import drawing

FIELDS = {"target", "inputs", "contributions", "maps", *BOOKS}


@pytest.fixture(scope="module")
def found():
    """Four sequences, explained."""
    return sparselrp.PLRP(made(Sites)).attribute(sequences(), target=1)


@pytest.fixture(autouse=True)
def no_window(monkeypatch):
    """Figures are closed behind every test."""
    from matplotlib import pyplot

    mpl.use("Agg")
    yield
    pyplot.close("all")


def test_shapes_are_those_of_the_examples(found):
    assert found.contributions.shape == (4, LENGTH)
    assert found.hypothetical.shape == found.relevance.shape == found.inputs.shape == (4, 4, LENGTH)
    assert all(getattr(found, name).shape == (4,) for name in BOOKS)


def test_contributions_are_those_of_the_observed_bases(found):
    torch.testing.assert_close(found.contributions, (found.inputs * found.hypothetical).sum(1))
    torch.testing.assert_close(found.relevance.sum(1), found.contributions)


def test_hypothetical_contributions_are_zero_where_the_base_is_unknown():
    x = sequences()
    x[1, :, 7] = 0
    a = sparselrp.PLRP(made(Sites)).attribute(x, target=1)
    assert not a.hypothetical[1, :, 7].any()
    assert a.hypothetical[0, :, 7].any()


def test_attributes_cant_be_exchanged(found):
    with pytest.raises(AttributeError):
        found.score = torch.zeros(4)


def test_a_repr_is_one_short_line(found):
    low, high = (f"{float(v):.4g}" for v in (found.score.min(), found.score.max()))
    assert repr(found) == f"Attribution(4 windows of 30 bp, target '1', scores {low} to {high})"
    one = f"{float(found.score[0]):.4g}"
    assert repr(found[0]) == f"Attribution(1 window of 30 bp, target '1', score {one})"
    assert repr(found[2:2]) == "Attribution(0 windows of 30 bp, target '1')"


@pytest.mark.parametrize(
    ("picked", "rows"),
    [
        (2, [2]),
        (-1, [3]),
        (np.int64(1), [1]),
        (slice(1, 3), [1, 2]),
        ([3, 0], [3, 0]),
        (torch.tensor([True, False, False, True]), [0, 3]),
        (np.array([2, 2]), [2, 2]),
    ],
    ids=str,
)
def test_some_of_the_examples_are_an_attribution(found, picked, rows):
    some = found[picked]
    assert isinstance(some, sparselrp.Attribution)
    assert len(some) == len(rows)
    for name in FIELDS - {"target"}:
        assert torch.equal(getattr(some, name), getattr(found, name)[rows])


def test_an_example_that_there_isnt_is_an_index_error(found):
    with pytest.raises(IndexError, match="example 4 of 4"):
        found[4]
    assert [len(one) for one in found] == [1, 1, 1, 1]


def test_arrays_have_the_names_of_the_attributes(found):
    arrays = found.numpy()
    assert set(arrays) == {*FIELDS - {"target", "maps"}, "hypothetical"}
    assert all(np.array_equal(array, getattr(found, name).numpy()) for name, array in arrays.items())


def test_what_is_saved_is_read_by_numpy(found, tmp_path):
    found.save(tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as saved:
        assert saved["target"] == "1"
        np.testing.assert_array_equal(saved["hypothetical"], found.hypothetical)
    with pytest.raises(sparselrp.OutputError):
        found.save(tmp_path / "no such folder" / "found.npz")


def test_letters_stand_where_their_positions_are(found):
    axes = found.plot(1, 5, 15)
    assert axes.get_xlim() == (4.5, 14.5)
    assert axes.get_ylabel() == "contribution"
    heights = {round(v, 6) for v in found.contributions[1, 5:15].tolist()}
    drawn = {round(p.get_path().get_extents().height, 6) for p in axes.patches}
    assert {abs(h) for h in heights} - drawn <= {0.0}


def test_a_figure_is_drawn_on_the_axes_that_are_given(found):
    figure = mpl.figure.Figure()
    axes = figure.subplots()
    assert found.plot(0, ax=axes) is axes
    assert axes.get_xlim() == (-0.5, LENGTH - 0.5)


def test_long_stretches_are_an_outline_of_each_base():
    a = sparselrp.PLRP(made(Plain)).attribute(sequences(1, 230), target=0)
    (outline,) = a.plot(0).patches
    high, edges, low = outline.get_data()
    of_bases = np.repeat(high + low, np.diff(edges).astype(int))
    np.testing.assert_allclose(of_bases, a.contributions[0], atol=1e-6)
    assert (edges[0], edges[-1]) == (-0.5, 229.5)


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 5), (20, 31), (31, None)])
def test_a_stretch_lies_inside(found, start, end):
    with pytest.raises(sparselrp.InputError, match="aren't a stretch of 30 bp; write 0 to 30"):
        found.plot(0, start, end)


def test_what_figures_need_is_named(found, monkeypatch):
    monkeypatch.setattr(drawing, "find_spec", lambda name: None if name == "logomaker" else name)
    with pytest.raises(sparselrp.SparselrpError, match="figures need logomaker; pip install logomaker"):
        found.plot(0)


def test_arrays_for_modisco_are_those_of_the_command(tmp_path):
    net, x = sparselrp.load_model("tests/helpers/tiny_net.py:TinyNet"), sequences(5, 40)
    folder = sparselrp.pack(net, tmp_path / "tiny")
    fasta = tmp_path / "x.fa"
    records = ["".join("ACGT"[i] for i in one.argmax(0)) for one in x]
    fasta.write_text("".join(f">s{i}\n{record}\n" for i, record in enumerate(records)))
    given = [fasta, "-m", folder, "-t", "0", "-b", 5, "--formats", "h5,modisco", "-q"]
    assert attribute(*given, "-o", tmp_path / "run") == 0
    a = sparselrp.PLRP(net).attribute(x, target=0, batch_size=5)
    for path in a.to_modisco(tmp_path / "here"):
        other = tmp_path / path.name.replace("here", "run")
        assert path.read_bytes() == other.read_bytes()


class Finder(torch.nn.Module):
    """Scores the word GATTACA."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = torch.nn.Conv1d(4, 1, 7)
        word = torch.tensor(["ACGT".index(base) for base in "GATTACA"])
        with torch.no_grad():
            self.scan.weight.copy_(2 * torch.nn.functional.one_hot(word, 4).T[None] - 1)
            self.scan.bias.fill_(-1.0)

    def forward(self, x):
        return self.scan(x).relu().square().mean(2)


def test_seqlets_lie_where_the_sites_are():
    x = sequences(150, 100, seed=3)
    word = torch.nn.functional.one_hot(torch.tensor(["ACGT".index(base) for base in "GATTACA"]), 4).T
    places = [5 + i % 80 for i in range(150)]
    background = x.clone()
    for row, place in enumerate(places):
        x[row, :, place : place + 7] = word
    plrp = sparselrp.PLRP(Finder(), prune=0)
    null = plrp.attribute(background)
    table = plrp.attribute(x).seqlets(null, fdr=0.1)
    assert list(table) == ["window", "start", "end", "centre", "sign", "relevance", "p", "q"]
    found = table[table["sign"] == 1]
    starts = np.array(places)[found["window"]]
    inside = (starts <= found["centre"]) & (found["centre"] < starts + 7)
    assert found["window"][inside].nunique() > 120
    assert inside.mean() > 0.8  # the same word stands elsewhere by chance, too
    assert (table["q"] <= 0.1).all()
    assert table["q"].is_monotonic_increasing


def test_seqlets_without_relevance_are_refused(found):
    nothing = sparselrp.PLRP(made(Plain)).attribute(torch.zeros(2, 4, LENGTH), target=0)
    with pytest.raises(sparselrp.InputError, match=re.escape("the attribution: all relevance is zero")):
        nothing.seqlets()
    with pytest.raises(
        sparselrp.InputError, match=r"too few for a null .*; give background= with more windows"
    ):
        found[0].seqlets()
    with pytest.raises(sparselrp.InputError, match="fdr=0: the largest q-value lies above 0"):
        found.seqlets(fdr=0)
    with pytest.raises(sparselrp.InputError, match="background= is of type Tensor; give an Attribution"):
        found.seqlets(found.inputs)


def test_motif_tools_take_one_hot_sequences_only(tmp_path):
    a = sparselrp.PLRP(made(Plain)).attribute(sequences() / 2, target=0)
    with pytest.raises(sparselrp.InputError, match="motifs are of one-hot sequences"):
        a.to_modisco(tmp_path / "half")


@pytest.mark.parametrize("length", [50, 500], ids=["letters", "bars"])
def test_a_map_of_zeros_is_drawn_without_a_warning(length):
    from matplotlib.figure import Figure

    from sparselrp_cli.report.figures import draw_relevance

    axes = Figure().subplots()
    draw_relevance(axes, np.zeros((length, 4)), 0)
    low, high = axes.get_ylim()
    assert low <= 0 < high
