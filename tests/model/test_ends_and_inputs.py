"""Ends that are undone, inputs that are held constant, and profiles."""

import pytest
import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.capture import capture
from sparselrp_cli.model.ends import undo_ends
from sparselrp_cli.model.inputs import hold_inputs
from sparselrp_cli.model.targets import OutputNames, TargetParser
from sparselrp_cli.relevance.explainer import Explainer


class Ended(nn.Module):
    def __init__(self, end) -> None:
        super().__init__()
        self.scan, self.end = nn.Conv1d(4, 3, 3), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.scan(x))


ENDS = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda y: y.softmax(1),
    "log-softmax": lambda y: y.log_softmax(1),
    "exp": torch.exp,
    "softplus": nn.functional.softplus,
    "exp and log-softmax": lambda y: y.log_softmax(1).exp(),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("moved", [lambda y: y, lambda y: y.transpose(1, 2)[:, 1:-1].flatten(1)])
def test_an_increasing_end_is_undone_and_said(name, moved):
    torch.manual_seed(0)
    model = Ended(lambda y: moved(ENDS[name](y))).double()
    x = torch.rand(2, 4, 9, dtype=torch.float64)
    graph, notes = undo_ends(capture(model, x))
    assert notes == (f"output 'output' is explained before its {name}",)
    torch.testing.assert_close(graph.evaluate(x)[graph.outputs[0].node], moved(model.scan(x)).detach())


def test_an_inner_sigmoid_stays():
    x = torch.rand(2, 4, 9, dtype=torch.float64)
    graph, notes = undo_ends(capture(Ended(lambda y: torch.sigmoid(y).sum(2)).double(), x))
    assert notes == ()
    assert any(node.operation.describe() == "sigmoid" for node in graph.nodes)


class WithControl(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 2, 3, padding=1)

    def forward(self, x: Tensor, control: Tensor) -> Tensor:
        return (self.scan(x) + control).relu().sum(2)


def test_another_input_is_held_constant():
    torch.manual_seed(0)
    x = torch.rand(3, 4, 9, dtype=torch.float64)
    model = WithControl().double()
    held = hold_inputs(model, ("control=2x9:0.5",), torch.float64)
    graph = capture(held, x)
    expected = model(x, torch.full((3, 2, 9), 0.5, dtype=torch.float64)).detach()
    torch.testing.assert_close(graph.evaluate(x)[graph.outputs[0].node], expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("control", r"--input 'control': write NAME=SHAPE or NAME=SHAPE:VALUE"),
        ("ctl=2x9", r"--input 'ctl=2x9': the model's forward takes x, control, not 'ctl'"),
        ("control=2x9:1e", r"--input 'control=2x9:1e': '1e' isn't a number"),
        ("control=999999x99999", r"a shape of \d+ numbers"),
    ],
)
def test_an_input_that_cant_be_held_says_why(text, message):
    with pytest.raises(ModelError, match=message):
        hold_inputs(WithControl(), (text,), torch.float64)


def test_a_model_that_misses_an_input_says_how_to_give_it():
    with pytest.raises(ModelError, match=r"hold its other inputs constant with --input NAME=SHAPE:VALUE"):
        capture(WithControl(), torch.rand(2, 4, 9))


@pytest.mark.parametrize(("text", "axes"), [("1@profile", (2,)), ("@profile", (1, 2))])
def test_a_profile_is_weighed_by_its_softmax_less_the_mean(text, axes):
    torch.manual_seed(0)
    x = torch.rand(2, 4, 9, dtype=torch.float64)
    graph = capture(Ended(lambda y: y).double(), x)
    names = [OutputNames("output", (), "NTP")]
    target = TargetParser(graph.outputs, names).parse(text)
    values = graph.evaluate(x)
    (seed,) = target.seeds(graph.outputs, names, values).values()
    y = values[graph.outputs[0].node]
    y = y[:, 1:2] if len(axes) == 1 else y
    weights = y.flatten(1).softmax(1) - 1 / y[0].numel()
    (explanation,) = Explainer(graph, [target], names).explain(x)
    torch.testing.assert_close(explanation.score, (weights * y.flatten(1)).sum(1))
    assert float(seed.sum((1, 2)).abs().max()) < 1e-12
    assert float(explanation.conservation_error.max()) < 1e-9


class LoopsOverSamples(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([row.sum(1) for row in x])


def test_a_loop_over_the_batch_is_refused():
    with pytest.raises(ModelError, match=r"does different things for batches of 2 and of 3 samples"):
        capture(LoopsOverSamples(), torch.rand(2, 4, 9))
