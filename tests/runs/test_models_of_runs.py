"""The models of a run: who asks nothing but their graphs doesn't keep their modules."""

import weakref
from pathlib import Path

import torch

from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.runs.models import only_graphs, prepare_all
from sparselrp_cli.settings.run import RunSettings

SUHW = Path(__file__).parents[2] / "models" / "suhw-dm3"


def test_the_modules_go_and_the_graphs_explain_as_before(monkeypatch):
    monkeypatch.setenv("SPARSELRP_CACHE_DIR", "")
    models = prepare_all([ModelRequest(str(SUHW))], RunSettings(), torch.device("cpu"))
    module = weakref.ref(models[0].model.module)
    x = models[0].model.example(2)
    (before,) = models[0].explainer.explain(x)
    left = only_graphs(models)
    assert module() is None
    assert models == []
    (after,) = left[0].explainer.explain(x)
    assert torch.equal(after.hypothetical, before.hypothetical)
    assert (left[0].label, left[0].model.window) == ("model 1 ('suhw-dm3')", 600)
