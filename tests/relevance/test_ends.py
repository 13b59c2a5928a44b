"""Ends that return probabilities or rates: what goes into them is explained, undone or held linear."""

import functools
import gzip
import json
import math
from dataclasses import replace

import pytest
import torch
from helpers.captures import captured_once
from helpers.commands import attribute, table
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import NONE, Pruning
from sparselrp_cli.relevance.scoring import Scorer

CLOSE = {"rtol": 1e-12, "atol": 1e-14}


class Ended(nn.Module):
    """A scan, and what is done with its answer (N, 3, 6)."""

    def __init__(self, end) -> None:
        super().__init__()
        self.scan, self.mix = nn.Conv1d(4, 5, 3), nn.Conv1d(5, 3, 1)
        self.end = end

    def logits(self, x: Tensor) -> Tensor:
        return self.mix(self.scan(x).relu())

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.logits(x))


def made(end, seed: int = 0) -> tuple[Ended, Tensor]:
    torch.manual_seed(seed)
    bases = torch.randint(4, (3, 8))
    return Ended(end).double(), functional.one_hot(bases, 4).transpose(1, 2).double()


@functools.cache
def graph_of(model: nn.Module) -> CanonicalGraph:
    return captured_once(model, made(None)[1])


@functools.cache
def together(*ends) -> Ended:
    """One model that returns what each of some ends gives, so that they are traced once."""
    return made(lambda y: tuple(end(y) for end in ends))[0]


def explained(
    model: nn.Module, x: Tensor, *terms: Term, ends="auto", composite="zero", pruning=NONE, axes="NTP"
) -> tuple[Explanation, tuple[str, ...]]:
    graph = graph_of(model)
    names = [OutputNames(output.name, axes=axes) for output in graph.outputs]
    target = Target("target", terms)
    explainer = Explainer(graph, [target], names, PRESETS[composite], pruning, ends=ends)
    return explainer.explain(x)[0], explainer.notes


def gradient_times_input(x: Tensor, function) -> Tensor:
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(leaf).sum(), leaf)
    return gradient * x


ENDS = {
    "sigmoid": (torch.sigmoid, "sigmoid"),
    "hardsigmoid": (functional.hardsigmoid, "hardsigmoid"),
    "softmax over tasks": (lambda y: y.softmax(1), "softmax"),
    "softmax over positions": (lambda y: y.softmax(-1), "softmax"),
    "log softmax": (lambda y: y.log_softmax(1), "log-softmax"),
    "log sigmoid": (functional.logsigmoid, "log_sigmoid"),
    "exp": (torch.exp, "exp"),
    "expm1": (torch.expm1, "expm1"),
    "softplus": (functional.softplus, "softplus"),
    "exp of a log softmax": (lambda y: y.log_softmax(1).exp(), "exp and log-softmax"),
    "log of a softmax": (lambda y: y.softmax(1).log(), "log and softmax"),
    "log of a sigmoid": (lambda y: y.sigmoid().log(), "log and sigmoid"),
    "log1p of a softplus": (lambda y: functional.softplus(y).log1p(), "log1p and softplus"),
    "log of a softplus and a bit": (lambda y: (functional.softplus(y) + 1e-6).log(), "log and softplus"),
    "clamped": (lambda y: torch.sigmoid(y).clamp(1e-6, 1 - 1e-6), "sigmoid"),
    "log of a clamped softmax": (lambda y: y.softmax(1).clamp_min(1e-9).log(), "log and softmax"),
    "moved between": (lambda y: y.log_softmax(1).flip(2).exp().flip(2), "exp and log-softmax"),
}
ONE, SEVERAL = Term(0, 1, (2, 3)), Term(0, 1, (1, 5))


@pytest.mark.parametrize("name", ENDS)
def test_an_end_of_which_one_entry_is_read_is_undone_and_said(name):
    end, called = ENDS[name]
    (model, x), i = made(end), list(ENDS).index(name)
    ours, notes = explained(together(*(e for e, _ in ENDS.values())), x, replace(ONE, output=i))
    assert notes == (f"output 'output{i}' is explained before its {called}",)
    torch.testing.assert_close(ours.score, model.logits(x)[:, 1, 2].detach(), **CLOSE)
    torch.testing.assert_close(ours.prediction, model(x)[:, 1, 2].detach(), **CLOSE)
    expected = gradient_times_input(x, lambda x: model.logits(x)[:, 1, 2])
    torch.testing.assert_close(ours.contributions, expected, **CLOSE)


