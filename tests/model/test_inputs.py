"""Models with more inputs than the sequence, the others held constant."""

import pytest
import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.loaded import capture_model
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.inputs import WithConstantInputs, hold_inputs
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.request import FORMS, ModelRequest
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE, Pruning

WINDOW = 10
FACTORY = '''
"""A small model with control tracks, a depth and an option."""

import torch
from torch import nn


class Control(nn.Module):
    window = 10

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.scan = nn.Conv1d(4, 6, 3, padding=1)
        self.beside = nn.Conv1d(8, 5, 3, padding=1)
        self.head = nn.Linear(6, 2)

    def forward(self, sequence, control, depth, scale=1.0):
        h = torch.cat([self.scan(sequence).relu(), control], 1)
        h = self.beside(h).relu().mean(2)
        return scale * self.head(torch.cat([h, depth], 1))


def double():
    return Control().double()


def single():
    return Control()
'''


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("factory") / "control_net.py"
    path.write_text(FACTORY, encoding="utf-8")
    return f"{path}:double"


@pytest.fixture
def load(reference):
    """Load the model as the command line does, from a file."""

    def loaded(*inputs: str, name: str = "double") -> LoadedModel:
        return load_model(ModelRequest(reference.replace(":double", f":{name}"), inputs=inputs))

    return loaded


class ByHand(nn.Module):
    """The wrapper that a user would write."""

    def __init__(self, module: nn.Module, control: float, depth: float) -> None:
        super().__init__()
        self.module, self.control, self.depth = module, control, depth

    def forward(self, x: Tensor) -> Tensor:
        control = torch.full_like(x[:, :2], self.control)
        return self.module(x, control, torch.full_like(x[:, :1, 0], self.depth))


def test_held_inputs_are_the_same_for_every_sample(load):
    model = load("control=2x10:0.5", "depth=1:-2")
    x = model.example(3)
    held = model.module
    assert isinstance(held, WithConstantInputs)
    inner = held.module
    control, depth = torch.full((3, 2, 10), 0.5).double(), torch.full((3, 1), -2.0).double()
    torch.testing.assert_close(held(x), inner(x, control, depth), rtol=0, atol=0)


def test_a_model_with_held_inputs_is_explained_as_a_wrapper_written_by_hand(load):
    model = load("control=2x10:0.5", "depth=1:-2")
    x = model.example(5)
    ours, by_hand = capture_model(model), capture(ByHand(model.module.module, 0.5, -2.0), x)
    targets = [Target(str(i), (Term(0, i, None),)) for i in range(2)]
    for pruning in (NONE, Pruning(0.25), Pruning(0.25, redistribute="m")):
        found = Explainer(ours, targets, pruning=pruning).explain(x)
        expected = Explainer(by_hand, targets, pruning=pruning).explain(x)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.score, other.score, rtol=1e-12, atol=1e-13)
            torch.testing.assert_close(one.hypothetical, other.hypothetical, rtol=1e-10, atol=1e-13)
            torch.testing.assert_close(one.absorbed, other.absorbed, rtol=1e-10, atol=1e-12)
            assert float(one.conservation_error.max()) < 1e-9


def test_without_a_value_an_input_is_zero(load):
    zero, said = load("control=2x10", "depth=1"), load("control=2x10:0", "depth=1:0.0")
    x = zero.example()
    assert torch.equal(zero.module(x), said.module(x))
    assert not zero.module.constant_control.any()


def test_constants_are_of_the_models_type(load):
    assert load("control=2x10:1", "depth=1").module.constant_control.dtype == torch.float64
    assert load("control=2x10:1", "depth=1", name="single").module.constant_control.dtype == torch.float32


def test_whole_numbers_and_truths_are_held_as_such():
    class OfCells(nn.Module):
        """Looks up a table by the number of each sample's cell."""

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 4)

        def forward(self, x: Tensor, cell: Tensor, seen: Tensor) -> Tensor:
            return (x * self.table(cell)[:, :, None] * seen[:, None]).sum(2)

    x = torch.rand(2, 4, WINDOW)
    held = hold_inputs(OfCells(), ("cell=:3:int", f"seen={WINDOW}:1:bool"), torch.float32)
    expected = held.module(x, torch.tensor([3, 3]), torch.ones(2, WINDOW, dtype=torch.bool))
    assert torch.equal(held(x), expected)
    with pytest.raises(ModelError, match=r"write NAME=SHAPE:VALUE:int, or NAME=:VALUE:int for one"):
        capture(hold_inputs(OfCells(), ("cell=1:3", f"seen={WINDOW}:1"), torch.float32), x)


