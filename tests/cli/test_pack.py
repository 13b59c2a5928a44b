"""`sparselrp pack` as users call it, and packed folders with every command that takes a model."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.commands import attribute, command, error_line, left_behind, table, write
from helpers.tiny_net import MODEL, WINDOW, TinyNet
from torch import nn

from sparselrp_cli.graph import capture as capturing
from sparselrp_cli.runs import pack as packing

FILES = ["graph.json", "weights.safetensors"]
ROOT = Path(__file__).parents[2]


def pack(*arguments: object) -> int:
    return command("pack", *arguments)


class WithControl(TinyNet):
    """Takes another input beside the sequence."""

    def forward(self, x, control):
        return super().forward(x) + control.mean(-1)


class Noisy(nn.Module):
    """Draws random numbers, so that it can't be explained."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4 * WINDOW, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        return self.head(x.flatten(1)) + torch.rand(len(x), 1)


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "tiny"
    assert pack(MODEL, "-o", folder) == 0
    return folder


@pytest.fixture
def no_tracing(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("traced")

    monkeypatch.setattr(capturing, "_traced", refuse)


def test_a_folder_is_written_and_named_with_the_next_step(tmp_path, capsys):
    folder = tmp_path / "tiny"
    assert pack(MODEL, "-o", folder) == 0
    expected = f"{folder}: windows of 40 bp, 7 operations, output output; next: sparselrp inspect {folder}\n"
    assert capsys.readouterr().out == expected
    assert left_behind(folder) == FILES
    assert left_behind(tmp_path) == ["tiny"]
    assert json.loads((folder / "graph.json").read_text())["name"] == "TinyNet"


def test_whoever_reads_the_graph_reads_the_weights(packed):
    modes = {name: (packed / name).stat().st_mode for name in left_behind(packed)}
    assert list(modes) == FILES
    assert len(set(modes.values())) == 1


def test_packing_twice_gives_the_same_bytes_and_packing_what_is_packed_too(packed, tmp_path):
    assert pack(MODEL, "-o", tmp_path / "again") == 0
    assert pack(packed, "-o", tmp_path / "of-packed") == 0
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (packed / name).read_bytes()
        assert (tmp_path / "of-packed" / name).read_bytes() == (packed / name).read_bytes()


@pytest.mark.usefixtures("no_tracing")
def test_inspect_says_that_a_graph_is_packed(packed, capsys):
    assert command("inspect", packed) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("model TinyNet: a packed graph, windows of 40 bp, NCL, ACGT\n")
    assert "graph against model" not in printed
    assert command("inspect", packed, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["packed"], document["difference"]) == (True, None)
    assert document["conservation_error"] < 1e-5


def arrays(prefix: Path) -> dict[str, bytes]:
    with h5py.File(f"{prefix}.h5") as archive:
        return {name: np.asarray(archive[name]).tobytes() for name in ("hyp_scores", "input_seqs")}


RUN_FILES = ("bw", "bedgraph.gz", "attr.npz", "ohe.npz", "windows.tsv", "skipped.tsv", "regions.narrowPeak")


@pytest.mark.parametrize("more", [(), ("-p", "0.3", "--composite", "epsilon-plus", "--dtype", "float64")])
def test_a_run_with_the_folder_gives_the_bytes_of_one_with_the_model(packed, genome, peaks, tmp_path, more):
    formats = ("--formats", "h5,bigwig,bedgraph,modisco,finemo")
    by_model, by_folder = tmp_path / "model", tmp_path / "folder"
    for place, model in ((by_model, MODEL), (by_folder, packed)):
        place.mkdir()
        run = (genome, "-r", peaks, "-m", model, "-t", "1-0", "-o", place / "run")
        assert attribute(*run, *formats, *more) == 0
    for end in RUN_FILES:
        assert (by_model / f"run.{end}").read_bytes() == (by_folder / f"run.{end}").read_bytes()
    assert arrays(by_model / "run") == arrays(by_folder / "run")
    ours, theirs = (json.loads((place / "run.manifest.json").read_text()) for place in (by_model, by_folder))
    assert [file["file"] for file in theirs["model"]["files"]] == FILES
    assert ours["rules"] == theirs["rules"]
    assert ours["model"]["name"] == theirs["model"]["name"]


@pytest.mark.usefixtures("no_tracing")
def test_a_run_with_a_folder_is_resumed_unless_the_folder_changed(packed, genome, peaks, tmp_path, capsys):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes((packed / name).read_bytes())
    run = (genome, "-r", peaks, "-m", folder, "-t", "0", "-o", tmp_path / "run", "--resume")
    assert attribute(*run) == 0
    before = (tmp_path / "run.h5").stat().st_mtime_ns
    assert attribute(*run) == 0
    assert (tmp_path / "run.h5").stat().st_mtime_ns == before
    path = folder / "graph.json"
    path.write_text(path.read_text().replace('"source": "', '"source": "my '))
    assert attribute(*run) == 1
    line = error_line(capsys)
    assert "is a complete run in which model.files was " in line
    assert '"file": "graph.json"' in line


def test_folders_and_models_are_averaged_together(packed, genome, peaks, tmp_path):
    run = (genome, "-r", peaks, "-t", "0", "-o", tmp_path / "run")
    assert attribute(*run, "-m", packed, "-m", MODEL) == 0
    assert {row["score_sd"] for row in table(tmp_path / "run.windows.tsv")} == {"0"}


@pytest.mark.usefixtures("unrendered")
@pytest.mark.usefixtures("no_tracing")
def test_evaluate_asks_a_packed_model_again(packed, genome, peaks, tmp_path, capsys):
    assert attribute(genome, "-r", peaks, "-m", packed, "-t", "0", "-o", tmp_path / "run") == 0
    archive = tmp_path / "run.h5"
    out = ("-o", tmp_path / "evaluation")
    assert command("evaluate", archive, "-m", packed, "--randomise", *out) == 0
    shuffled = table(tmp_path / "evaluation.randomisation.tsv")
    assert [row["layers_shuffled"] for row in shuffled] == ["1", "2", "3"]
    assert all(float(row["correlation"]) < 1 for row in shuffled)
    capsys.readouterr()
    assert command("evaluate", archive, "-m", packed, "--baseline", "deeplift-shap") == 1
    assert "which a packed graph doesn't have; give the model that was packed" in error_line(capsys)


@pytest.mark.usefixtures("no_tracing")
def test_variants_take_a_packed_model(packed, genome, tmp_path):
    base = genome.read_text().splitlines()[1]
    other = "A" if base[99].upper() != "A" else "C"
    vcf = write(
        tmp_path / "v.vcf",
        f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t100\tv\t{base[99].upper()}\t{other}\n",
    )
    assert command("variants", vcf, genome, "-m", packed, "-t", "0", "-o", tmp_path / "v") == 0


def test_what_the_model_needs_is_packed_with_it(tmp_path, capsys):
    """Its weights, another input, its window, its name and how it wants its sequence."""
    weights, folder = tmp_path / "w.pt", tmp_path / "net"
    torch.save(WithControl().state_dict(), weights)
    given = (f"{__file__}:WithControl", "-w", weights, "--input", "control=1x40:0.5", "--alphabet", "ACTG")
    assert pack(*given, "-o", folder, "--name", "mine") == 0
    weights.unlink()
    capsys.readouterr()
    assert command("inspect", folder) == 0
    assert capsys.readouterr().out.startswith("model mine: a packed graph, windows of 40 bp, NCL, ACTG\n")


def test_a_model_folder_is_packed_with_its_names(tmp_path):
    assert pack(ROOT / "models" / "suhw-dm3", "-o", tmp_path / "suhw") == 0
    (output,) = json.loads((tmp_path / "suhw" / "graph.json").read_text())["outputs"]
    assert (output["called"], output["tasks"], output["axes"]) == ("binding", ["suhw"], "NTP")


def test_a_folder_that_is_there_is_replaced_only_with_force(packed, tmp_path, capsys):
    folder = tmp_path / "tiny"
    assert pack(packed, "-o", folder) == 0
    before = (folder / "graph.json").read_bytes()
    assert pack(packed, "-o", folder, "--name", "other") == 1
    assert "exists already; name another folder, or replace it with --force" in error_line(capsys)
    assert (folder / "graph.json").read_bytes() == before
    assert pack(packed, "-o", folder, "--name", "other", "--force") == 0
    assert json.loads((folder / "graph.json").read_text())["name"] == "other"
    assert left_behind(tmp_path) == ["tiny"]


def test_force_replaces_the_very_folder_that_is_packed(packed, tmp_path):
    folder = tmp_path / "tiny"
    assert pack(packed, "-o", folder) == 0
    assert pack(folder, "-o", folder, "--force") == 0
    assert (folder / "weights.safetensors").read_bytes() == (packed / "weights.safetensors").read_bytes()


def test_force_never_removes_what_pack_did_not_write(packed, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert pack(packed, "-o", tmp_path, "--force") == 1
    assert "holds 'thesis.txt', which no pack wrote" in error_line(capsys)
    assert left_behind(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no-model",), "no-model: no such model folder or file"),
        ((f"{__file__}:Noisy",), "'rand' draws random numbers at"),
        ((f"{__file__}:WithControl",), "the model can't take an input of shape"),
        ((MODEL, "--window", "44"), "the model can't take an input of shape (2, 4, 44)"),
        ((MODEL, "-o", "/dev/null/tiny"), "can't be written: a part of the path isn't a folder"),
    ],
    ids=["no model", "random", "another input", "another window", "no folder"],
)  # fmt: skip
def test_what_cannot_be_packed_is_said_in_a_line_and_nothing_is_left(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert pack("-o", "tiny", *arguments) == 1
    assert message in error_line(capsys)
    assert left_behind(tmp_path) == []


def test_a_folder_that_computes_something_else_is_never_named(packed, tmp_path, monkeypatch, capsys):
    """The last check, should the writer or the reader be wrong."""
    right = packing.write_packed

    def wrong(given, folder):
        (node, *rest) = given.graph.nodes
        layer = replace(node.operation, bias=node.operation.bias + 1)
        graph = replace(given.graph, nodes=(replace(node, operation=layer), *rest), exact={})
        right(replace(given, graph=graph), folder)

    monkeypatch.setattr(packing, "write_packed", wrong)
    assert pack(packed, "-o", tmp_path / "tiny") == 1
    assert "output 'output' of the packed graph differs from the model's" in error_line(capsys)
    assert left_behind(tmp_path) == []


def test_an_output_that_cannot_be_explained_is_said(tmp_path, capsys):
    code = (
        "import torch\nfrom torch import nn\nclass Half(nn.Module):\n    window = 20\n"
        "    def __init__(self):\n        super().__init__()\n        torch.manual_seed(0)\n"
        "        self.head = nn.Linear(80, 1)\n"
        "    def forward(self, x):\n        y = self.head(x.flatten(1))\n"
        "        return {'odd': torch.special.digamma(y), 'even': y}\n"
    )
    net = write(tmp_path / "half.py", code)
    assert pack(f"{net}:Half", "-o", tmp_path / "half") == 0
    out, err = capsys.readouterr()
    assert "output odd can't be explained: no rule for digamma" in err
    assert "output even; next" in out
    net.unlink()
    assert command("inspect", tmp_path / "half") == 0
    assert "output odd can't be explained: no rule for digamma" in capsys.readouterr().out
