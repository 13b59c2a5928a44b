"""Folders for temporary files and for what libraries keep, where none can be written."""

import logging
import os
import tempfile
import warnings

UNKEPT = "no locator available"
"""What numba says where no folder can keep what it compiles."""


def settle_scratch() -> None:
    """Name a folder for temporary files where none can be written, for libraries that ask and write nothing.

    torch asks for one as it is loaded, and fails. Who writes there meets the system's error.
    """
    if not has_scratch():
        tempfile.tempdir = os.environ.get("TMPDIR") or "/tmp"


def has_scratch() -> bool:
    """Whether there is a folder for temporary files that can be written."""
    before, tempfile.tempdir = tempfile.tempdir, None
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = before
        return False
    tempfile.tempdir = before or tempfile.tempdir
    return True


def hush_libraries() -> None:
    """Keep to themselves what libraries say of folders that they would like to write and can do without.

    numba misses /dev/shm, Matplotlib a folder for its list of fonts.
    """
    warnings.filterwarnings("ignore", "Could not obtain multiprocessing lock")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def missing_scratch(error: BaseException) -> str | None:
    """Say what to do about an error that means that a library can't write anywhere; None for all others."""
    words = " ".join(str(error).split())
    if UNKEPT in words:
        return f"numba finds no folder to keep what it compiles ({words[:80]}); set NUMBA_CACHE_DIR to one"
    if isinstance(error, OSError) and not has_scratch():
        return f"no folder for temporary files can be written ({words[:80]}...); set TMPDIR to one that can"
    return None
