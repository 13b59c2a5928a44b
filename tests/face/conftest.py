"""What tests of the face share."""

import pytest

from sparselrp_cli.face import engine


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the modules that were traced, one for each time."""
    traced: list[str] = []
    capture = engine.capture_model

    def counted(model):
        traced.append(model.name)
        return capture(model)

    monkeypatch.setattr(engine, "capture_model", counted)
    return traced
