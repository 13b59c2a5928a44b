"""Text files as lines of bytes: plain, gzip, bgzip or standard input."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from sparselrp_cli.errors import InputError

_GZIP = b"\x1f\x8b"
_LONGEST_LINE = 1 << 30


def display_name(path: str) -> str:
    """Name an input in messages."""
    return "standard input" if path == "-" else Path(path).name


@contextmanager
def open_lines(path: str) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed where it is gzip.

    Raises
    ------
    InputError
        If it can't be opened, or is cut off or damaged while it is read.
    """
    name = display_name(path)
    try:
        raw = sys.stdin.buffer if path == "-" else Path(path).open("rb")
    except OSError as error:
        raise InputError(f"{path}: can't be opened ({(error.strerror or '').lower()})") from error
    try:
        zipped = raw.peek(2)[:2] == _GZIP
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if zipped else cast(IO[bytes], raw)
        yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{name}: the gzip file is cut off or damaged ({error}); get it again") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read ({(error.strerror or str(error)).lower()})") from error
    finally:
        if path != "-":
            raw.close()


def numbered_lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Give lines without their ends, numbered from 1.

    Raises
    ------
    InputError
        At a line of more than a gigabyte, or one that is binary.
    """
    number = 0
    while line := stream.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise InputError(f"{name} line {number}: longer than a gigabyte")
        if b"\0" in line:
            raise InputError(f"{name} line {number}: binary, not text")
        yield number, line.rstrip(b"\r\n")
