"""Inputs beside the sequence by window: a row of a file for each region."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.commands import attribute, command, error_line, left_behind, table, write

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.factories import import_factory
from sparselrp_cli.model.inputs import hold_inputs
from sparselrp_cli.model.rows import RowsAsked, asked_rows, read_rows
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE, Pruning

WINDOW, N = 24, 7
CODE = '''
import torch
from torch import nn


class Net(nn.Module):
    """Takes a mask, control tracks, a state of the cell and the number of its type."""

    window = 24

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.scan, self.mix = nn.Conv1d(4, 6, 5, padding=2), nn.Conv1d(8, 6, 3, padding=1)
        self.state, self.kind = nn.Linear(3, 6), nn.Embedding(4, 6)
        self.head = nn.Conv1d(6, 2, 1)

    def forward(self, x, mask, control, state, kind):
        h = self.scan(x * mask[:, None]).relu()
        h = self.mix(torch.cat([h, control], 1)).relu()
        h = h * torch.sigmoid(self.state(state))[:, :, None] + self.kind(kind)[:, :, None]
        return self.head(h.relu()) + self.state(state).relu()[:, :2, None]


class Channels(nn.Module):
    """Takes two tracks beside the bases."""

    window = 24

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.net = nn.Sequential(nn.Conv1d(6, 5, 5), nn.ReLU(), nn.Conv1d(5, 3, 3), nn.ReLU())

    def forward(self, x):
        return self.net(x).mean(2)
'''
NAMES = ("mask", "control", "state", "kind")
BASES = np.random.default_rng(5).integers(0, 4, (N, WINDOW))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The code, rows for each input, sequences, a genome of them all and its regions in another order."""
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(7)
    np.save(folder / "mask.npy", rng.integers(0, 2, (N, WINDOW)).astype(bool))
    np.savez(
        folder / "rows.npz",
        control=rng.normal(size=(N, 2, WINDOW)), state=rng.normal(size=(N, 3)), kind=rng.integers(0, 4, N),
    )  # fmt: skip
    write(folder / "net.py", CODE)
    texts = ["".join("ACGT"[b] for b in row) for row in BASES]
    write(folder / "records.fa", "".join(f">s{i}\n{text}\n" for i, text in enumerate(texts)))
    write(folder / "genome.fa", ">c\n" + "".join(texts) + "\n")
    places = [f"c\t{WINDOW * i}\t{WINDOW * (i + 1)}\tp{i}\t0\t{'+-'[i % 2]}\n" for i in reversed(range(N))]
    write(folder / "regions.bed", "".join(places))
    return folder


@pytest.fixture(scope="module")
def given(folder) -> dict[str, torch.Tensor]:
    with np.load(folder / "rows.npz") as rows:
        tensors = {name: torch.from_numpy(rows[name]) for name in rows.files}
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    return {"mask": torch.from_numpy(np.load(folder / "mask.npy")), **tensors}


@pytest.fixture
def options(folder) -> list[object]:
    files = {name: folder / ("mask.npy" if name == "mask" else "rows.npz") for name in NAMES}
    named = [word for name, file in files.items() for word in ("--input", f"{name}={file}")]
    return ["-m", f"{folder / 'net.py'}:Net", *named, "-b", "2", "-q", "--formats", "h5"]


def net(folder: Path, name: str = "Net") -> torch.nn.Module:
    return import_factory(f"{folder / 'net.py'}:{name}").make().eval()


def windows(order: range) -> torch.Tensor:
    """One-hot windows as the model reads them, those of the reverse strand turned."""
    return torch.from_numpy(np.eye(4, dtype=np.float32)[BASES[list(order)]]).transpose(1, 2)


def scores(prefix: Path) -> np.ndarray:
    return np.array([float(row["score"]) for row in table(f"{prefix}.windows.tsv")])


def test_of_records_each_window_is_explained_with_the_row_of_its_record(tmp_path, folder, given, options):
    assert attribute(folder / "records.fa", *options, "-t", "1@7", "-o", tmp_path / "o") == 0
    with torch.no_grad():
        expected = net(folder)(windows(range(N)), **given)[:, 1, 7]
    np.testing.assert_allclose(scores(tmp_path / "o"), expected, rtol=1e-5, atol=1e-6)


def test_of_regions_the_rows_are_in_the_order_of_the_bed_and_as_the_model_reads(
    tmp_path, folder, given, options
):
    words = (folder / "genome.fa", "-r", folder / "regions.bed", *options)
    assert attribute(*words, "-t", "0@3:9", "-o", tmp_path / "o") == 0
    x = windows(range(N - 1, -1, -1))
    turned = torch.tensor([i % 2 == 1 for i in reversed(range(N))])[:, None, None]
    with torch.no_grad():
        expected = net(folder)(torch.where(turned, x.flip(1, 2), x), **given)[:, 0, 3:9].mean(1)
    np.testing.assert_allclose(scores(tmp_path / "o"), expected, rtol=1e-5, atol=1e-6)


