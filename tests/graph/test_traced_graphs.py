"""The graphs that shipped models bring along are what tracing gives, and no run traces these models again."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sparselrp_cli.files.shipped import shipped
from sparselrp_cli.graph import loaded
from sparselrp_cli.graph.loaded import capture_model, recall_model
from sparselrp_cli.graph.operation import tensors_of
from sparselrp_cli.graph.packed import traced
from sparselrp_cli.graph.packed.traced import TRACED, traced_model, traced_text
from sparselrp_cli.graph.packed.writing import Packing
from sparselrp_cli.model import shipped as model_shipped
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "models").glob("*/model.json"))
TRACING = ("torch.export._trace", "torch._dynamo", "sympy")


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request) -> Path:
    return request.param


@pytest.fixture
def copied(folder, tmp_path, monkeypatch) -> Path:
    """A shipped model whose files may be changed."""
    copy = tmp_path / "models" / folder.name
    shutil.copytree(folder, copy)
    monkeypatch.setattr(model_shipped, "shipped", lambda place: tmp_path / place)
    return copy


def test_what_lies_beside_a_shipped_model_is_what_tracing_gives_today(folder):
    text_for = runpy.run_path(str(ROOT / "models" / "trace.py"))["text_for"]
    kept, today = (json.loads(text) for text in ((folder / TRACED).read_text(), text_for(folder)))
    del kept["tool"], today["tool"]
    assert kept == today, "run `python models/trace.py`"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_graph_of_a_shipped_model_is_that_of_its_modules_to_the_last_digit(folder, dtype):
    request = ModelRequest(folder.name)
    models = recall_model(request), load_model(request)
    ours, theirs = (capture_model(model).to(torch.device("cpu"), dtype) for model in models)
    assert len(ours.nodes) == len(theirs.nodes)
    for mine, other in zip(ours.nodes, theirs.nodes, strict=True):
        assert (mine.name, mine.inputs, mine.where) == (other.name, other.inputs, other.where)
        pairs = zip(tensors_of(mine.operation), tensors_of(other.operation), strict=True)
        assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in pairs)
    said = [(m.name, m.window, m.layout, m.outputs, m.files) for m in models]
    assert said[0] == said[1]


@pytest.mark.parametrize("named", ["name", "folder", "model.json"])
def test_a_shipped_model_is_known_by_name_and_by_place(folder, named, monkeypatch):
    monkeypatch.setattr(loaded.loading, "load_model", None)
    place = {"name": folder.name, "folder": folder, "model.json": folder / "model.json"}[named]
    assert recall_model(ModelRequest(str(place))).files == (
        folder / "model.json",
        folder / "weights.safetensors",
    )


@pytest.mark.parametrize("changed", ["model.json", "weights.safetensors"])
def test_a_model_that_was_changed_is_traced_anew(copied, changed):
    assert traced_model(ModelRequest(str(copied))) is not None
    with (copied / changed).open("ab") as file:
        file.write(b" ")
    assert traced_model(ModelRequest(str(copied))) is None


def test_a_graph_beside_a_model_of_a_stranger_is_not_read(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / folder.name)
    assert traced_model(ModelRequest(str(copy))) is None


@pytest.mark.parametrize(
    "asked",
    [
        {"window": 1000},
        {"layout": "NLC"},
        {"inputs": ("mask=1:1",)},
        {"tokens": "ids.json"},
        {"weights": Path("w")},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_a_model_that_is_asked_for_otherwise_is_traced_so(asked):
    assert traced_model(ModelRequest(str(FOLDERS[0]), **asked)) is None


def test_what_is_in_the_graph_anyway_may_be_asked_for():
    model = traced_model(ModelRequest(str(FOLDERS[0]), window=600, layout="NCL", alphabet="TGCA"))
    assert model is not None
    assert model.layout == InputLayout("TGCA", "NCL")


def test_a_constant_that_is_made_in_another_way_is_refused(folder):
    model = load_model(ModelRequest(str(folder)))
    graph = capture_model(model).to(torch.device("cpu"), torch.float64)  # holds all its digits
    for tensor in tensors_of(graph.nodes[0].operation):
        tensor += 1
    packing = Packing(model.name, model.window, model.layout, model.outputs, graph)
    with pytest.raises(
        traced.ModelError, match=r"^constant 'conv1d\.weight' isn't a tensor of the weights, nor"
    ):
        traced_text(packing, model.module, folder)


def test_a_run_of_a_shipped_model_imports_nothing_that_traces(tmp_path):
    """In a process of its own, with no cache of graphs."""
    capture_model(load_model(ModelRequest("suhw-dm3")))
    assert set(TRACING) <= set(sys.modules)
    sequence = shipped("data/suhw-windows.fa").read_text().split(">")[1]
    (tmp_path / "one.fa").write_text(f">{sequence}")
    code = (
        "import sys; from sparselrp_cli.cli.main import run; code = run();"
        f"print(code, sorted(set({TRACING}) & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "attribute", "one.fa", "-m", "suhw-dm3", "-o", "one", "-q"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "SPARSELRP_CACHE_DIR": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "0 []"
