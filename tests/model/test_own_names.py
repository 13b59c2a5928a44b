"""Names that a network or its factory gives its outputs and tasks, by attributes."""

import pytest

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.request import ModelRequest

NET = """
import torch
from torch import nn

class Net(nn.Module):
    window = 9

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.scan = nn.Conv1d(4, 3, 3, padding=1)

    def forward(self, x):
        h = self.scan(x)
        return {result}

def build():
    return Net()

"""
ALONE, TRACKS, TURNED = "h.mean(2)", "h", "h.transpose(1, 2)"
PAIR = "h, h[:, :2].mean(2)"


@pytest.fixture
def named(tmp_path):
    """Write a network with more code, and give what its outputs are called."""

    def names(result: str, more: str) -> tuple[tuple[OutputNames, ...], TargetParser]:
        path = tmp_path / "net.py"
        path.write_text(NET.format(result=result) + more)
        model = load_model(ModelRequest(f"{path}:build"))
        graph = capture_model(model)
        found = output_names(model, graph)
        return found, TargetParser(graph.outputs, found)

    return names


THREE = ("a", "b", "c")
TASKS = {
    "of a factory": (ALONE, "build.tasks = ['a', 'b', 'c']", THREE, "NTP"),
    "of a class": (ALONE, "Net.tasks = ('a', 'b', 'c')", THREE, "NTP"),
    "of tracks": (TRACKS, "build.tasks = ['a', 'b', 'c']", THREE, "NTP"),
    "of tracks, tasks last": (TURNED, "build.tasks = ['a', 'b', 'c']", THREE, "NPT"),
    "of a class before a factory": (
        ALONE,
        "build.tasks = ['x', 'y', 'z']\nNet.tasks = list('abc')",
        THREE,
        "NTP",
    ),
    "another number": (ALONE, "build.tasks = ['a', 'b']", (), "NTP"),
    "numbers": (ALONE, "Net.tasks = [1, 2, 3]", (), "NTP"),
    "a network's own": (ALONE, "Net.tasks = 'abc'", (), "NTP"),
    "a property that fails": (ALONE, "Net.tasks = property(lambda self: 1 / 0)", (), "NTP"),
}


@pytest.mark.parametrize(("result", "more", "tasks", "axes"), TASKS.values(), ids=TASKS)
def test_tasks_are_called_as_an_attribute_says(named, result, more, tasks, axes):
    (output,), parser = named(result, more)
    assert (output.tasks, output.axes) == (tasks, axes)
    if tasks:
        assert parser.parse("b").terms[0].task == parser.parse("1").terms[0].task == 1


def test_of_several_outputs_those_with_as_many_tasks_have_the_names(named):
    outputs, _ = named(PAIR, "build.tasks = ['a', 'b', 'c']")
    assert [output.tasks for output in outputs] == [THREE, ()]


def test_outputs_are_called_as_an_attribute_says_that_is_written_as_in_a_folder(named):
    outputs, parser = named(
        PAIR,
        "build.outputs = [{'name': 'tracks', 'tasks': list('abc')}, {'name': 'counts', 'tasks': list('de')}]",
    )
    assert outputs == (OutputNames("tracks", THREE), OutputNames("counts", ("d", "e")))
    assert parser.parse("counts/e").terms[0].output == 1
    assert parser.parse("b@4").terms[0].task == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[{'name': 'one'}]", "model 'build' names 1 output but returns 2"),
        (
            "[{'name': 'one', 'tasks': list('abcd')}, {'name': 'two'}]",
            "names 4 tasks of output 'one', which has 3",
        ),
    ],
    ids=["too few", "too many tasks"],
)
def test_names_of_outputs_that_there_arent_are_refused(named, more, message):
    with pytest.raises(ModelError, match=message):
        named(PAIR, f"build.outputs = {more}")


@pytest.mark.parametrize(
    "more",
    [
        "['a', 'b']",
        "[{'name': 'x', 'units': 3}]",
        "[{'tasks': ['a']}]",
        "[{'name': 'x', 'axes': 'TPN'}]",
        "nn.ReLU()",
    ],
)
def test_outputs_of_another_form_are_a_networks_own(named, more):
    outputs, _ = named(PAIR, f"Net.outputs = {more}")
    assert [output.tasks for output in outputs] == [(), ()]
