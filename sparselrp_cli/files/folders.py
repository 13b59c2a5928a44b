"""The folder of what is written: made where it isn't there, and left only with something in it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def made_folders(folder: Path) -> Iterator[None]:
    """Make a folder and those above it that aren't there, for a block that writes into it.

    After a failure, an interruption included, those that were made and are empty are removed. What a run
    keeps in them to go on with keeps them.

    Raises
    ------
    OSError
        If one can't be made.
    """
    made = []
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(exist_ok=True)  # another run may have made it since
            made.append(path)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in reversed(made):
                path.rmdir()
        raise
