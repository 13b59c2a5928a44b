"""Outputs of which nothing can be explained, from the command line: what is said, and where."""

from pathlib import Path

import pytest
from helpers.commands import attribute, command, error_line, left_behind, write

NETS = '''
import torch
from torch import nn


class Plain(nn.Module):
    window = 12

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv1d(4, 6, 5, padding=2), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).amax(-1))


class Argmax(Plain):
    def forward(self, x):
        return super().forward(x).argmax(-1)


class Rounded(Plain):
    def forward(self, x):
        return torch.round(super().forward(x)[:, :1])


class InPart(Plain):
    def forward(self, x):
        y = super().forward(x)
        return y + torch.round(y)


class Reciprocal(nn.Module):
    """One over the number of A: infinite where there is none."""
    window = 12

    def forward(self, x):
        return 1 / x[:, 0].sum(1, keepdim=True)


class NotANumber(Plain):
    """NaN where there is no A."""

    def forward(self, x):
        a = x[:, 0].sum(1, keepdim=True)
        return super().forward(x) * (a / a)
'''


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    return write(tmp_path / "nets.py", NETS)


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    return write(tmp_path / "s.fa", ">first\nACGTACGTACGT\n>second\nCCGTCCGTCCGT\n>third\nACGTACGTACGT\n")


def line_of(text: str) -> int:
    return next(i for i, line in enumerate(NETS.splitlines(), 1) if text in line)


def test_a_step_function_as_an_output_is_refused_in_one_line(nets, sequences, tmp_path, capsys):
    assert attribute(sequences, "-m", f"{nets}:Argmax", "-o", tmp_path / "out") == 1
    assert error_line(capsys).endswith(
        "nothing that the model returns can be explained (output: it holds integers, not real numbers; return"
        " what they are made from)"
    )
    assert attribute(sequences, "-m", f"{nets}:Rounded", "-o", tmp_path / "out") == 1
    assert error_line(capsys).endswith(
        "output 'output' is a step function of the sequence: relevance can't pass round at"
        f" nets.py:{line_of('torch.round(super')}; explain what goes into it: return it from forward, or"
        " choose another output"
    )
    assert not [name for name in left_behind(tmp_path) if name.startswith("out")]


def test_inspect_shows_the_tables_of_a_step_function_and_says_that_it_is_one(nets, capsys):
    assert command("inspect", f"{nets}:Rounded") == 1
    said = capsys.readouterr()
    assert "decides; carries none" in said.out
    assert "is a step function of the sequence" in said.err.splitlines()[-1]


def test_a_step_beside_what_is_explained_is_warned_of_once(nets, sequences, tmp_path, capsys):
    assert attribute(sequences, "-m", f"{nets}:InPart", "-t", "0", "-o", tmp_path / "out") == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "step function" in line]
    (warning,) = warnings
    assert f"round at nets.py:{line_of('torch.round(y)')}" in warning


@pytest.mark.parametrize(("net", "task", "value"), [("Reciprocal", "0", "inf"), ("NotANumber", "1", "nan")])
def test_a_window_with_an_output_that_is_not_finite_is_named_with_the_value(
    net, task, value, nets, sequences, tmp_path, capsys
):
    assert attribute(sequences, "-m", f"{nets}:{net}", "-t", task, "-o", tmp_path / "out") == 1
    assert error_line(capsys).endswith(
        f"window second:0-12 (second), target '{task}': the model's output is {value}, of which there is"
        " nothing to explain; leave the window out, or explain another output or what goes into this one"
    )
