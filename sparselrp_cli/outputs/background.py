"""Writing while the next batch is computed."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from sparselrp_cli.outputs.rows import ArchiveRows

Writer = Callable[[ArchiveRows], None]


class BackgroundWriter:
    """Hands rows to writers, in order, one batch at a time, on another thread.

    Compression leaves the interpreter to others while it works. At most one batch waits.
    """

    def __init__(self, pool: ThreadPoolExecutor, writers: tuple[Writer, ...]) -> None:
        self._pool = pool
        self._writers = writers
        self._pending: Future[None] | None = None

    def put(self, rows: ArchiveRows) -> None:
        """Write rows after those before; raises what went wrong with those."""
        self.finish()
        self._pending = self._pool.submit(self._write, rows)

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

    def _write(self, rows: ArchiveRows) -> None:
        for write in self._writers:
            write(rows)


@contextmanager
def in_background(*writers: Writer) -> Iterator[BackgroundWriter]:
    """Write on another thread until the end of the block, which waits for it."""
    with ThreadPoolExecutor(1, thread_name_prefix="writer") as pool:
        yield BackgroundWriter(pool, writers)
