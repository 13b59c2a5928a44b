"""Files that appear under their name only when they are complete."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.interruptions import kept_interruptions

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
HIDDEN = ".sparselrp-"
"""How the names begin of what isn't complete yet."""
# File systems without locks: nothing can be told there, and the run goes on.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class TakenError(OutputError):
    """Another process is writing the file."""


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
def replacing(path: Path | str, ending: str = "tmp") -> Iterator[Path]:
    """Write a file under a hidden name beside it, and rename it when the block ends well.

    After any failure, an interruption included, the hidden file is removed and whatever stood at `path` is as
    it was. What a killed process left of the hidden file is written over by the next. A symbolic link is
    followed: the file that it points to is replaced.

    Parameters
    ----------
    path : Path or str
        The final name.
    ending : str
        Of the hidden name, for writers that go by it.

    Yields
    ------
    Path
        An existing, empty file in the same folder.

    Raises
    ------
    OutputError
        If the file can't be written, or another process is writing it (`TakenError`); any `OSError` in the
        block is taken for that.
    """
    with reported(Path(path)), temporary(path, ending) as hidden:
        yield hidden


@contextmanager
def temporary(path: Path | str, ending: str = "tmp") -> Iterator[Path]:
    """As `replacing`, but errors in the block stay as they are, for blocks that run other code too."""
    path = Path(path)
    with reported(path):
        final = Path(os.path.realpath(path))
        _refuse_what_is_no_file(final, path)
        hidden = hidden_name(final, ending)
    with ExitStack() as stack:
        with reported(path):
            descriptor = stack.enter_context(own(hidden))
        if descriptor is None:
            raise TakenError(
                f"{path} is being written by another process; wait for it, or choose another name"
            )
        with reported(path):
            os.ftruncate(descriptor, 0)
        yield hidden
        with reported(path):
            # Some file systems say only now that the disk is full.
            os.fsync(descriptor)
            hidden.replace(final)


@contextmanager
def own(path: Path) -> Iterator[int | None]:
    """Make a file of ours alone for a block, locked, and remove it at the end unless it has been renamed.

    A signal's handler raises between any two steps. So signals wait until it is known that the file is there,
    and where one comes while it is being removed, it is removed then.

    Yields
    ------
    int or None
        A descriptor; None if another process has the file.

    Raises
    ------
    OSError
        If it can't be made.
    """
    descriptor = None
    try:
        try:
            with kept_interruptions():
                descriptor = open_locked(path)
            yield descriptor
        finally:
            _remove(path, descriptor)
    except BaseException:
        _remove(path, descriptor)
        raise
    finally:
        # All is on the disk since the sync, whatever closing says; and it lets the lock go.
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)


def _remove(path: Path, descriptor: int | None) -> None:
    """Remove a file that we hold; what another process has made under its name since is left alone."""
    with suppress(OSError):
        if descriptor is not None and _is_at(descriptor, path):
            path.unlink()


def is_same_file(a: Path, b: Path) -> bool:
    """Whether two paths lead to one file that is there."""
    return a.exists() and b.exists() and a.samefile(b)


def require_other_file(output: Path, source: Path) -> None:
    """Stop where what is to be written would take the place of what it is made of.

    Raises
    ------
    OutputError
    """
    if is_same_file(output, source):
        raise OutputError(f"{output} is the archive that is read, and would be lost; choose another --output")


def hidden_name(path: Path, ending: str) -> Path:
    """Give the hidden file that belongs to a file, always the same; short, so that every name has one."""
    digest = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()
    return path.with_name(f"{HIDDEN}{digest}.{ending}")


def open_locked(path: Path) -> int | None:
    """Open a file for writing, made where there is none, and lock it.

    Returns
    -------
    int or None
        A descriptor, which holds the lock until it is closed; None if another holds it.

    Raises
    ------
    OSError
    """
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
        try:
            if not _lock(descriptor):
                os.close(descriptor)
                return None
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # Its last holder has removed or renamed the file that we opened: that one is no longer ours to write.
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


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
