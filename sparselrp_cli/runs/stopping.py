"""Stopping in good order when a scheduler says that time is up."""

import logging
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sparselrp_cli.errors import Stopped

logger = logging.getLogger("sparselrp")

PARENT = "SPARSELRP_PARENT"
"""Environment variable with the number of the pipe that `end_with_parent` watches."""
GRACE = 10.0
"""Seconds that stopping in good order may take after the parent's end."""
STOPPED = 75
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether SIGTERM or SIGUSR1 came.

    Outside of `deferred` the signal raises `Stopped` where it finds the program; within, it is remembered,
    and a second one raises.

    Attributes
    ----------
    requested : bool
    came : KeyboardInterrupt or None
        What a signal, SIGINT too, was to end the program with.
    """

    def __init__(self) -> None:
        self.requested = False
        self.came: KeyboardInterrupt | None = None
        self._deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the block look at `requested` when it suits."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def receive(self, number: int, _: FrameType | None) -> None:
        """Handle a signal."""
        self.came = Stopped()
        if not self._deferred or self.requested:
            raise self.came
        self.requested = True
        logger.warning("%s: finishing the batch", signal.Signals(number).name)

    def interrupt(self, _: int, __: FrameType | None) -> None:
        """Handle SIGINT."""
        self.came = KeyboardInterrupt()
        raise self.came

    def check(self) -> None:
        """Raise what a signal was to end the program with, if that was lost on the way.

        A handler may find the program in a place whose exceptions are lost, such as a destructor. So a run
        asks after each batch, and before its files become final.

        Raises
        ------
        Stopped, KeyboardInterrupt
        """
        if self.came is not None and not self.requested:
            raise self.came


def end_with_parent() -> None:
    """Where a command of ours has started this one, end when that one ends, however it does.

    It hands over the reading end of a pipe, to which nobody writes. A thread waits there for the end of the
    file, and stops this process as SIGTERM does, or at once where that takes too long.
    """
    try:
        pipe = int(os.environ.get(PARENT, ""))
        is_pipe = stat.S_ISFIFO(os.fstat(pipe).st_mode)
    except (ValueError, OSError):
        return
    if is_pipe:
        threading.Thread(target=_wait_for_end, args=(pipe,), name="parent", daemon=True).start()


def _wait_for_end(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(STOPPED)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Listen to the signals until the end of the block, on the main thread.

    What a signal was to end the program with is raised at the latest at the end of the block.

    Raises
    ------
    Stopped, KeyboardInterrupt
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    with _quiet_where_lost(request):
        yield from _listening(request)


def _listening(request: StopRequest) -> Iterator[StopRequest]:
    before = {number: signal.signal(number, request.receive) for number in SIGNALS}
    # Who ignores Ctrl-C, as a job in the background does, goes on ignoring it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, request.interrupt)
    try:
        yield request
        if request.came is not None:
            raise request.came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet_where_lost(request: StopRequest) -> Iterator[None]:
    """Let Python say nothing of what fails in a destructor once a signal has come.

    What its handler raises there is lost, and raised later; and who was cut short there may fail once more.
    """
    before = sys.unraisablehook

    def tell(lost: "sys.UnraisableHookArgs") -> None:
        if request.came is None:
            before(lost)

    sys.unraisablehook = tell
    try:
        yield
    finally:
        sys.unraisablehook = before
