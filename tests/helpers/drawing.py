"""A pytest plugin: figures that are laid out and saved without being rendered, which takes longest.

For tests of the tables and texts around them; what figures show is tested where they are drawn.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from matplotlib.figure import Figure


def save_unrendered(_: Figure, file: Path | str | IO[bytes], **options: object) -> None:
    """Save nothing in a figure's place."""
    if isinstance(file, (Path, str)):
        Path(file).touch()


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render no figure during a test."""
    monkeypatch.setattr(Figure, "savefig", save_unrendered)


@pytest.fixture(scope="module")
def unrendered_in_module() -> Iterator[None]:
    """Render no figure as long as the tests of a module, and what they share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save_unrendered)
        yield
