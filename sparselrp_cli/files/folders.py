"""The folder of what is written: made where it isn't there, and left only with something in it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sparselrp_cli.files.interruptions import kept_interruptions


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
    made: list[Path] = []
    try:
        with kept_interruptions():  # what is made is known before a signal's handler raises
            for path in (*reversed(folder.parents), folder):
                if not path.exists():
                    path.mkdir(exist_ok=True)  # another run may have made it since
                    made.append(path)
        yield
    except BaseException:
        with suppress(OSError):
            for path in reversed(made):
                path.rmdir()
        raise
