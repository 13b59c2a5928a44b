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


LINEAR = """
import torch
from torch import nn

class Sum(nn.Module):
    window = 30

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(69, 1)
        self.table.weight.data = torch.arange(69.0)[:, None] ** 2

    def forward(self, input_ids):
        return self.table(input_ids).sum(1)

class Beside(Sum):
    def forward(self, input_ids, state, attention_mask=None):
        there = 1 if attention_mask is None else attention_mask
        return (self.table(input_ids)[..., 0] * there).sum(1, keepdim=True) * state

class Told(Sum):
    def forward(self, input_ids, attention_mask=None):
        there = 1 if attention_mask is None else attention_mask
        return (self.table(input_ids)[..., 0] * there).sum(1, keepdim=True)
"""


@pytest.fixture
def linear(here) -> list[str]:
    """A model that adds up a number for each token, with what goes with it."""
    Path("linear.py").write_text(LINEAR)
    return ["-m", "linear.py:Sum", "--tokens", "vocab.txt", "-q"]


def test_what_special_tokens_hold_has_a_column_of_its_own(here, linear):
    assert attribute("genome.fa", "-r", "peaks.bed", *linear, "--dtype", "float64", "-o", "run") == 0
    for row in table("run.windows.tsv"):
        numbers = {
            name: float(row[name]) for name in ("score", "relevance", "background", "absorbed", "special")
        }
        assert numbers["special"] == SPECIAL.index("[CLS]") ** 2 + SPECIAL.index("[SEP]") ** 2
        assert numbers["absorbed"] == pytest.approx(numbers["special"])
        parts = numbers["relevance"] + numbers["background"] + numbers["absorbed"]
        assert parts == pytest.approx(numbers["score"])
    with h5py.File("run.h5") as archive:
        assert archive["special"][:].tolist() == [13.0, 13.0]


def test_padding_is_special_and_windows_add_up(here, linear):
    Path("vocab.txt").write_text(Path("vocab.txt").read_text() + "A\nC\nG\nT\n")
    Path("linear.py").write_text(LINEAR.replace("69", "73"))
    words = [{"vocab.txt": "vocab.txt,tokens=20"}.get(word, word) for word in linear]
    Path("one.bed").write_text("chr1\t700\t730\n")
    assert attribute("genome.fa", "-r", "one.bed", *words, "--dtype", "float64", "-o", "run") == 0
    (row,) = table("run.windows.tsv")
    padding = 20 - 2 - 10
    assert float(row["special"]) == 13 + padding * SPECIAL.index("[PAD]") ** 2
    assert float(row["conservation_error"]) < 1e-12


def test_models_of_bases_hold_nothing_in_special_tokens(here):
    Path("plain.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    window = 20\n"
        "    def forward(self, x):\n        return x[:, 0].sum(1, keepdim=True)\n"
    )
    assert attribute("genome.fa", "-r", "peaks.bed", "-m", "plain.py:Net", "-o", "run", "-q") == 0
    assert [row["special"] for row in table("run.windows.tsv")] == ["0", "0"]


def test_variants_are_explained_with_tokens(here, linear):
    base = Path("genome.fa").read_text().split("\n")[1][720]
    other = "C" if base == "A" else "A"
    Path("calls.vcf").write_text(
        f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t721\trs1\t{base}\t{other}\n"
    )
    assert command("variants", "calls.vcf", "genome.fa", *linear, "--dtype", "float64", "-o", "calls") == 0
    (row,) = table("calls.variants.tsv")
    letters = Path("genome.fa").read_text().split("\n")[1]
    kmers = ["".join(k) for k in itertools.product("ACGT", repeat=3)]

    def worth(sequence: str) -> int:
        return sum((len(SPECIAL) + kmers.index(sequence[i : i + 3])) ** 2 for i in range(len(sequence) - 2))

    changed = letters[:720] + other + letters[721:]
    expected = worth(changed[700:740]) - worth(letters[700:740])
    assert float(row["score_difference"]) == expected