# torch's own derivative of the hard sigmoid is a float32 number.
@pytest.mark.parametrize("name", [name for name in ENDS if name != "hardsigmoid"])
def test_an_end_of_which_several_entries_are_read_is_held_linear_and_said(name):
    end, called = ENDS[name]
    (model, x), i = made(end), list(ENDS).index(name)
    ours, notes = explained(together(*(e for e, _ in ENDS.values())), x, replace(SEVERAL, output=i))
    why = "several of its entries are read together"
    assert notes == (f"output 'output{i}' is explained with its {called} held linear, {why}",)
    expected = gradient_times_input(x, lambda x: model(x)[:, 1, 1:5].mean(1))
    torch.testing.assert_close(ours.contributions, expected, **CLOSE)
    torch.testing.assert_close(ours.prediction, model(x)[:, 1, 1:5].mean(1).detach(), **CLOSE)
    y = model.logits(x).detach().requires_grad_()
    (slopes,) = torch.autograd.grad(end(y)[:, 1, 1:5].mean(1).sum(), y)
    torch.testing.assert_close(ours.score, (slopes * y).sum((1, 2)).detach(), **CLOSE)
    assert float(ours.conservation_error.max()) < 1e-10


MOVES = {
    "nothing": (lambda y: y, "NTP"),
    "transpose": (lambda y: y.transpose(1, 2), "NPT"),
    "slice": (lambda y: y[:, :, 1:-1], "NTP"),
    "flip": (lambda y: y.flip(2), "NTP"),
    "permute, cut and put together": (lambda y: torch.cat([y[:, :, 3:], y[:, :, :3]], 2), "NTP"),
    "by two": (lambda y: y[:, :, ::2], "NTP"),
}