def test_windows_of_one_record_all_have_its_row(tmp_path, folder, options):
    long = write(tmp_path / "long.fa", "".join(f">r{i}\n{'ACGTTGCATTAG' * 4}\n" for i in range(N)))
    assert attribute(long, *options, "-t", "1@7", "-o", tmp_path / "o") == 0
    found = scores(tmp_path / "o").reshape(N, -1)
    assert found.shape[1] == 3
    # The sequence has a period of 12, and windows begin every 12 bp.
    np.testing.assert_allclose(found, found[:, :1].repeat(3, 1), rtol=1e-5)
    assert len(np.unique(found[:, 0].round(4))) == N


def test_two_shards_merged_are_the_bytes_of_one_run(tmp_path, folder, options):
    words = (folder / "genome.fa", "-r", folder / "regions.bed", *options, "-t", "0@3:9")
    assert attribute(*words, "-o", tmp_path / "whole") == 0
    for part in (1, 2):
        assert attribute(*words, "--shard", f"{part}/2", "-o", tmp_path / f"part{part}") == 0
    parts = (tmp_path / "part1.h5", tmp_path / "part2.h5")
    assert command("merge", *parts, "-o", tmp_path / "merged", "--formats", "h5", "-q") == 0
    for name in ("windows.tsv", "skipped.tsv"):
        assert (tmp_path / f"merged.{name}").read_bytes() == (tmp_path / f"whole.{name}").read_bytes()
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / "merged.h5") as merged:
        assert np.array_equal(whole["hyp_scores"][()], merged["hyp_scores"][()])


def test_two_models_get_the_same_rows(tmp_path, folder, given, options):
    words = (folder / "records.fa", "-m", f"{folder / 'net.py'}:Net", *options, "-t", "1@7")
    assert attribute(*words, "-o", tmp_path / "o") == 0
    with torch.no_grad():
        expected = net(folder)(windows(range(N)), **given)[:, 1, 7]
    np.testing.assert_allclose(scores(tmp_path / "o"), expected, rtol=1e-5, atol=1e-6)
    assert all(float(row["score_sd"]) == 0 for row in table(tmp_path / "o.windows.tsv"))


def test_reduced_precision_is_compared_with_the_same_rows(tmp_path, folder, options):
    words = (folder / "records.fa", *options, "-t", "1@7", "--dtype", "bfloat16", "-o", tmp_path / "o")
    assert attribute(*words) == 0
    agreed = json.loads((tmp_path / "o.manifest.json").read_text())["accounting"]["agreement_with_float32"]
    assert agreed["cosine"] > 0.9


@pytest.mark.parametrize("layout", ["NCL", "NLC"])
def test_channels_beside_the_bases_are_rows_too(tmp_path, folder, layout):
    tracks = np.random.default_rng(1).normal(size=(N, 2, WINDOW)).astype(np.float32)
    np.save(tmp_path / "tracks.npy", tracks)
    code = CODE if layout == "NCL" else CODE.replace("self.net(x)", "self.net(x.transpose(1, 2))")
    model = f"{write(tmp_path / 'net.py', code)}:Channels"
    rows = ("--input", f"channels={tmp_path / 'tracks.npy'}", "--layout", layout)
    words = (folder / "records.fa", "-m", model, *rows, "-t", "2", "-q", "--formats", "h5")
    assert attribute(*words, "-o", tmp_path / "o") == 0
    with torch.no_grad():
        x = torch.cat([windows(range(N)), torch.from_numpy(tracks)], 1)
        expected = net(folder, "Channels")(x)[:, 2]
    np.testing.assert_allclose(scores(tmp_path / "o"), expected, rtol=1e-5, atol=1e-6)


PRUNINGS = {"unpruned": NONE, "lambda": Pruning(0.2), "m": Pruning(0.2, redistribute="m")}


