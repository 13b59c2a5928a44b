"""A pytest plugin: a folder of its own for what numba compiles in a test."""

from pathlib import Path

import pytest


def add(x: int, y: int) -> int:
    """Stand for a loop."""
    return x + y


@pytest.fixture
def loops_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where numba keeps the loops that are made during a test."""
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path
