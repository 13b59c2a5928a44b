"""The commands of docs/comparing.md run, one after the other."""

import shlex
from pathlib import Path

import pytest
from helpers.commands import command

from sparselrp_cli.comparison.compare import MEASURES, OF_MOTIFS, PLACE

DOCS = Path(__file__).parents[2] / "docs"
NET = """
import torch
from torch import nn

class Net(nn.Module):
    window = 20

    def __init__(self):
        super().__init__()
        self.scan, self.head = nn.Conv1d(4, 3, 5, padding=2), nn.Linear(60, 2)
        for weight in self.parameters():
            weight.data = torch.linspace(-1, 1.3, weight.numel()).reshape(weight.shape)

    def forward(self, x):
        return self.head(self.scan(x).relu().flatten(1))
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    Path("windows.fa").write_text(">s1\nACGTTGCAACGTTAGCATGC\n>s2\nTTGACCAGTACGATTACAGG\n")
    return tmp_path


def commands() -> list[list[str]]:
    lines = (DOCS / "comparing.md").read_text().splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("    sparselrp ")]


def test_the_commands_of_the_page_run(here, capsys):
    assert len(commands()) == 6
    for name, *words in commands():
        assert command(name, *words, "-q") == 0, (name, *words)
    out = capsys.readouterr().out
    assert "pruned compared with plain" in out
    assert "1 compared with 0" in out
    made = ("change.compare.tsv", "targets.compare.means.tsv", "targets.compare.json", "s1.svg")
    assert all((here / "out" / name).is_file() for name in made)


def test_the_columns_are_documented():
    lines = (DOCS / "comparing.md").read_text().splitlines()
    (of_windows,) = [line for line in lines if line.startswith("| `PREFIX.compare.tsv`")]
    # "Their scores" are score_a and score_b.
    assert all(column in of_windows for column in (*PLACE, *MEASURES[2:]))
    (of_motifs,) = [line for line in lines if line.startswith("| `PREFIX.compare.motifs.tsv`")]
    assert all(column in of_motifs for column in OF_MOTIFS)