MOVED = {
    name: tuple(lambda y, end=ENDS[name][0], change=change: change(end(y)) for change, _ in MOVES.values())
    for name in ("sigmoid", "softmax over tasks", "exp of a log softmax")
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("end", MOVED)
def test_what_is_moved_after_its_end_is_explained_before_it(end, move):
    change, axes = MOVES[move]
    (model, x), i = made(None), list(MOVES).index(move)
    moved = together(*MOVED[end])
    ours, notes = explained(moved, x, replace(ONE, output=i), axes=axes)
    assert notes == (f"output 'output{i}' is explained before its {ENDS[end][1]}",)
    place = (slice(None), 2, 1) if axes == "NPT" else (slice(None), 1, 2)
    torch.testing.assert_close(ours.score, change(model.logits(x))[place].detach(), **CLOSE)


# What a model does with rates itself: the target reads one number, which is made of several entries.
MIXED = {
    "mean": lambda y: functional.softplus(y).mean(2),
    "sum": lambda y: torch.sigmoid(y).sum(2),
    "log of a mean": lambda y: functional.softplus(y).mean(2).log(),
    "log of a mean and a bit": lambda y: (functional.softplus(y).mean(2) + 1e-6).log(),
    "two heads": lambda y: torch.sigmoid(y[:, :, 0]) + torch.exp(y[:, :, 1]),
    "a difference": lambda y: torch.sigmoid(y[:, :, 0]) - torch.sigmoid(y[:, :, 1]),
    "pooled": lambda y: functional.avg_pool1d(torch.exp(y), 6).flatten(1),
    "scaled": lambda y: 0.1 * functional.softplus(y).sum(2),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_model_that_mixes_rates_itself_is_explained_as_a_target_that_does(name):
    (model, x), i = made(MIXED[name]), list(MIXED).index(name)
    ours, notes = explained(together(*MIXED.values()), x, Term(i, 1, None))
    assert "held linear" in notes[0]
    expected = gradient_times_input(x, lambda x: model(x)[:, 1])
    torch.testing.assert_close(ours.contributions, expected, **CLOSE)
    torch.testing.assert_close(ours.prediction, model(x)[:, 1].detach(), **CLOSE)


def test_a_mean_of_probabilities_is_explained_the_same_whoever_takes_it():
    (outside, x), (inside, _) = made(torch.sigmoid), made(lambda y: torch.sigmoid(y).mean(2))
    for composite, pruning in (("epsilon-plus", Pruning(0.2)), ("epsilon-gamma", Pruning(0.2))):
        setting = {"composite": composite, "pruning": pruning}
        ours, _ = explained(outside, x, Term(0, 1, None), **setting)
        theirs, _ = explained(inside, x, Term(0, 1, None), **setting)
        torch.testing.assert_close(ours.contributions, theirs.contributions, **CLOSE)
        torch.testing.assert_close(ours.score, theirs.score, **CLOSE)


def test_a_multiple_and_one_minus_a_probability_are_undone():
    for end, factor in ((lambda y: 2 * torch.sigmoid(y), 2), (lambda y: 1 - torch.sigmoid(y), -1)):
        model, x = made(end)
        ours, notes = explained(model, x, ONE)
        assert notes == ("output 'output' is explained before its sigmoid",)
        torch.testing.assert_close(ours.score, factor * model.logits(x)[:, 1, 2].detach(), **CLOSE)


def assigned(y: Tensor) -> Tensor:
    out = y.new_zeros(len(y), 4, 6)
    out[:, 3] = y[:, 0]
    out[:, :2] = y[:, :2].softmax(1)
    out[:, 2:3] = torch.sigmoid(y[:, 2:])
    return out


def in_place(y: Tensor) -> Tensor:
    out = torch.cat([y, y[:, :1]], 1)
    out[:, torch.tensor([0, 1])] = y[:, :2].softmax(1)
    out[:, 2].sigmoid_()
    return out


def chosen(y: Tensor) -> Tensor:
    out, kinds = torch.cat([y, y[:, :1]], 1), torch.arange(4)[:, None]
    shares = torch.cat([y[:, :2].softmax(1), y[:, :2]], 1)
    return torch.where(kinds < 2, shares, torch.where(kinds == 2, torch.sigmoid(out), out))


BRANCHES = {
    "side by side": lambda y: torch.cat([y[:, :2].softmax(1), torch.sigmoid(y[:, 2:]), y[:, :1]], 1),
    "stacked": lambda y: torch.stack([*y[:, :2].softmax(1).unbind(1), torch.sigmoid(y[:, 2]), y[:, 0]], 1),
    "assigned to zeros": assigned,
    "written over logits": in_place,
    "chosen by a constant": chosen,
}


@pytest.mark.parametrize("put_together", BRANCHES.values(), ids=BRANCHES)
def test_each_branch_of_an_output_has_its_own_end(put_together):
    model, x = made(put_together)
    logits = model.logits(x).detach()
    for task, end in ((1, "softmax"), (2, "sigmoid"), (3, "")):
        ours, notes = explained(model, x, Term(0, task, (2, 3)))
        assert notes == ((f"output 'output' is explained before its {end}",) if end else ())
        torch.testing.assert_close(ours.score, logits[:, task % 3, 2], **CLOSE)


def test_a_contrast_of_two_entries_is_one_of_logits():
    model, x = made(lambda y: y.softmax(1))
    ours, _ = explained(model, x, ONE, Term(0, 0, (2, 3), -1))
    logits = model.logits(x).detach()
    torch.testing.assert_close(ours.score, logits[:, 1, 2] - logits[:, 0, 2], **CLOSE)


def test_a_list_of_single_entries_is_a_mean_and_held_linear():
    model, x = made(torch.sigmoid)
    ours, notes = explained(model, x, Term(0, 0, (2, 3), 0.5), Term(0, 1, (2, 3), 0.5))
    assert "held linear" in notes[0]
    expected = gradient_times_input(x, lambda x: model(x)[:, :2, 2].mean(1))
    torch.testing.assert_close(ours.contributions, expected, **CLOSE)


NO_ENDS = {
    "nothing": lambda y: y,
    "relu": torch.relu,
    "clamp": lambda y: y.clamp(-1, 1),
    "tanh, shifted": lambda y: torch.tanh(y) + 1,
    "gate": lambda y: torch.sigmoid(y) * y,
    "before a layer": lambda y: functional.conv1d(torch.sigmoid(y), y.new_ones(3, 3, 1)),
}


@pytest.mark.parametrize("name", NO_ENDS)
def test_what_isnt_the_end_stays(name):
    (model, x), i = made(NO_ENDS[name]), list(NO_ENDS).index(name)
    for term in (ONE, SEVERAL):
        ours, notes = explained(together(*NO_ENDS.values()), x, replace(term, output=i))
        assert notes == ()
        torch.testing.assert_close(ours.score, ours.prediction, rtol=0, atol=0)
        torch.testing.assert_close(
            ours.score, model(x)[:, 1, slice(*term.positions)].mean(1).detach(), **CLOSE
        )


def test_an_inner_sigmoid_stays_where_an_outer_one_is_undone():
    model, x = made(lambda y: torch.sigmoid(torch.relu(torch.sigmoid(y) - 0.5).sum(2)))
    ours, notes = explained(model, x, Term(0, 1, None))
    assert notes == ("output 'output' is explained before its sigmoid",)
    expected = torch.relu(torch.sigmoid(model.logits(x)) - 0.5).sum(2)[:, 1]
    torch.testing.assert_close(ours.score, expected.detach(), **CLOSE)


# All are log(exp(a) + exp(b) + ...), whichever way they are written.
LOG_SUMS = {
    "log-sum-exp": lambda y: y.logsumexp(2),
    "log-add-exp": lambda y: torch.logaddexp(y[:, :, 0], y[:, :, 1]),
    "log of a sum": lambda y: y.exp().sum(2).log(),
    "log of a mean": lambda y: y.exp().mean(2).log(),
    "log of two": lambda y: (y[:, :, 0].exp() + y[:, :, 1].exp()).log(),
    "log of three": lambda y: (y[:, :, 0].exp() + y[:, :, 1].exp() + y[:, :, 3].exp()).log(),
    "log2 of weighed ones": lambda y: (3 * y[:, :, 0].exp() + 0.5 * y[:, :, 1].exp()).log2(),
    "moved in between": lambda y: y.exp().transpose(1, 2)[:, 1:4].sum(1).log(),
}


@pytest.mark.parametrize("name", LOG_SUMS)
def test_a_log_sum_of_exponentials_is_explained_as_the_log_sum(name):
    (model, x), i = made(LOG_SUMS[name]), list(LOG_SUMS).index(name)
    ours, _ = explained(together(*LOG_SUMS.values()), x, Term(i, 1, None))
    expected = gradient_times_input(x, lambda x: model(x)[:, 1])
    torch.testing.assert_close(ours.contributions, expected, **CLOSE)
    torch.testing.assert_close(ours.prediction, model(x)[:, 1].detach(), **CLOSE)
    torch.testing.assert_close(ours.score, ours.prediction, **CLOSE)


def test_a_log_sum_with_a_constant_is_undone_down_to_the_log_sum():
    model, x = made(lambda y: (y.exp().sum(2) + 2).log())
    ours, _ = explained(model, x, Term(0, 1, None))
    torch.testing.assert_close(ours.prediction, model(x)[:, 1].detach(), **CLOSE)
    torch.testing.assert_close(ours.score, model.logits(x).logsumexp(2)[:, 1].detach() - math.log(2), **CLOSE)


def test_a_log_of_other_sums_stays_as_it_is():
    for end in (lambda y: (y.exp().sum(2) - 0.1).log(), lambda y: (y.exp() + y**2).sum(2).log()):
        model, x = made(end)
        ours, _ = explained(model, x, Term(0, 1, None))
        torch.testing.assert_close(ours.prediction, model(x)[:, 1].detach(), **CLOSE)


def test_ends_are_undone_or_held_linear_where_that_is_asked_for():
    model, x = made(torch.sigmoid)
    ours, notes = explained(model, x, SEVERAL, ends="undo")
    assert notes == ("output 'output' is explained before its sigmoid",)
    torch.testing.assert_close(ours.score, model.logits(x)[:, 1, 1:5].mean(1).detach(), **CLOSE)
    ours, notes = explained(model, x, ONE, ends="linear")
    assert notes == ("output 'output' is explained with its sigmoid held linear, as --ends linear asks",)
    expected = gradient_times_input(x, lambda x: model(x)[:, 1, 2])
    torch.testing.assert_close(ours.contributions, expected, **CLOSE)


def test_a_profile_is_one_of_logits_whichever_end_it_has():
    (bare, x), (ended, _) = made(lambda y: y), made(lambda y: y.softmax(2))
    profile = Term(0, 1, None, profile=True)
    expected, _ = explained(bare, x, profile)
    for ends in ("auto", "undo", "linear"):
        ours, _ = explained(ended, x, profile, ends=ends)
        torch.testing.assert_close(ours.score, expected.score, **CLOSE)
        torch.testing.assert_close(ours.contributions, expected.contributions, **CLOSE)


@pytest.mark.parametrize("name", ["softmax over tasks", "sigmoid", "exp of a log softmax"])
def test_explaining_a_model_with_an_end_is_explaining_its_logits(name):
    (model, x), (bare, _) = made(ENDS[name][0]), made(lambda y: y)
    terms = (Term(0, 2, (3, 4)), Term(0, 0, (0, 1), -1))
    for pruning in (NONE, Pruning(0.3), Pruning(0.3, redistribute="m")):
        setting = {"composite": "epsilon-plus", "pruning": pruning}
        (found, _), (expected, _) = (explained(m, x, *terms, **setting) for m in (model, bare))
        for what in ("score", "hypothetical", "contributions"):
            assert torch.equal(getattr(found, what), getattr(expected, what)), (what, pruning)


class Outputs(nn.Module):
    """One output with an end, one that goes on from that end, two without and with another."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 3, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.scan(x)
        profile = logits.softmax(2)
        counts = logits.sum(2)
        return {
            "profile": profile, "pooled": self.head(profile.amax(2)), "counts": counts, "rates": counts.exp(),
        }  # fmt: skip


def test_outputs_that_share_an_end_are_each_explained_as_they_are():
    torch.manual_seed(0)
    model, (_, x) = Outputs().double(), made(None)
    logits, expected = model.scan(x).detach(), {k: v.detach() for k, v in model(x).items()}
    wanted = (logits[:, 1, 2], expected["pooled"][:, 1], logits.sum(2)[:, 1], logits.sum(2)[:, 1])
    for output, score in enumerate(wanted):
        ours, _ = explained(model, x, Term(output, 1, (2, 3) if output == 0 else None))
        torch.testing.assert_close(ours.score, score, **CLOSE)
    both, notes = explained(model, x, Term(0, 1, (2, 3)), Term(3, 1, None, -1))
    assert len(notes) == 2
    torch.testing.assert_close(both.score, wanted[0] - wanted[3], **CLOSE)


@pytest.mark.parametrize(("term", "linear"), [(ONE, False), (SEVERAL, True)], ids=["undone", "held linear"])
def test_scores_without_relevance_are_of_what_is_explained(term, linear):
    model, x = made(torch.sigmoid)
    explainer = Explainer(graph_of(model), [Target("t", (term,))], [OutputNames("o")], PRESETS["zero"], NONE)
    scorer = Scorer(explainer, InputLayout())
    windows = x.byte().numpy()
    (ours,) = explainer.explain(x)
    expected = ours.prediction if linear else ours.score
    torch.testing.assert_close(torch.tensor(scorer.scores(windows)), expected, **CLOSE)
    found = torch.tensor(scorer.gradient_times_input(windows))
    torch.testing.assert_close(found, ours.contributions.sum(1), **CLOSE)


class Tracks(nn.Module):
    """Sixteen bins: TATA makes the two in the middle; GGCC turns the silent ones down from e^-8 to e^-14."""

    window = 200

    def __init__(self) -> None:
        super().__init__()
        sites = torch.tensor([["ACGT".index(b) for b in site] for site in ("TATA", "GGCC")])
        self.scan = nn.Parameter(functional.one_hot(sites, 4).transpose(1, 2).float())

    def forward(self, x: Tensor) -> Tensor:
        tata, ggcc = functional.relu(functional.conv1d(x, self.scan) - 3).amax(2)[:, :, None].unbind(1)
        peak = torch.zeros(16, dtype=x.dtype)
        peak[7:9] = 1
        return functional.softplus(-8 + 11 * tata * peak - 6 * ggcc * (1 - peak))[:, None]


@pytest.fixture
def both_sites(tmp_path):
    sequence = "ACGCTCGA" * 25
    path = tmp_path / "both.fa"
    path.write_text(f">both\n{sequence[:60]}TATA{sequence[64:120]}GGCC{sequence[124:]}\n")
    return path


def test_silent_bins_get_next_to_nothing_of_a_mean_and_the_run_says_what_was_done(
    both_sites, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    plain = ("-p", "0", "--centre", "none")
    arguments = (both_sites, "-m", f"{__file__}:Tracks", "-t", "0", *plain, "--formats", "h5,bedgraph")
    assert attribute(*arguments, "-o", "tracks") == 0
    (note,) = json.loads((tmp_path / "tracks.manifest.json").read_text())["model"]["ends"]
    said = capsys.readouterr().err
    assert note in said
    assert "softplus held linear" in note
    assert "(the model gives 0.3811)" in said
    (row,) = table(tmp_path / "tracks.windows.tsv")
    assert float(row["prediction"]) == pytest.approx(0.38107, rel=1e-4)
    assert float(row["score"]) == pytest.approx(0.35721, rel=1e-4)
    tata, ggcc = sites_of(tmp_path / "tracks.bedgraph.gz")
    assert tata > 5
    assert abs(ggcc) < 1e-4
    assert attribute(*arguments, "-o", "undone", "--ends", "undo") == 0
    tata, ggcc = sites_of(tmp_path / "undone.bedgraph.gz")
    assert ggcc == pytest.approx(-21, rel=1e-3)


def sites_of(path) -> tuple[float, float]:
    """Sum relevance over the two sites."""
    rows = [
        line.split("\t")
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
        if not line.startswith(("#", "track"))
    ]
    values = {i: float(v) for _, start, end, v in rows for i in range(int(start), int(end))}
    return sum(values.get(i, 0) for i in range(60, 64)), sum(values.get(i, 0) for i in range(120, 124))
