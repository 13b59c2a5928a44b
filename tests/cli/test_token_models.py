"""Models of tokens as users call them: the commands of docs/token-models.md on a small stand-in."""

import itertools
import re
import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.commands import attribute, command, error_line, table

PAGE = Path(__file__).parents[2] / "docs" / "token-models.md"
WINDOW = 512
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.norm = nn.Embedding(69, 4), nn.LayerNorm(4)
        self.mix, self.head = nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, input_ids):
        h = self.norm(self.table(input_ids))
        return self.head(torch.tanh(self.mix(h)).mean(1))

def build():
    return Net()
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with the files that the page's commands name."""
    monkeypatch.chdir(tmp_path)
    Path("mybert.py").write_text(NET)
    numbers = torch.Generator().manual_seed(0)
    shapes = {
        "table.weight": (69, 4), "norm.weight": (4,), "norm.bias": (4,), "mix.weight": (4, 4),
        "mix.bias": (4,), "head.weight": (1, 4), "head.bias": (1,),
    }  # fmt: skip
    torch.save({name: torch.randn(shape, generator=numbers) for name, shape in shapes.items()}, "weights.pt")
    kmers = ["".join(letters) for letters in itertools.product("ACGT", repeat=3)]
    Path("vocab.txt").write_text("\n".join([*SPECIAL, *kmers]) + "\n")
    letters = np.random.default_rng(0).choice(list("ACGT"), 1100)
    letters[300] = "N"
    Path("genome.fa").write_text(">chr1\n" + "".join(letters) + "\n")
    Path("peaks.bed").write_text("chr1\t250\t350\nchr1\t700\t760\n")
    return tmp_path


def typed(name: str) -> list[str]:
    (line,) = re.findall(rf"^    sparselrp ({name} .*)$", PAGE.read_text(), re.MULTILINE)
    return shlex.split(line)[1:]


def test_the_commands_of_the_page_say_how_tokens_are_made_and_explain_them(here, capsys):
    assert command("inspect", *typed("inspect")) == 0
    told = capsys.readouterr().out
    assert "a window is read as 512 tokens, special ones included: overlapping 3-mers, one every 1 bp" in told
    assert "becomes [CLS] " in told
    assert attribute(*typed("attribute"), "--formats", "h5", "-q") == 0
    rows = table("run.windows.tsv")
    assert [float(row["conservation_error"]) < 1e-3 for row in rows] == [True, True]
    with h5py.File("run.h5") as archive:
        maps = archive["hyp_scores"][:]
    assert maps.shape == (2, WINDOW, 4)
    assert maps.any(axis=2).sum(axis=1).tolist() == [WINDOW - 1, WINDOW]  # one base is N


def test_a_forward_that_needs_a_mask_is_told_that_every_token_is_there(here):
    Path("masked.py").write_text(
        "import torch\nfrom mybert import Net\n\nclass Masked(Net):\n"
        "    def forward(self, input_ids, attention_mask):\n"
        "        h = self.norm(self.table(input_ids)) * attention_mask[:, :, None]\n"
        "        return self.head(torch.tanh(self.mix(h)).mean(1))\n"
    )
    given = typed("attribute")
    for model in ("mybert.py:build", "masked.py:Masked"):
        words = [{"mybert.py:build": model, "run": model[:6]}.get(word, word) for word in given]
        assert attribute(*words, "--formats", "h5", "-q") == 0
    assert table("mybert.windows.tsv") == table("masked.windows.tsv")


def test_a_packed_model_of_tokens_needs_no_tokens_and_takes_none(here, capsys):
    given = typed("inspect")
    assert command("pack", *given, "-o", "packed") == 0
    assert command("inspect", "packed") == 0
    assert "a window is read as 512 tokens" in capsys.readouterr().out
    assert command("inspect", "packed", "--tokens", "vocab.txt") == 1
    assert error_line(capsys).endswith("graph.json reads the tokens that it was packed with; leave it out")


@pytest.mark.parametrize("option", ["--layout", "--alphabet"])
def test_axes_of_one_hot_sequences_dont_go_with_tokens(here, option, capsys):
    value = {"--layout": "NLC", "--alphabet": "TGCA"}[option]
    assert command("inspect", *typed("inspect"), option, value) == 1
    assert error_line(capsys).endswith(
        f"{option} is for models that read one-hot sequences; leave it out with --tokens"
    )


def test_a_model_of_ids_without_tokens_is_told_of_them(here, capsys):
    words = typed("inspect")
    assert command("inspect", *words[: words.index("--tokens")]) == 1
    assert "if it takes ids of tokens, say which: --tokens" in error_line(capsys)
