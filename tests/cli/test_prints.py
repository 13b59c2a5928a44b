"""What a model prints goes to standard error; what torch says of it doesn't come before our one line."""

import json
import logging
from pathlib import Path

import pytest

from sparselrp_cli.cli.main import run
from sparselrp_cli.model.prints import without_noise

LOUD = """
import os, subprocess, sys
import torch
from torch import nn

print("printed by the file")

class Net(nn.Module):
    window = 20

    def __init__(self):
        super().__init__()
        print("printed by the constructor")
        os.write(1, b"written to the descriptor\\n")
        subprocess.run(["echo", "said by a child"], check=True)
        torch.manual_seed(0)
        self.scan = nn.Conv1d(4, 2, 5)

    def forward(self, x):
        print("printed by forward")
        sys.__stdout__.write("written past the redirection\\n")
        return self.scan(x).amax(-1)


class ByData(Net):
    def forward(self, x):
        if torch.all((x == 0) | (x == 1)):
            return super().forward(x)
        raise ValueError("not one-hot")
"""
SAID = (
    "printed by the file", "printed by the constructor", "written to the descriptor", "said by a child",
    "printed by forward", "written past the redirection",
)  # fmt: skip


@pytest.fixture
def loud(tmp_path: Path) -> Path:
    path = tmp_path / "loud.py"
    path.write_text(LOUD)
    return path


def test_inspect_prints_json_alone_whatever_the_model_prints(loud, capfd):
    assert run(["inspect", f"{loud}:Net", "--json"]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["model"] == "Net"
    assert [line for line in SAID if line not in said.err] == []
    assert said.err.count("printed by the file") == said.err.count("printed by forward") == 1


def test_attribute_prints_nothing_of_the_models_on_standard_output(loud, tmp_path, capfd):
    fasta = tmp_path / "a.fa"
    fasta.write_text(">a\nACGTACGTACGTACGTACGTAA\n")
    words = ["attribute", str(fasta), "-m", f"{loud}:Net", "-t", "0", "-o", str(tmp_path / "r")]
    assert run([*words, "--formats", "h5", "-p", "0"]) == 0
    said = capfd.readouterr()
    assert said.out == ""
    assert "printed by forward" in said.err


def test_what_torch_reports_of_a_decision_by_data_is_only_shown_when_asked(loud, capfd):
    assert run(["inspect", f"{loud}:ByData"]) == 1
    said = capfd.readouterr()
    quiet = [line for line in said.err.splitlines() if line not in SAID]
    assert said.out == ""
    assert len(quiet) == 1
    assert quiet[0].startswith("sparselrp: error: torch.export can't trace the model: Could not guard on dat")
    assert run(["inspect", f"{loud}:ByData", "-v"]) == 1
    assert "torch.ops.aten.all.default" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["torch", "torch.known", "torch.known.below", "torch.made.meanwhile"])
def test_no_logger_of_torch_is_heard_and_each_is_as_it_was(name, caplog):
    for known in ("torch.known.below", "torch.known", "torch"):
        logging.getLogger(known)
    logging.getLogger("torch.known").setLevel(logging.DEBUG)
    before = [(one.level, one.disabled) for one in map(logging.getLogger, ("torch", "torch.known"))]
    with without_noise():
        logging.getLogger(name).critical("said meanwhile")
    assert [(one.level, one.disabled) for one in map(logging.getLogger, ("torch", "torch.known"))] == before
    logging.getLogger(name).critical("said afterwards")
    assert [record.message for record in caplog.records] == ["said afterwards"]


def test_other_loggers_are_heard_meanwhile(caplog):
    with without_noise():
        logging.getLogger("torchlike").critical("said meanwhile")
    assert [record.message for record in caplog.records] == ["said meanwhile"]
