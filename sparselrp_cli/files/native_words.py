"""What libraries in C and Rust print in place of an error that their caller could handle.

The writer of bigBeds may print that a write failed, and go on: its words are the only sign of it.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

STREAMS = (1, 2)
OURS = b"sparselrp: "
PROBE = bytes(1 << 16)
_NUMBER = re.compile(rb"\(os error (\d+)\)")


def os_error_in(words: bytes) -> OSError | None:
    """Give the system's error that Rust's words name; None where they name none.

    Parameters
    ----------
    words : bytes
        Such as ``No space left on device (os error 28)``.
    """
    if (found := _NUMBER.search(words)) is None:
        return None
    number = int(found[1])
    return OSError(number, os.strerror(number))


@contextmanager
def kept_words(path: Path) -> Iterator[None]:
    """Keep back what libraries print in the block, and raise the system's error that they name.

    An error of the block that isn't the system's is taken for one where the words name it, or where the file
    can't be written now. Lines of our own log are passed on at the end, and all others if nothing went wrong.

    Parameters
    ----------
    path : Path
        What is written in the block; it is of no use if that fails.

    Raises
    ------
    OSError
        If an error of the system was printed: in place of an `OSError` of the block, or where it met none.
    """
    words: list[_Words] = []
    try:
        with ExitStack() as stack:
            for number in STREAMS:
                stack.enter_context(_aside(number, words))
            yield
    except OSError as error:
        _pass_on(words, ours=True)
        failure = None if error.errno else _failure(words) or _probed(path)
        if failure is None:
            raise
        raise failure from error
    except BaseException:
        _pass_on(words, ours=True)
        raise
    failure = _failure(words)
    _pass_on(words, ours=failure is not None)
    if failure is not None:
        raise failure


@dataclass(frozen=True, slots=True)
class _Words:
    """What came on a standard stream."""

    stream: int
    text: bytes


@contextmanager
def _aside(stream: int, words: list[_Words]) -> Iterator[None]:
    """Let a standard stream be a file in memory, and give what it got; where that can't be, do nothing."""
    try:
        before = os.dup(stream)
    except OSError:  # there is no such stream
        yield
        return
    try:
        memory = os.fdopen(os.memfd_create("words"), "w+b")
    except (AttributeError, OSError):
        os.close(before)
        yield
        return
    with memory:
        try:
            _flush()
            os.dup2(memory.fileno(), stream)
            yield
        finally:
            _flush()
            os.dup2(before, stream)
            os.close(before)
            words.append(_Words(stream, _content(memory)))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _content(memory: IO[bytes]) -> bytes:
    memory.seek(0)
    return memory.read()


def _failure(words: list[_Words]) -> OSError | None:
    return os_error_in(b"".join(each.text for each in words))


def _probed(path: Path) -> OSError | None:
    """Write to a file, and give the error that this meets."""
    try:
        with path.open("ab") as file:
            file.write(PROBE)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _pass_on(words: list[_Words], *, ours: bool) -> None:
    """Write what was kept to its streams; only our own lines, if need be."""
    for each in words:
        lines = each.text.splitlines(keepends=True)
        with suppress(OSError):
            os.write(each.stream, b"".join(line for line in lines if not ours or OURS in line))
