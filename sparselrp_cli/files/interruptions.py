"""Signals that come while a library calls us back, whose exceptions it would swallow."""

import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
Handler = Callable[[int, FrameType | None], object]


class Interruptions:
    """Signals that came, for the handlers that were in force before."""

    def __init__(self) -> None:
        self.keeping = True
        self._handlers: dict[int, Handler] = {}
        self._came: deque[tuple[int, FrameType | None]] = deque()

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Keep a signal; once the block has ended, pass it on."""
        if self.keeping:
            self._came.append((number, frame))
        else:
            self._handlers[number](number, frame)

    def deliver(self) -> None:
        """Call the handlers of what came, where what they raise isn't lost."""
        while self._came:
            number, frame = self._came.popleft()
            self._handlers[number](number, frame)

    def install(self) -> None:
        """Take the place of the handlers that are in force; what is ignored stays ignored."""
        for number in SIGNALS:
            if callable(handler := signal.getsignal(number)):
                self._handlers[number] = handler
                signal.signal(number, self.receive)

    def leave(self) -> None:
        """Give the handlers their places back."""
        self.keeping = False
        for number, handler in self._handlers.items():
            signal.signal(number, handler)


@contextmanager
def kept_interruptions() -> Iterator[Interruptions]:
    """Keep what the handlers of SIGINT, SIGTERM and SIGUSR1 raise out of the block, until its end.

    A handler raises wherever Python's own code runs next. Where that is a function that a library has called,
    the library may take the exception for the end of the data. In the block signals are only noted; their
    handlers are called by `Interruptions.deliver`, and at the latest at its end, which then raises what they
    raise. On another thread than the main one, where no handler runs, nothing is done.

    Yields
    ------
    Interruptions
    """
    kept = Interruptions()
    if threading.current_thread() is not threading.main_thread():
        yield kept
        return
    try:
        kept.install()
        yield kept
    finally:
        kept.leave()
        kept.deliver()


@contextmanager
def cleaned_up(clean: Callable[[], object]) -> Iterator[None]:
    """Clean up at the end of a block, and once more where a signal came in the midst of it.

    Parameters
    ----------
    clean : function
        May be called twice; fails with nothing but what signals raise.
    """
    try:
        try:
            yield
        finally:
            clean()
    except BaseException:
        clean()
        raise


def let_go(error: BaseException) -> None:
    """End the blocks that a signal left before they could begin or end.

    What a handler raises in the few steps between a block and its `with` leaves the block as it is, until
    nobody knows of it any more: then Python ends it. The error knows of it, and who keeps the error.
    """
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        if (one := left.pop()) is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            left += [one.__cause__, one.__context__]
