"""Targets that take logarithms, against automatic differentiation of what they say."""

import numpy as np
import pytest
import torch
from helpers.captures import captured_once
from helpers.commands import attribute, error_line, table, write
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.errors import TargetError
from sparselrp_cli.evaluation.mutagenesis import SingleChanges, effects
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE, Pruning
from sparselrp_cli.relevance.scoring import Scorer

CLOSE = {"rtol": 1e-11, "atol": 1e-13}
LENGTH = 20


class Rates(nn.Module):
    """Four tracks (N, 4, 10) and two counts (N, 2), always positive: piecewise linear below a softplus."""

    window = LENGTH

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scan, self.mix, self.head = nn.Conv1d(4, 5, 3), nn.Conv1d(5, 4, 9, stride=1), nn.Linear(4, 2)

    def below(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tracks = self.mix(self.scan(x).relu())
        return tracks, self.head(tracks.relu().amax(2))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        tracks, counts = self.below(x)
        return {"tracks": functional.softplus(tracks), "counts": counts.exp()}


class Signed(Rates):
    """The same without the softplus, so that values have either sign."""

    def forward(self, x: Tensor) -> Tensor:
        return self.below(x)[0]


def windows(n: int = 3) -> Tensor:
    bases = torch.randint(4, (n, LENGTH), generator=torch.Generator().manual_seed(1))
    return functional.one_hot(bases, 4).transpose(1, 2).double()


def explainer_of(net: nn.Module, *texts: str, **options) -> Explainer:
    graph = captured_once(net, windows())
    names = [OutputNames(output.name) for output in graph.outputs]
    parser = TargetParser(graph.outputs, names)
    settings = {"composite": PRESETS["zero"], "pruning": NONE, **options}
    return Explainer(graph, [parser.parse(text) for text in texts], names, **settings)


# What is typed, and what it says of the model's own output.
CASES = {
    "log(tracks/1@3)": lambda y: y["tracks"][:, 1, 3].log(),
    "log(tracks/0,2@2:7)": lambda y: y["tracks"][:, [0, 2], 2:7].mean((1, 2)).log(),
    "log(tracks/0:2@:)-log(tracks/3@:)": lambda y: (
        y["tracks"][:, :2].mean((1, 2)).log() - y["tracks"][:, 3].mean(1).log()
    ),
    "(log(tracks/0)-log(tracks/1))@centre:4": lambda y: (
        y["tracks"][:, 0, 3:7].mean(1).log() - y["tracks"][:, 1, 3:7].mean(1).log()
    ),
    "0.5*log(3*tracks/0@1+tracks/2@4)-2*log(counts/1)": lambda y: (
        0.5 * (3 * y["tracks"][:, 0, 1] + y["tracks"][:, 2, 4]).log() - 2 * y["counts"][:, 1].log()
    ),
    "log(counts/0+tracks/0@5)-tracks/1@2": lambda y: (
        (y["counts"][:, 0] + y["tracks"][:, 0, 5]).log() - y["tracks"][:, 1, 2]
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_relevance_is_that_of_the_logarithm_below_the_models_ends(text):
    net, x = Rates().double(), windows().requires_grad_()
    explainer = explainer_of(net, text)
    (found,) = explainer.explain(x.detach())
    value = CASES[text](net(x))
    (gradient,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(found.prediction, value.detach(), **CLOSE)
    # Of piecewise linear networks the rule LRP-0 gives gradient x input (Ancona et al. 2018, proposition 1).
    torch.testing.assert_close(found.contributions, gradient * x.detach(), **CLOSE)
    torch.testing.assert_close(found.score, below_ends(net, x, CASES[text]), **CLOSE)
    assert float(found.conservation_error.max()) < 1e-11


def below_ends(net: Rates, x: Tensor, by_hand) -> Tensor:
    """What goes into the ends, each number times the slope of the target there."""
    tracks, counts = (part.detach().requires_grad_() for part in net.below(x))
    value = by_hand({"tracks": functional.softplus(tracks), "counts": counts.exp()})
    slopes = torch.autograd.grad(value.sum(), (tracks, counts), allow_unused=True)
    parts = [
        (s * y).flatten(1).sum(1) for s, y in zip(slopes, (tracks, counts), strict=True) if s is not None
    ]
    return torch.stack(parts).sum(0).detach()


@pytest.mark.parametrize("pruning", [NONE, Pruning(0.2), Pruning(0.2, redistribute="m")], ids=str)
def test_a_model_that_takes_the_logarithm_itself_is_explained_as_the_target_that_does(pruning):
    class Inside(Rates):
        def forward(self, x):
            return super().forward(x)["tracks"][:, 1:3].mean((1, 2)).log()[:, None]

    options = {"composite": PRESETS["epsilon-gamma"], "pruning": pruning}
    (inside,) = explainer_of(Inside().double(), "0", **options).explain(windows())
    (outside,) = explainer_of(Rates().double(), "log(tracks/1:3@:)", **options).explain(windows())
    for name in ("contributions", "score", "prediction", "absorbed", "lost"):
        torch.testing.assert_close(getattr(outside, name), getattr(inside, name), **CLOSE)


def test_without_ends_relevance_of_a_logarithm_adds_up_to_one_and_of_a_ratio_to_nothing():
    class Counts(nn.Module):
        def forward(self, x):
            return x.sum(2)

    one, ratio = explainer_of(Counts(), "log(0)", "log(0)-log(1)").explain(windows())
    torch.testing.assert_close(one.relevance, torch.ones(3).double(), **CLOSE)
    torch.testing.assert_close(ratio.relevance, torch.zeros(3).double(), **CLOSE)
    counts = windows().sum(2)
    torch.testing.assert_close(ratio.prediction, (counts[:, 0] / counts[:, 1]).log(), **CLOSE)


def test_scores_and_mutagenesis_of_a_logarithm_are_of_the_models_own_value():
    text = "log(tracks/0:2@:)-log(tracks/3@2:5)"
    net, x = Rates().double(), windows()
    explainer = explainer_of(net, text)
    y = net(x)["tracks"].detach()
    expected = (y[:, :2].mean((1, 2)) / y[:, 3, 2:5].mean(1)).log()
    one_hot = x.byte().numpy()
    scorer = Scorer(explainer, InputLayout())
    np.testing.assert_allclose(scorer.scores(one_hot), expected, rtol=1e-11)
    (found,) = explainer.explain(x)
    gradient = scorer.gradient_times_input(one_hot)
    np.testing.assert_allclose(gradient, found.contributions.sum(1), rtol=1e-9, atol=1e-13)
    changes = SingleChanges(explainer, InputLayout()).effects(one_hot[0])
    np.testing.assert_allclose(changes, effects(one_hot[0], scorer.scores), rtol=1e-9, atol=1e-12)


def test_a_logarithm_reads_positions_from_the_other_end_of_a_reverse_complement():
    explainer = explainer_of(Rates().double(), "log(tracks/0@2)", "log(tracks/0@7)")
    here, _ = explainer.explain(windows(), mirrored=True)
    _, there = explainer.explain(windows())
    torch.testing.assert_close(here.contributions, there.contributions, **CLOSE)


def test_a_logarithm_is_cropped_to_what_it_reads_and_nothing_else_changes():
    explainer = explainer_of(Rates().double(), "log(tracks/0@2)")
    whole = explainer_of(Rates().double(), "log(tracks/0@2)", "tracks/0@0:10")
    assert explainer._program_for(explainer.targets) is not explainer.program
    expected = whole.explain(windows())[0]
    torch.testing.assert_close(explainer.explain(windows())[0].contributions, expected.contributions, **CLOSE)


def test_ends_cant_be_undone_below_a_logarithm():
    explainer = explainer_of(Rates().double(), "log(tracks/0@2)", ends="undo")
    with pytest.raises(TargetError) as caught:
        explainer.explain(windows())
    assert str(caught.value) == (
        "target 'log(tracks/0@2)': log(...) is explained by its slope, so that ends below it are held linear;"
        " leave --ends undo out"
    )


def test_how_a_logarithm_is_explained_is_said():
    together = "several of its entries are read together"
    assert explainer_of(Rates().double(), "log(counts/0)-log(tracks/0@:)").notes == (
        f"output 'counts' is explained with its exp held linear, {together}",
        f"output 'tracks' is explained with its softplus held linear, {together}",
        "target 'log(counts/0)-log(tracks/0@:)' is explained with its log held linear, by its slope",
    )


def test_the_logarithm_of_what_isnt_positive_is_refused_by_its_window(tmp_path, capsys):
    sequences = write(tmp_path / "s.fa", ">first\nACGTACGTACGTACGTACGT\n>second\nCCCCCCCCCCCCCCCCCCCC\n")
    run = (sequences, "-m", f"{__file__}:Signed", "-o", tmp_path / "out", "--formats", "h5")
    assert attribute(*run, "-t", "log(0@0)-log(1@0)") == 1
    assert error_line(capsys).endswith(
        "window first:0-20 (first), target 'log(0@0)-log(1@0)': what log(...) is of isn't above 0 here, and"
        " has no logarithm; take the logarithm of outputs that are always positive, such as rates behind a"
        " softplus, or leave the window out"
    )
    assert not (tmp_path / "out.h5").exists()


def test_a_log_ratio_of_a_run_is_in_its_table(tmp_path):
    sequences = write(tmp_path / "s.fa", ">first\nACGTACGTACGTACGTACGT\n>second\nCCCCCCCCCCCCCCCCCCCC\n")
    text = "log(tracks/0@2)-log(counts/1)"
    run = (
        sequences,
        "-m",
        f"{__file__}:Rates",
        "-o",
        tmp_path / "out",
        "--formats",
        "h5",
        "--dtype",
        "float64",
    )
    assert attribute(*run, "-t", text) == 0
    names = {"first": "ACGTACGTACGTACGTACGT", "second": "C" * 20}
    for row in table(tmp_path / "out.windows.tsv"):
        bases = torch.tensor(["ACGT".index(b) for b in names[row["name"]]])
        x = functional.one_hot(bases, 4).T[None].double()
        y = Rates().double()(x)
        expected = (y["tracks"][0, 0, 2] / y["counts"][0, 1]).log().detach()
        assert float(row["prediction"]) == pytest.approx(float(expected), rel=1e-6)
