"""Ends that return probabilities or rates: what is explained is what goes into them."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.passes.ends import undo_ends
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE, Pruning

CLOSE = {"rtol": 1e-12, "atol": 1e-14}


class Ended(nn.Module):
    """A scan, and what is done with its answer."""

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
    model = Ended(end).double()
    return model, torch.rand(3, 4, 8, dtype=torch.float64)


def values(graph: CanonicalGraph, x: Tensor) -> list[Tensor]:
    computed = graph.evaluate(x)
    return [computed[output.node] for output in graph.outputs]


def undone_together(ends: dict) -> tuple[Ended, Tensor, dict[str, Tensor], tuple[str, ...]]:
    """Undo the ends of one model that returns them all, each as an output of its own."""
    model, x = made(lambda y: {name: end(y) for name, end in ends.items()})
    graph, notes = undo_ends(capture(model, x))
    return model, x, dict(zip((o.name for o in graph.outputs), values(graph, x), strict=True)), notes


def undone(model: nn.Module, x: Tensor) -> tuple[list[Tensor], tuple[str, ...]]:
    graph, notes = undo_ends(capture(model, x))
    return values(graph, x), notes


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
    "log of exp of log softmax": (lambda y: y.log_softmax(1).exp().log(), "log and exp and log-softmax"),
}
MOVES = {
    "nothing": lambda y: y,
    "transpose": lambda y: y.transpose(1, 2),
    "permute": lambda y: y.permute(0, 2, 1),
    "slice": lambda y: y[:, :, 1:-1],
    "one task": lambda y: y[:, 2],
    "reshape": lambda y: y.reshape(len(y), -1),
    "flip": lambda y: y.flip(2),
    "unsqueeze": lambda y: y.unsqueeze(1),
    "several": lambda y: y.transpose(1, 2)[:, 2:].flatten(1)[:, ::2],
}


def test_an_end_is_undone_down_to_the_logits_and_said():
    model, x, found, notes = undone_together({name: end for name, (end, _) in ENDS.items()})
    assert notes == tuple(f"output '{n}' is explained before its {called}" for n, (_, called) in ENDS.items())
    assert list(found) == list(ENDS)
    for logits in found.values():
        torch.testing.assert_close(logits, model.logits(x).detach(), **CLOSE)


@pytest.mark.parametrize("name", ["sigmoid", "softmax over tasks", "exp of a log softmax"])
def test_what_is_moved_after_its_end_is_moved_without_it(name):
    end, called = ENDS[name]
    moved = {place: lambda y, move=move: move(end(y)) for place, move in MOVES.items()}
    model, x, found, notes = undone_together(moved)
    assert notes == tuple(f"output '{place}' is explained before its {called}" for place in MOVES)
    for place, logits in found.items():
        torch.testing.assert_close(logits, MOVES[place](model.logits(x)).detach(), **CLOSE)


def test_ends_with_moves_between_them_are_all_undone():
    model, x = made(lambda y: y.log_softmax(1).transpose(1, 2)[:, 1:].exp().flatten(1))
    (found,), notes = undone(model, x)
    assert notes == ("output 'output' is explained before its exp and log-softmax",)
    torch.testing.assert_close(found, model.logits(x).detach().transpose(1, 2)[:, 1:].flatten(1), **CLOSE)


NO_ENDS = {
    "nothing": lambda y: y,
    "relu": torch.relu,
    "tanh, shifted": lambda y: torch.tanh(y) + 1,
    "sum": lambda y: torch.sigmoid(y).sum(2),
    "twice": lambda y: torch.sigmoid(y) * 2,
    "decreasing": lambda y: 1 - torch.sigmoid(y),
    "gate": lambda y: torch.sigmoid(y) * y,
    "only in part": lambda y: torch.cat([torch.sigmoid(y), y], 1),
    "softmax by hand": lambda y: y.exp() / y.exp().sum(1, keepdim=True),
    "before a layer": lambda y: functional.conv1d(torch.sigmoid(y), y.new_ones(3, 3, 1)),
}


def test_what_isnt_the_end_stays():
    model, x, found, notes = undone_together(NO_ENDS)
    assert notes == ()
    expected = model(x)
    for name, values_found in found.items():
        torch.testing.assert_close(values_found, expected[name].detach(), **CLOSE)


def test_an_inner_sigmoid_stays_where_an_outer_one_is_undone():
    model, x = made(lambda y: torch.sigmoid(torch.sigmoid(y).sum(2)))
    (found,), notes = undone(model, x)
    assert notes == ("output 'output' is explained before its sigmoid",)
    torch.testing.assert_close(found, torch.sigmoid(model.logits(x)).sum(2).detach(), **CLOSE)


class ThreeOutputs(nn.Module):
    """One output with an end, one of the same numbers that goes on from that end, one without."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 3, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.scan(x)
        profile = logits.softmax(2)
        return {
            "profile": profile,
            "pooled": self.head(profile.amax(2)),
            "counts": logits.sum(2),
            "rates": logits.sum(2).exp(),
        }


