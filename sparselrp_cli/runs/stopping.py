"""Stopping in good order when a scheduler says that time is up."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sparselrp_cli.errors import Stopped

logger = logging.getLogger("sparselrp")

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether SIGTERM or SIGUSR1 came.

    Outside of `deferred` the signal raises `Stopped` where it finds the program; within, it is remembered,
    and a second one raises.

    Attributes
    ----------
    requested : bool
    """

    def __init__(self) -> None:
        self.requested = False
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
        if not self._deferred or self.requested:
            raise Stopped
        self.requested = True
        logger.warning("%s: finishing the batch", signal.Signals(number).name)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Listen to the signals until the end of the block, on the main thread."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
