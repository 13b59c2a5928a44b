"""Progress is shown on a terminal, and nowhere else."""

import io
import sys

import pytest

from sparselrp_cli.cli.progress import counter


class Screen(io.StringIO):
    """Standard error, on a terminal or not."""

    def __init__(self, *, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def shown(monkeypatch, total=12, *, terminal=True, quiet=False):
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with counter(total, "change", quiet=quiet) as advance:
        for _ in range(total // 4):
            advance(4)
    return screen.getvalue()


def test_what_is_done_is_counted_on_a_terminal(monkeypatch):
    said = shown(monkeypatch)
    assert "12/12" in said
    assert "change/s" in said


@pytest.mark.parametrize(
    "how",
    [{"terminal": False}, {"quiet": True}, {"total": 0}],
    ids=["in a log", "quietly", "nothing to do"],
)
def test_nothing_is_shown_elsewhere(monkeypatch, how):
    assert shown(monkeypatch, **how) == ""
