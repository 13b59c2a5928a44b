"""A pytest plugin: figures that are laid out and saved without being rendered, which takes longest.

For tests of the tables and texts around them; what figures show is tested where they are drawn.
"""

from pathlib import Path
from typing import IO

import pytest


def save_unrendered(_: object, file: Path | str | IO[bytes], **options: object) -> None:
    """Save nothing in a figure's place."""
    if isinstance(file, (Path, str)):
        Path(file).touch()


def leave_empty(_: object, path: Path) -> None:
    path.touch()


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render no figure during a test; those of an evaluation aren't even laid out, which takes a second."""
    # Most sessions of few tests draw nothing.
    from matplotlib.figure import Figure

    from sparselrp_cli.evaluation import figures

    monkeypatch.setattr(Figure, "savefig", save_unrendered)
    for name in ("plot_metrics", "plot_curves"):
        monkeypatch.setattr(figures, name, leave_empty)