def test_constants_arent_weights(load):
    model = load("control=2x10:1", "depth=1")
    assert set(model.module.state_dict()) == {f"module.{k}" for k in model.module.module.state_dict()}


def test_an_input_with_a_default_can_be_left_or_held(load):
    left, held = load("control=2x10", "depth=1"), load("control=2x10", "depth=1", "scale=1:3")
    x = left.example()
    torch.testing.assert_close(held.module(x), 3 * left.module(x))


def test_the_first_parameter_that_isnt_held_takes_the_sequence():
    class SequenceLast(nn.Module):
        def forward(self, control: Tensor, x: Tensor) -> Tensor:
            return (x.sum((1, 2)) + control.sum((1, 2)))[:, None]

    x = torch.rand(2, 4, WINDOW)
    held = hold_inputs(SequenceLast(), ("control=2x10:1",), torch.float32)
    assert held.sequence == "x"
    torch.testing.assert_close(held(x)[:, 0], x.sum((1, 2)) + 20)


def test_without_inputs_to_hold_the_model_is_itself():
    module = nn.Conv1d(4, 2, 3)
    assert hold_inputs(module, (), torch.float32) is module


NAMES = "sequence, control, depth, scale"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("control",), "--input 'control': write NAME=SHAPE or NAME=SHAPE:VALUE, such as control=2x2114:0"),
        (("control=",), "--input 'control=': write NAME=SHAPE or NAME=SHAPE:VALUE"),
        (("control=2x",), "--input 'control=2x': write NAME=SHAPE or NAME=SHAPE:VALUE"),
        (("control=2,10",), "--input 'control=2,10': write NAME=SHAPE or NAME=SHAPE:VALUE"),
        (("control=2x10:zero",), "--input 'control=2x10:zero': write NAME=SHAPE or NAME=SHAPE:VALUE"),
        (("control=2x10:",), "--input 'control=2x10:': write NAME=SHAPE or NAME=SHAPE:VALUE"),
        (("2x10",), "--input '2x10': write NAME=SHAPE or NAME=SHAPE:VALUE"),
        (("track=2x10",), f"--input 'track=2x10': the model's forward takes {NAMES}, not 'track'"),
        (("control=2x10:1-1",), "--input 'control=2x10:1-1': '1-1' isn't a number"),
        (("control=:2x",), "--input 'control=:2x': write NAME=SHAPE or NAME=SHAPE:VALUE"),
        (("depth=1:0.5:int",), "--input 'depth=1:0.5:int': '0.5' isn't a whole number"),
        (("control=2x0",), "--input 'control=2x0': a shape of 0 numbers"),
        (("control=100000x100000",), "--input 'control=100000x100000': a shape of 10000000000 numbers"),
        (
            ("sequence=4x10", "control=2x10", "depth=1", "scale=1"),
            "--input holds every input of the model constant; none is left for the sequence",
        ),
    ],
)
def test_an_input_that_cant_be_held_is_said(load, texts, message):
    with pytest.raises(ModelError) as caught:
        load(*texts)
    assert str(caught.value).startswith(message)


def test_a_value_too_large_to_be_a_number_is_refused(load):
    with pytest.raises(ModelError, match=r"--input 'control=2x10:1e999'"):
        load("control=2x10:1e999", "depth=1")


def test_an_input_held_twice_is_refused(load):
    with pytest.raises(ModelError, match=r"--input 'control=2x10:2'"):
        load("control=2x10:1", "control=2x10:2", "depth=1")


def test_an_input_that_is_missing_is_said_with_the_way_to_give_it(load):
    with pytest.raises(ModelError, match=r"shape \(2, 4, 10\).*other inputs constant with --input depth="):
        capture_model(load("control=2x10"))


