"""The shipped models load, are small, and score windows as their READMEs say."""

import gzip
import re
import shutil
from pathlib import Path

import pytest
import torch

from sparselrp_cli.cli.background import models_of_run
from sparselrp_cli.errors import ModelError
from sparselrp_cli.files.shipped import shipped
from sparselrp_cli.graph import loaded
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.shipped import place_of_model, shipped_models
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.sequences.one_hot import encode

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "models").glob("*/model.json"))
MOST_BYTES = 2_000_000
# | 15,009,700-15,010,300 | 3.21 | -1.02 | ... |
SCORED = re.compile(r"^\| (?P<start>[\d,]+)-(?P<end>[\d,]+) \|(?P<scores>( -?\d+\.\d+ \|)+)$", re.MULTILINE)


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def folder(request) -> Path:
    return request.param


@pytest.fixture(scope="module")
def model(folder) -> LoadedModel:
    return load_model(ModelRequest(str(folder)))


@pytest.fixture(scope="module")
def chromosome() -> bytes:
    with gzip.open(ROOT / "data" / "chr2R-15-21Mb.fa.gz") as stream:
        return b"".join(stream.read().split(b"\n")[1:])


def test_a_shipped_model_is_small(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) < MOST_BYTES


def test_every_layer_of_a_shipped_model_has_a_rule(model):
    graph = capture(model.module, model.example(1))
    graph.require_supported()
    PRESETS["epsilon-gamma"].resolve(graph)


def test_the_insulators_are_scored_as_their_readme_says(chromosome):
    folder = ROOT / "models" / "insulators-dm3"
    model = load_model(ModelRequest(str(folder)))
    rows = list(SCORED.finditer((folder / "README.md").read_text()))
    assert len(rows) == len(model.outputs[0].tasks) == 2
    for row in rows:
        start, end = (int(row[name].replace(",", "")) for name in ("start", "end"))
        x = torch.from_numpy(encode(chromosome[start:end]))[None].float()
        (scores,) = model.outputs_of(x)
        told = [float(text) for text in row["scores"].split("|") if text.strip()]
        assert scores[0].tolist() == pytest.approx(told, abs=0.006)


def test_every_shipped_model_has_its_name():
    assert shipped_models() == tuple(folder.name for folder in FOLDERS)


@pytest.mark.parametrize("load", [load_model, loaded.load_model, loaded.recall_model])
def test_a_shipped_model_is_loaded_by_its_name(folder, load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = load(ModelRequest(folder.name))
    assert model.name == folder.name
    assert model.files == (folder / "model.json", folder / "weights.safetensors")


@pytest.mark.parametrize(
    "reference",
    ["suhw", "SUHW-DM3", "./suhw-dm3", "models/suhw-dm3", "suhw-dm3/", "suhw-dm3:build", "..", ""],
)
def test_what_is_no_bare_name_of_a_shipped_model_stays_what_was_typed(reference, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place_of_model(reference) == reference


def test_a_local_folder_wins_over_a_shipped_model_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "models" / "insulators-dm3", "suhw-dm3")
    assert load_model(ModelRequest("suhw-dm3")).name == "insulators-dm3"


@pytest.mark.parametrize("kind", ["file", "empty folder"])
def test_whatever_lies_in_the_working_folder_wins(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Path("suhw-dm3")
    place.touch() if kind == "file" else place.mkdir()
    with pytest.raises(ModelError, match=r"not a model;|not a model folder"):
        load_model(ModelRequest("suhw-dm3"))


@pytest.mark.parametrize(
    ("reference", "named"),
    [("suhw", True), ("suhw-dm4", True), ("models/suhw-dm4", False)],
)
def test_an_unknown_name_is_answered_with_those_that_are_known(reference, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = "; shipped models are insulators-dm3, suhw-dm3" if named else ""
    with pytest.raises(ModelError, match=f"^{reference}: no such model folder or file{names}$"):
        load_model(ModelRequest(reference))


def test_the_model_of_a_run_by_name_is_found_again_for_its_null(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["sparselrp", "attribute", "x.fa", "-m", "suhw-dm3", "-o", "x"]
    monkeypatch.setattr("sparselrp_cli.runs.origin.command_of", lambda archive: command)
    assert [request.reference for request in models_of_run(tmp_path / "x.h5")] == ["suhw-dm3"]


def test_installed_files_are_looked_for_below_the_package(tmp_path, monkeypatch):
    from sparselrp_cli.files import shipped as module

    package = tmp_path / "sparselrp_cli"
    monkeypatch.setattr(module, "_PACKAGE", package)
    assert shipped("models") == tmp_path / "models"
    (package / "shipped").mkdir(parents=True)
    assert shipped("models") == package / "shipped" / "models"