def test_other_outputs_keep_their_numbers_even_if_they_read_an_undone_end():
    torch.manual_seed(0)
    model, x = ThreeOutputs().double(), torch.rand(2, 4, 9, dtype=torch.float64)
    captured = capture(model, x)
    graph, notes = undo_ends(captured)
    assert notes == (
        "output 'profile' is explained before its softmax",
        "output 'rates' is explained before its exp",
    )
    assert [o.name for o in graph.outputs] == [o.name for o in captured.outputs]
    found = dict(zip((o.name for o in graph.outputs), values(graph, x), strict=True))
    logits, expected = model.scan(x).detach(), {k: v.detach() for k, v in model(x).items()}
    torch.testing.assert_close(found["profile"], logits, **CLOSE)
    torch.testing.assert_close(found["rates"], logits.sum(2), **CLOSE)
    torch.testing.assert_close(found["pooled"], expected["pooled"], **CLOSE)
    torch.testing.assert_close(found["counts"], expected["counts"], **CLOSE)


def test_two_outputs_moved_from_one_end_are_each_undone():
    model, x = made(lambda y: (torch.sigmoid(y)[:, 0], torch.sigmoid(y).transpose(1, 2)))
    found, notes = undone(model, x)
    assert len(notes) == 2
    logits = model.logits(x).detach()
    torch.testing.assert_close(found[0], logits[:, 0], **CLOSE)
    torch.testing.assert_close(found[1], logits.transpose(1, 2), **CLOSE)


def test_the_captured_graph_is_left_as_it_was():
    model, x = made(torch.sigmoid)
    graph = capture(model, x)
    before = (graph.nodes, graph.outputs)
    undo_ends(graph)
    assert (graph.nodes, graph.outputs) == before
    torch.testing.assert_close(values(graph, x)[0], model(x).detach(), **CLOSE)


@pytest.mark.parametrize("name", ["softmax over tasks", "sigmoid", "exp of a log softmax"])
def test_explaining_a_model_with_an_end_is_explaining_its_logits(name):
    move = MOVES["several"]
    model, x = made(lambda y: move(ENDS[name][0](y)))
    bare = Ended(move).double()
    bare.load_state_dict(model.state_dict())
    target = Target("third", (Term(0, 3, None), Term(0, 0, None, -1)))
    graph, _ = undo_ends(capture(model, x))
    graph_of_logits = capture(bare, x)
    for pruning in (NONE, Pruning(0.3), Pruning(0.3, redistribute="m")):
        (found,) = Explainer(graph, [target], pruning=pruning).explain(x)
        (expected,) = Explainer(graph_of_logits, [target], pruning=pruning).explain(x)
        for what in ("score", "hypothetical", "contributions"):
            assert torch.equal(getattr(found, what), getattr(expected, what)), (what, pruning)
