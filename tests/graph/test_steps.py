"""Step functions: as outputs they are refused, beside what can be explained they are said."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.steps import steps_beside
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.pruning import NONE

LENGTH = 12
torch.manual_seed(0)
CONV, HEAD = nn.Conv1d(4, 6, 3, padding=1).double().eval(), nn.Linear(6, 3).double().eval()


def logits(x: Tensor) -> Tensor:
    return HEAD(torch.relu(CONV(x)).amax(-1))


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


PLACE = f"test_steps.py:{Net.forward.__code__.co_firstlineno + 1}"


def straight_through(y: Tensor) -> Tensor:
    return y + (torch.round(y) - y).detach()


BORDERS = torch.tensor([-0.1, 0.1], dtype=torch.float64)
STEPS = {
    "argmax": (lambda x: logits(x).argmax(-1), "argmax"),
    "round": (lambda x: torch.round(logits(x)), "round"),
    "floor": (lambda x: torch.floor(logits(x)), "floor"),
    "sign": (lambda x: torch.sign(logits(x)), "sign"),
    "trunc": (lambda x: torch.trunc(logits(x)), "trunc"),
    "a comparison": (lambda x: logits(x) > 0, "comparison"),
    "a comparison as a number": (lambda x: (logits(x) > 0).double() * 2 - 1, "comparison"),
    "a cast to integers": (lambda x: (10 * logits(x)).long(), "a cast to int64"),
    "bucketize": (lambda x: torch.bucketize(logits(x), BORDERS), "bucketize"),
    "one-hot of the largest": (lambda x: functional.one_hot(logits(x).argmax(1), 3).double(), "argmax"),
    "indices of the largest": (lambda x: logits(x).topk(2)[1], "indices"),
    "heaviside": (lambda x: torch.heaviside(logits(x), BORDERS[1]), "heaviside"),
    "chosen between constants": (lambda x: torch.where(logits(x) > 0, 1.0, 0.0), "comparison"),
    "straight through": (lambda x: straight_through(logits(x)), "round"),
    "straight through inside": (
        lambda x: HEAD(straight_through(torch.relu(CONV(x))).amax(-1)), "round"
    ),
    "layers behind signs": (lambda x: HEAD(CONV(x).sign().mean(-1)), "sign"),
    "a share of comparisons": (lambda x: (CONV(x) > 0).double().mean((1, 2)), "comparison"),
}  # fmt: skip
PARTLY = {
    "added": (lambda x: logits(x) + logits(x).round(), "round"),
    "taken off": (lambda x: logits(x) - (logits(x) > 0).double(), "comparison"),
    "side by side": (lambda x: torch.cat([logits(x), logits(x).sign()], 1), "sign"),
    "into a layer": (lambda x: HEAD(torch.relu(CONV(x)).amax(-1) + CONV(x).sign().mean(-1)), "sign"),
}
WHOLLY = {
    "a gate": lambda x: HEAD((CONV(x) * (CONV(x) > 0)).amax(-1)),
    "a choice": lambda x: HEAD(torch.where(CONV(x) > 0, CONV(x), 0.1 * CONV(x)).amax(-1)),
    "a mask": lambda x: HEAD(CONV(x).masked_fill(CONV(x) < 0, 0.0).amax(-1)),
}


def sequences() -> Tensor:
    bases = torch.randint(4, (3, LENGTH), generator=torch.Generator().manual_seed(1))
    return functional.one_hot(bases, 4).transpose(1, 2).double()


def explained(function) -> tuple[Explanation, tuple[str, ...]]:
    graph, x = capture(Net(function), sequences()), sequences()
    assert max(check_against_module(graph, Net(function), x).values()) < 1e-12
    task = 0 if len(graph.outputs[0].shape) == 2 else None
    (found,) = Explainer(graph, [Target("first", (Term(0, task, None),))], pruning=NONE).explain(x)
    return found, steps_beside(graph)


@pytest.mark.parametrize(("function", "step"), STEPS.values(), ids=STEPS)
def test_an_output_that_is_a_step_function_is_refused_by_the_name_of_the_step_and_its_line(function, step):
    with pytest.raises(ModelError) as caught:
        explained(function)
    if not function(sequences()).is_floating_point():
        assert str(caught.value).startswith("output 'output' can't be explained: it holds ")
        assert "not real numbers; return what they are made from" in str(caught.value)
        return
    assert str(caught.value) == (
        f"output 'output' is a step function of the sequence: relevance can't pass {step} at"
        f" {PLACE}; explain what goes into it: return it from forward, or choose another output"
    )


@pytest.mark.parametrize(("function", "step"), PARTLY.values(), ids=PARTLY)
def test_an_output_that_is_one_in_part_is_explained_and_the_step_is_said(function, step):
    found, notes = explained(function)
    (note,) = notes
    assert note.startswith(
        f"output 'output' depends on the sequence in part through a step function, {step} at {PLACE}"
    )
    assert note.endswith(": relevance can't pass it, and is absorbed there")
    assert float(found.conservation_error.max()) < 1e-9
    assert bool((found.contributions != 0).any())


@pytest.mark.parametrize("function", WHOLLY.values(), ids=WHOLLY)
def test_masks_and_gates_are_nothing_to_warn_of(function):
    found, notes = explained(function)
    assert notes == ()
    assert float(found.conservation_error.max()) < 1e-9


def test_only_outputs_that_are_read_matter():
    graph, x = capture(Net(lambda x: (logits(x), logits(x).argmax(1))), sequences()), sequences()
    (found,) = Explainer(graph, [Target("first", (Term(0, 0, None),))]).explain(x)
    torch.testing.assert_close(found.score, logits(x)[:, 0])
    with pytest.raises(ModelError, match=r"^output .output1. can't be explained: it holds integers"):
        Explainer(graph, [Target("other", (Term(1, None, None),))])


def test_what_a_step_adds_is_absorbed():
    smooth, _ = explained(logits)
    found, _ = explained(PARTLY["added"][0])
    torch.testing.assert_close(found.contributions, smooth.contributions)
    torch.testing.assert_close(found.absorbed - smooth.absorbed, logits(sequences())[:, 0].round())