@pytest.mark.usefixtures("unrendered")
def test_evaluate_asks_a_model_of_tokens_and_mutagenesis_is_its_own(here, linear, capsys):
    assert attribute("genome.fa", "-r", "peaks.bed", *linear, "--dtype", "float64", "-o", "run") == 0
    more = ["--faithfulness", "1", "--strands", "--baseline", "mutagenesis", "-o", "compared"]
    assert command("evaluate", "run.h5", *linear, *more) == 0
    (row,) = (row for row in table("compared.evaluation.tsv") if row["method"] == "run")
    # Changes of single bases of a sum over tokens are what it looks up.
    assert [float(row[name]) for name in ("ism_r", "var_r")] == pytest.approx([1, 1], abs=1e-9)
    capsys.readouterr()
    for method in ("gradient-x-input", "deeplift-shap"):
        assert command("evaluate", "run.h5", *linear, "--baseline", method) == 1
        assert error_line(capsys) == (
            f"sparselrp: error: --baseline {method} needs a gradient by bases, which a model of tokens"
            " doesn't have; compare with mutagenesis"
        )


def test_a_window_of_too_many_tokens_is_named(here, linear, capsys):
    Path("vocab.txt").write_text(Path("vocab.txt").read_text() + "A\nC\nG\nT\n")
    Path("linear.py").write_text(LINEAR.replace("69", "73"))
    words = [{"vocab.txt": "vocab.txt,tokens=12"}.get(word, word) for word in linear]
    Path("two.bed").write_text("chr1\t700\t730\tfirst\nchr1\t290\t320\tsecond\n")
    assert attribute("genome.fa", "-r", "two.bed", *words, "-o", "run") == 1
    assert error_line(capsys) == (
        "sparselrp: error: window chr1:290-320 (second): has 14 tokens, more than the 12 that the model is"
        " given; make room with --tokens ...,tokens=14 or more"
    )


@pytest.mark.parametrize("value", ["state=1:2", "state=rows.npz"], ids=["constant", "by window"])
def test_another_input_doesnt_hide_the_mask(here, linear, value):
    np.savez("rows.npz", np.array([[2.0], [2.0]]))
    Path("vocab.txt").write_text(Path("vocab.txt").read_text() + "A\nC\nG\nT\n")
    # The number of [PAD] isn't 0 here, so that it would be seen in the sum.
    Path("linear.py").write_text(LINEAR.replace("69", "73").replace("arange(73.0)", "arange(1.0, 74.0)"))
    scores = {}
    for model, more in (("Told", []), ("Beside", ["--input", value])):
        words = [
            {"vocab.txt": "vocab.txt,tokens=20", "linear.py:Sum": f"linear.py:{model}"}.get(w, w)
            for w in linear
        ]
        assert (
            attribute("genome.fa", "-r", "peaks.bed", *words, *more, "--dtype", "float64", "-o", model) == 0
        )
        scores[model] = [float(row["score"]) for row in table(f"{model}.windows.tsv")]
    assert scores["Beside"] == [2 * score for score in scores["Told"]]


def test_rows_by_window_reach_a_model_of_tokens(here, linear):
    np.savez("rows.npz", np.array([[2.0], [5.0]]))
    words = [{"linear.py:Sum": "linear.py:Beside"}.get(word, word) for word in linear]
    for given in ("state=rows.npz", "state=1:1"):
        prefix = given.partition(".")[0].replace("=", "-").replace(":", "-")
        assert attribute("genome.fa", "-r", "peaks.bed", *words, "--input", given, "-o", prefix) == 0
    rows, ones = (
        [float(row["score"]) for row in table(f"{prefix}.windows.tsv")]
        for prefix in ("state-rows", "state-1-1")
    )
    assert rows == [pytest.approx(2 * ones[0]), pytest.approx(5 * ones[1])]
