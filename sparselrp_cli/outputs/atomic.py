"""Files that appear under their name only when they are complete."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sparselrp_cli.errors import OutputError

REMEDIES = {
    errno.ENOSPC: "no space is left on the disk; free some, or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space, or write elsewhere",
    errno.EFBIG: "the file grew beyond the size allowed here; raise the limit, or write elsewhere",
    errno.EACCES: "permission denied; write to a folder of your own",
    errno.EPERM: "permission denied; write to a folder of your own",
    errno.EROFS: "the file system is read-only; write elsewhere",
    errno.ENOENT: "the folder doesn't exist; create it first",
    errno.ENOTDIR: "a part of the path isn't a folder; choose another path",
    errno.EISDIR: "a folder has this name; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn an `OSError` met while writing `path` into one line with the remedy.

    Raises
    ------
    OutputError
        In place of any `OSError` in the block.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} can't be written: {_remedy(error)}") from error


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Write a file under a hidden name beside it, and rename it when the block ends well.

    After any failure, an interruption included, the hidden file is removed and whatever stood at `path` is as
    it was. A symbolic link is followed: the file that it points to is replaced.

    Parameters
    ----------
    path : Path or str
        The final name.

    Yields
    ------
    Path
        An existing, empty file in the same folder.

    Raises
    ------
    OutputError
        If the file can't be written; any `OSError` in the block is taken for that.
    """
    with reported(Path(path)), temporary(path) as hidden:
        yield hidden


@contextmanager
def temporary(path: Path | str) -> Iterator[Path]:
    """As `replacing`, but errors in the block stay as they are, for blocks that run other code too."""
    path = Path(path)
    with reported(path):
        final = Path(os.path.realpath(path))
        _refuse_what_is_no_file(final, path)
        hidden = _created_beside(final)
    try:
        yield hidden
        with reported(path):
            _to_disk(hidden)
            hidden.replace(final)
    except BaseException:
        with suppress(OSError):
            hidden.unlink()
        raise


def sha256(path: Path | str) -> str:
    """Give the SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remedy(error: OSError) -> str:
    if error.errno in REMEDIES:
        return REMEDIES[error.errno]
    return " ".join((error.strerror or str(error)).split()) + "; check the disk, or write elsewhere"


def _refuse_what_is_no_file(final: Path, path: Path) -> None:
    """Renaming over a folder fails after the work is done, and renaming over a device destroys it."""
    if final.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    try:
        exists = bool(final.lstat())
    except FileNotFoundError:
        exists = False
    if exists and not final.is_file():
        raise OutputError(f"{path} can't be written: it is a device or a pipe; name a regular file")


def _created_beside(final: Path) -> Path:
    # The hidden name is short, so that every name the file system takes can be written.
    hidden = final.with_name(f".sparselrp-{secrets.token_hex(8)}.tmp")
    os.close(os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return hidden


def _to_disk(path: Path) -> None:
    """Wait until the bytes are on the disk: some file systems say only then that it is full."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
