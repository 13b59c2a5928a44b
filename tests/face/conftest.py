"""What tests of the face share."""

import pytest

from sparselrp_cli.face import engine
from sparselrp_cli.graph import capture as capturing
from sparselrp_cli.graph import traced_model


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the modules that were traced, one for each time."""
    traced: list[str] = []
    capture = engine.capture_model

    def counted(model):
        traced.append(model.name)
        return capture(model)

    monkeypatch.setattr(engine, "capture_model", counted)
    # Networks aren't known again by what the tests' own cache looks at.
    monkeypatch.setattr(traced_model, "capture", capturing.capture)
    return traced
