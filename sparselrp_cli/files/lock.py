"""One run at a time under a prefix, also on file systems that several machines share."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import hidden_name, own, reported
from sparselrp_cli.files.folders import made_folders


@contextmanager
def locked(prefix: Path) -> Iterator[None]:
    """Hold a prefix: nobody else writes files under it until the end of the block.

    Its folder is made where there is none; see `made_folders`. The system lets the lock go when the process
    ends, however it ends. The hidden file that carries it is removed at the end of the block.

    Raises
    ------
    OutputError
        If another process holds it.
    """
    with ExitStack() as folders:
        with reported(prefix):
            folders.enter_context(made_folders(prefix.parent))
        with _held(prefix):
            yield


@contextmanager
def _held(prefix: Path) -> Iterator[None]:
    path = hidden_name(prefix, "lock")
    with ExitStack() as stack:
        with reported(prefix):
            descriptor = stack.enter_context(own(path))
        if descriptor is None:
            raise OutputError(
                f"another run is writing {prefix}.*{_holder(path)}; wait for it, or choose another --output"
            )
        # Who holds it is a help for others; the lock holds without.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield


def _holder(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:200]
    except OSError:
        return ""
    return f" ({text})" if text.isprintable() and text else ""
