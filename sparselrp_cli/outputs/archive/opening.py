"""Opening an archive, with one line for what can't be."""

from pathlib import Path

import h5py

from sparselrp_cli.errors import OutputError

AGAIN = "copy it again, or make it again with `sparselrp attribute`"


def opened(path: Path) -> h5py.File:
    """Open an archive to read it.

    Raises
    ------
    OutputError
        If there is none, or it can't be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OutputError(
            f"{path}: a pipe, and an archive is read at random places; write it to a file first"
        )
    if not path.is_file():
        raise OutputError(f"{path}: no such file; give the PREFIX.h5 of a run")
    try:
        return h5py.File(path, "r", locking="best-effort")
    except PermissionError as error:
        raise OutputError(f"{path} can't be read: permission denied") from error
    except OSError as error:
        raise OutputError(f"{path} isn't an HDF5 file, or is cut off ({one_line(error)}); {AGAIN}") from error


def one_line(error: BaseException) -> str:
    """Give the words of an error in one line."""
    return " ".join(str(error).split())
