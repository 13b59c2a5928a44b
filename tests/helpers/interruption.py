"""A pytest plugin: SIGTERM ends the session as an interruption, never as a test that failed.

A command that a test calls listens to SIGTERM itself and ends in good order, so that the test would fail and
the session go on. Here a signal from outside is noted first, and the test's verdict is thrown away.
"""

import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from sparselrp_cli.runs.stopping import StopRequest


class Interruption:
    """Whether SIGTERM came from outside, and the end of the session if it did."""

    def __init__(self) -> None:
        self.came = False

    def receive(self, number: int, _: FrameType | None) -> None:
        """Handle SIGTERM outside of commands."""
        self.came = True
        self.leave()

    def leave(self) -> None:
        if self.came:
            pytest.exit("SIGTERM")

    def note_what_commands_receive(self, patch: pytest.MonkeyPatch) -> None:
        """Let a command handle SIGTERM as ever, but note it."""
        handle = StopRequest.receive

        def receive(request: StopRequest, number: int, frame: FrameType | None) -> None:
            # The system's signals find the program in some frame; those of `send_to_itself` have none.
            self.came = self.came or (number == signal.SIGTERM and frame is not None)
            handle(request, number, frame)

        patch.setattr(StopRequest, "receive", receive)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        """Give no verdict on a test that was interrupted."""
        self.leave()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Iterator[None]:
        """Give no report on a file that was interrupted: its code may have caught what ends the session."""
        report = yield
        self.leave()
        return report


def pytest_configure(config: pytest.Config) -> None:
    interruption, patch = Interruption(), pytest.MonkeyPatch()
    interruption.note_what_commands_receive(patch)
    config.add_cleanup(patch.undo)
    config.pluginmanager.register(interruption, "interruption")
    signal.signal(signal.SIGTERM, interruption.receive)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, as in a shell; a worker and a job in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def send_to_itself(number: int) -> None:
    """Send this process a signal that the test expects, which isn't the end of the session."""
    before: Any = signal.getsignal(number)
    receive = before if callable(before) else signal.default_int_handler
    signal.signal(number, lambda sent, _: receive(sent, None))
    try:
        signal.raise_signal(number)
    finally:
        signal.signal(number, before)