def test_a_held_input_of_a_wrong_shape_is_said(load):
    with pytest.raises(
        ModelError, match=r"the model can't take an input of shape \(2, 4, 10\): Sizes of tens"
    ) as caught:
        capture_model(load("control=2x9", "depth=1"))
    assert str(caught.value).endswith(
        "; windows of 9 bp would fit: --window 9; or a shape of --input is wrong: control 2x9, depth 1"
    )


def scan(n_in: int) -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv1d(n_in, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())


class Squeezed(nn.Module):
    """Takes an input with an axis of length 1, and says so where it gets another."""

    window = WINDOW

    def __init__(self, shape: tuple[int, ...], turned: bool = False) -> None:
        super().__init__()
        self.shape, self.turned, self.scan = shape, turned, scan(4)

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"not {tuple(x.shape)}")
        x = x.reshape(len(x), *(size for size in self.shape if size != 1))
        return self.scan(x.transpose(1, 2) if self.turned else x)


class Ids(nn.Module):
    """Takes ids of bases."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.table = scan(4), nn.Embedding(4, 4)

    def forward(self, ids: Tensor) -> Tensor:
        return self.scan(self.table(ids).transpose(1, 2))


FORMS_OF = {
    "NC1L": (Squeezed((4, 1, WINDOW)), lambda x: x[:, :, None]),
    "NCL1": (Squeezed((4, WINDOW, 1)), lambda x: x[..., None]),
    "N1CL": (Squeezed((1, 4, WINDOW)), lambda x: x[:, None]),
    "N1LC": (Squeezed((1, WINDOW, 4), turned=True), lambda x: x.transpose(1, 2)[:, None]),
    "NL": (Ids(), lambda x: x.argmax(1)),
}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Load a network through a pickle that is trusted, as one from a file."""

    def loaded(module: nn.Module, **more: object) -> LoadedModel:
        torch.save(module.double(), tmp_path / "net.pt")
        return load_model(ModelRequest(str(tmp_path / "net.pt"), window=WINDOW, trust=True, **more))

    return loaded


@pytest.mark.parametrize("form", FORMS)
def test_the_layout_that_the_message_names_is_explained_as_the_model_computes(made, form):
    module, given = FORMS_OF[form]
    with pytest.raises(ModelError, match=rf"; give --layout {form}($|; or, if it takes ids)"):
        capture_model(made(module))
    model = made(module, layout=form)
    x = model.example(3)
    assert tuple(x.shape) == (3, 4, WINDOW)
    (found,) = Explainer(
        capture_model(model), [Target("1", (Term(0, 1, None),))], composite=PRESETS["zero"], pruning=NONE
    ).explain(x)
    torch.testing.assert_close(found.score, module(given(x))[:, 1], rtol=1e-12, atol=1e-13)
    assert float(found.conservation_error.max()) < 1e-9


@pytest.mark.parametrize("layout", ["NCL", "NLC"])
def test_channels_beside_the_bases_are_held_as_the_message_says(made, layout):
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scan = scan(6)

        def forward(self, x: Tensor) -> Tensor:
            return self.scan(x.transpose(1, 2))

    module = (scan(6) if layout == "NCL" else Turned()).double()
    example = torch.zeros(2, *((4, WINDOW) if layout == "NCL" else (WINDOW, 4))).double()
    with pytest.raises(ModelError, match=r"those beside A, C, G and T with --input channels=2x10:VALUE"):
        capture(module, example)
    held = hold_inputs(module, ("channels=2x10:0.5",), torch.float64, 1 if layout == "NCL" else 2)
    x = torch.rand(3, 4, WINDOW).double()
    beside = torch.cat([x, torch.full((3, 2, WINDOW), 0.5).double()], 1)
    turned = (lambda t: t) if layout == "NCL" else (lambda t: t.transpose(1, 2))
    torch.testing.assert_close(held(turned(x)), module(turned(beside)), rtol=0, atol=0)
    capture(held, turned(x))


def test_a_parameter_that_is_called_channels_is_held_as_any_other():
    class Takes(nn.Module):
        def forward(self, x: Tensor, channels: Tensor) -> Tensor:
            return x.sum((1, 2)) + channels.sum(1)

    x = torch.rand(2, 4, WINDOW)
    held = hold_inputs(Takes(), ("channels=3:2",), torch.float32)
    torch.testing.assert_close(held(x), x.sum((1, 2)) + 6)
