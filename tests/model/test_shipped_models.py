"""The shipped models load, are small, and score windows as their READMEs say."""

import gzip
import re
from pathlib import Path

import pytest
import torch

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.request import ModelRequest
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
