"""Writing while the next batch is computed."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from sparselrp_cli.runs.recording import Done

Writer = Callable[[Done], None]


class BackgroundWriter:
    """Hands batches to a writer, in order, one at a time, on another thread.

    Compression leaves the interpreter to others while it works. At most one batch waits.
    """

    def __init__(self, pool: ThreadPoolExecutor, write: Writer) -> None:
        self._pool = pool
        self._write = write
        self._pending: Future[None] | None = None

    def put(self, done: Done) -> None:
        """Write a batch after those before; raises what went wrong with those."""
        self.finish()
        self._pending = self._pool.submit(self._write, done)

    def finish(self) -> None:
        """Wait until everything is written.

        Raises
        ------
        OutputError
            If it can't be.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


@contextmanager
def in_background(write: Writer) -> Iterator[BackgroundWriter]:
    """Write on another thread until the end of the block, which waits for it."""
    with ThreadPoolExecutor(1, thread_name_prefix="writer") as pool:
        yield BackgroundWriter(pool, write)