@pytest.mark.parametrize("pruning", PRUNINGS.values(), ids=PRUNINGS)
def test_equal_rows_are_explained_as_a_constant_is(folder, tmp_path, pruning):
    """Masks and tracks, whose relevance goes the same way; the accounts close, too."""
    np.save(tmp_path / "control.npy", np.full((N, 2, WINDOW), 0.5))
    held = ("mask=24:1", "state=3:0.25")
    kinds = np.zeros(N, np.int64)
    np.save(tmp_path / "kind.npy", kinds)
    kind = f"kind={tmp_path / 'kind.npy'}"
    module = net(folder).double()
    x = windows(range(N)).double()
    targets = [Target("1", (Term(0, 1, None),))]
    found = []
    for control in ("control=2x24:0.5", f"control={tmp_path / 'control.npy'}"):
        whole = hold_inputs(module, (*held, control, kind), torch.float64)
        explainer = Explainer(capture(whole, x), targets, pruning=pruning)
        rows = {"control": torch.full((N, 2, WINDOW), 0.5).double(), "kind": torch.from_numpy(kinds)}
        found.append(explainer.explain(x, rows=rows)[0])
    constant, by_window = found
    torch.testing.assert_close(by_window.hypothetical, constant.hypothetical, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(by_window.absorbed, constant.absorbed, rtol=1e-9, atol=1e-12)
    assert float(by_window.conservation_error.max()) < 1e-9


def test_zero_is_gradient_times_input_with_the_rows_of_each_window(folder, given):
    double = {name: t.double() if t.is_floating_point() else t for name, t in given.items()}
    module, x = net(folder).double(), windows(range(N)).double()
    files = tuple(f"{n}={folder / ('mask.npy' if n == 'mask' else 'rows.npz')}" for n in NAMES)
    graph = capture(hold_inputs(module, files, torch.float64), x)
    explainer = Explainer(graph, [Target("0", (Term(0, 0, None),))], composite=PRESETS["zero"], pruning=NONE)
    (found,) = explainer.explain(x, rows=double)
    read = x.clone().requires_grad_()
    score = module(read, **double)[:, 0].mean(1)
    (gradient,) = torch.autograd.grad(score.sum(), read)
    torch.testing.assert_close(found.score, score.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.hypothetical, gradient, rtol=1e-9, atol=1e-12)
    assert float(found.conservation_error.max()) < 1e-9


def test_the_files_are_in_the_manifest_and_others_cant_resume(tmp_path, folder, options, capsys):
    copied = tmp_path / "rows.npz"
    copied.write_bytes((folder / "rows.npz").read_bytes())
    words = [str(word).replace(str(folder / "rows.npz"), str(copied)) for word in options]
    run = (folder / "records.fa", *words, "-t", "1@7", "-o", tmp_path / "o")
    assert attribute(*run) == 0
    inputs = json.loads((tmp_path / "o.manifest.json").read_text())["inputs"]
    assert {role: entry["file"] for role, entry in inputs.items()} == {
        "sequences": "records.fa", "input mask": "mask.npy",
        **{f"input {name}": "rows.npz" for name in NAMES[1:]},
    }  # fmt: skip
    assert attribute(*run, "--resume") == 0
    with np.load(copied) as rows:
        changed = {name: rows[name] for name in rows.files}
    np.savez(copied, **{**changed, "state": changed["state"] + 1})
    capsys.readouterr()
    assert attribute(*run, "--resume") == 1
    assert "is a complete run in which the content of rows.npz is another" in error_line(capsys)


HELD = "hold the input constant, mask=SHAPE:VALUE"
ELSEWHERE = (
    "rows go with the regions of `sparselrp attribute`; here hold the input constant, mask=SHAPE:VALUE"
)


@pytest.mark.parametrize("name", ["pack", "evaluate", "plot"])
def test_commands_without_regions_of_their_own_refuse_rows(tmp_path, folder, options, capsys, name):
    model = (options[1], *(word for word in options[2:10]))
    if name == "pack":
        words: tuple[object, ...] = (*model, "-o", tmp_path / "packed")
    else:
        assert attribute(folder / "records.fa", *options, "-t", "1@7", "-o", tmp_path / "o") == 0
        of_archive = {"plot": ("s0:1-20", "-o", tmp_path / "o.svg"), "evaluate": ("--faithfulness", "2")}
        words = (tmp_path / "o.h5", *of_archive[name], "-m", *model)
    assert command(name, *words) == 1
    assert error_line(capsys).endswith(f"--input mask={folder / 'mask.npy'}: {ELSEWHERE}")


def test_inspect_shows_the_inputs_of_each_window(options, capsys):
    assert command("inspect", *options[1:10], "-q") == 0
    said = capsys.readouterr()
    assert "control, by window" in said.out
    assert "step function" not in said.out + said.err


RUNS = {
    "both strands": (
        ("{records}", "--reverse-complement"),
        "a row is of one orientation of its window, and --reverse-complement reads both; leave it out,"
        " or {held}",
    ),
    "fewer regions": (
        ("{genome}", "-r", "{few}"),
        "{mask}: 7 rows for 2 regions of {few}; give one row for each, in their order, those that are skipped"
        " included",
    ),
    "more records": (
        ("{genome}",),
        "{mask}: 7 rows for 1 records of {genome}; give one row for each, in their order, those that are"
        " skipped included",
    ),
    "a stream": (
        ("-",),
        "standard input: counted first, to compare with the rows of {mask}, and a pipe can be read only once;"
        " write it to a file",
    ),
}


@pytest.mark.parametrize(("words", "message"), RUNS.values(), ids=RUNS)
def test_a_run_that_the_rows_dont_go_with_is_refused_before_the_model_is_loaded(
    tmp_path, folder, options, capsys, monkeypatch, words, message
):
    names = {
        "records": folder / "records.fa", "genome": folder / "genome.fa", "mask": folder / "mask.npy",
        "few": write(tmp_path / "few.bed", "c\t1\t20\nc\t30\t50\n"), "held": HELD,
    }  # fmt: skip
    monkeypatch.setattr("sparselrp_cli.runs.attribute.prepare_all", None)
    told = (str(word).format(**names) for word in words)
    assert attribute(*told, *options, "-t", "1@7", "-o", tmp_path / "o") == 1
    assert error_line(capsys).endswith(message.format(**names))
    assert left_behind(tmp_path) == ["few.bed"]


def test_variants_refuse_rows(tmp_path, folder, options, capsys):
    vcf = write(tmp_path / "v.vcf", "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    with vcf.open("a") as file:
        file.write(f"c\t40\tv\t{'ACGT'[BASES.flatten()[39]]}\t{'ACGT'[BASES.flatten()[39] - 1]}\t.\t.\t.\n")
    words = [word for word in options if word not in ("--formats", "h5")]
    assert command("variants", folder / "genome.fa", vcf, *words, "-t", "1@7", "-o", tmp_path / "v") == 1
    assert error_line(capsys).endswith(f"rows go with regions, not with variants; {HELD}")


def test_a_report_with_rows_is_wrong_usage(tmp_path, folder, options, capsys):
    words = (folder / "records.fa", *options, "-t", "1@7", "-o", tmp_path / "o", "--report")
    assert attribute(*words) == 2
    said = f"--report explains shuffled windows, too, which have no rows in {folder / 'mask.npy'}"
    assert said in " ".join(capsys.readouterr().err.split())


FILES = {
    "no file": (lambda path: None, "no such file"),
    "no array": (
        lambda path: path.write_bytes(b"nothing"),
        "corrupt, or not an array of numbers; save it with",
    ),
    "objects": (
        lambda path: np.savez(path, mask=np.array([{}], object)),
        "corrupt, or not an array of numbers; save it with numpy",
    ),
    "texts": (lambda path: np.savez(path, mask=np.array(["a"])), "holds <U1, not numbers; save an array of"),
    "complex": (lambda path: np.savez(path, mask=np.ones(3) * 1j), "holds complex128, not numbers; save an"),
    "one number": (lambda path: np.savez(path, mask=3.0), "holds no rows; the first axis is that of the"),
    "none": (lambda path: np.savez(path, mask=np.zeros((0, 4))), "holds no rows; the first axis is that of"),
    "NaN": (
        lambda path: np.savez(path, mask=np.array([[1, 2], [3, np.nan], [5, 6]])),
        "row 1 (counted from 0) isn't finite",
    ),
    "other names": (
        lambda path: np.savez(path, control=np.ones(3), state=np.ones(3)),
        "holds 'control', 'state', not 'mask'; name the array as the input",
    ),
}


@pytest.mark.parametrize(("make", "message"), FILES.values(), ids=FILES)
def test_a_file_that_holds_no_rows_is_refused_by_name(tmp_path, make, message):
    path = tmp_path / "rows.npz"
    make(path)
    with pytest.raises(ModelError) as caught:
        read_rows(RowsAsked("mask", path))
    assert str(caught.value).startswith(f"{path}: {message}")


def test_an_array_alone_in_its_file_may_have_any_name(tmp_path):
    np.savez(tmp_path / "rows.npz", arr=np.arange(3))
    assert read_rows(RowsAsked("mask", tmp_path / "rows.npz")).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("mask=a.npz", "a.npz"),
        ("mask=a/b=c.npy", "a/b=c.npy"),
        ("mask=2x3:1", None),
        ("mask=a.txt", None),
        ("=a.npz", None),
    ],
)
def test_a_text_names_a_file_by_its_ending(text, path):
    asked = asked_rows(text)
    assert (None if asked is None else str(asked.path)) == path
