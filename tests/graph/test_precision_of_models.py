"""Models that compute in less precision than they are given: by autocast, or by casts in forward."""

import logging

import pytest
import torch
from test_models_that_write import LENGTH, Plain
from torch import Tensor, nn

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.loaded import capture_model
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import LoadedModel


class Autocast(Plain):
    dtype = torch.bfloat16

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=self.dtype):
            return super().forward(x)


class AutocastToHalf(Autocast):
    dtype = torch.float16


class AutocastAndBack(Autocast):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


class AutocastOfAPart(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().hidden(x).float()


class CastsItself(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x).to(torch.bfloat16).to(x.dtype)


class AutocastOff(Plain):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(x)


class AutocastOfAnotherDevice(Plain):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cuda", dtype=torch.float16):
            return super().forward(x)


def loaded(made: type[Plain]) -> LoadedModel:
    return LoadedModel("net", made().eval(), LENGTH, InputLayout(), (), ())


def said(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "sparselrp" and r.levelno >= logging.INFO]


REDUCED = [
    (Autocast, "bfloat16"), (AutocastToHalf, "float16"), (AutocastAndBack, "bfloat16"),
    (AutocastOfAPart, "bfloat16"), (CastsItself, "bfloat16"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "dtype"), REDUCED, ids=lambda v: getattr(v, "__name__", v))
def test_a_model_that_computes_in_less_is_explained_in_its_own_precision_and_said(made, dtype, caplog):
    caplog.set_level(logging.INFO, "sparselrp")
    model = loaded(made)
    graph = capture_model(model)
    x = model.example(3)
    torch.testing.assert_close(graph.evaluate(x)[graph.outputs[0].node], Plain().eval()(x))
    for line in said(caplog):
        assert line.startswith(
            f"net computes in {dtype} itself (torch.autocast or a cast in its forward) and is explained in"
            " float32; its own outputs differ by up to "
        )
    assert len(said(caplog)) == 1


@pytest.mark.parametrize("made", [AutocastOff, AutocastOfAnotherDevice])
def test_autocast_that_does_nothing_is_nothing_to_say(made, caplog):
    caplog.set_level(logging.INFO, "sparselrp")
    model = loaded(made)
    graph, x = capture_model(model), model.example(3)
    torch.testing.assert_close(graph.evaluate(x)[graph.outputs[0].node], Plain().eval()(x))
    assert said(caplog) == []


def test_a_model_that_insists_on_float32_is_traced_without_being_called(monkeypatch):
    """Each call of a large model takes minutes and gigabytes."""

    class Insists(nn.Module):
        def forward(self, x: Tensor, scale: float = 2.0) -> Tensor:
            assert x.dtype == torch.float32
            return scale * x.mean((1, 2))

    asked: list[object] = []
    monkeypatch.setattr("sparselrp_cli.graph.capture.parts_advice", lambda *given: asked.append(given))
    graph = capture(Insists().eval(), torch.rand(1, 4, 20))

    assert graph.unsupported() == ()
    assert asked == []
