"""Opening text inputs: plain, gzip or bgzip, from a file, a pipe or standard input."""

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, cast

from sparselrp_cli.errors import InputError

Compression = Literal["plain", "gzip", "bgzip"]

# What a reader may meet in place of text: the first bytes, what they are, and what to do.
FOREIGN = (
    (b"BZh", "bzip2", "decompress it with bunzip2 first"),
    (b"\xfd7zXZ\0", "xz", "decompress it with unxz first"),
    (b"\x28\xb5\x2f\xfd", "zstd", "decompress it with unzstd first"),
    (b"PK\x03\x04", "zip", "unzip it first"),
    (b"\x1a\x41\x27\x43", "2bit", "convert it with twoBitToFa first"),
    (b"\x43\x27\x41\x1a", "2bit", "convert it with twoBitToFa first"),
    (b"CRAM", "CRAM", "give FASTA or BED"),
    (b"\x89HDF", "HDF5", "give FASTA or BED"),
    (b"\xeb\xf2\x89\x87", "bigBed", "convert it with bigBedToBed first"),
    (b"\x87\x89\xf2\xeb", "bigBed", "convert it with bigBedToBed first"),
)
PEEK = 18
"""Bytes that tell bgzip from gzip: a bgzip block starts with a fixed header whose extra field is BC."""


def display_name(path: str) -> str:
    """Name an input in a message."""
    return "standard input" if path == "-" else path


def is_regular(path: str) -> bool:
    """Say whether an input can be read more than once: a file, not a pipe."""
    return path != "-" and Path(path).is_file()


@contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """Open an input for reading, decompressed.

    Parameters
    ----------
    path : str
        A file or a pipe; ``-`` is standard input.

    Raises
    ------
    InputError
        If it doesn't exist, can't be read, is of a foreign format, or its compressed data are damaged; also in
        place of any error of reading met in the block.
    """
    with reported(path), _opened(path) as raw:
        if detect(raw, path) == "plain":
            yield raw
        else:
            with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                yield cast(BinaryIO, io.BufferedReader(unpacked, 1 << 18))  # type: ignore[type-var]


@contextmanager
def reported(path: str) -> Iterator[None]:
    """Turn what reading an input can raise into one line with the remedy."""
    name = display_name(path)
    try:
        yield
    except EOFError as error:
        raise InputError(f"{name} is cut off: its compressed data end early; copy it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{name} is damaged: its compressed data can't be unpacked; copy it again") from error
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file; check the path") from error
    except PermissionError as error:
        raise InputError(f"{name} can't be read: permission denied; ask its owner") from error
    except IsADirectoryError as error:
        raise InputError(f"{name} is a folder; name a file in it") from error
    except OSError as error:
        raise InputError(f"{name} can't be read: {error.strerror or error}; check the disk") from error


def detect(stream: io.BufferedReader, path: str) -> Compression:
    """Tell plain text, gzip and bgzip apart by the first bytes, which stay unread.

    Raises
    ------
    InputError
        If they are those of a foreign format.
    """
    head = _peek(stream)
    for magic, kind, remedy in FOREIGN:
        if head.startswith(magic):
            raise InputError(f"{display_name(path)} is a {kind} file; {remedy}")
    if not head.startswith(b"\x1f\x8b"):
        return "plain"
    return "bgzip" if len(head) >= PEEK and head[3] & 4 and head[12:16] == b"BC\x02\0" else "gzip"


def _peek(stream: io.BufferedReader) -> bytes:
    """Look ahead; a pipe may give its first bytes in pieces."""
    head = stream.peek(PEEK)
    return head if len(head) >= PEEK or stream.raw.isatty() else head[:PEEK]


@contextmanager
def _opened(path: str) -> Iterator[io.BufferedReader]:
    if path == "-":
        with _standard_input() as stream:
            yield stream
        return
    with suppress(OSError):
        if Path(path).stat().st_size == 0 and Path(path).is_file():
            raise InputError(f"{path} is empty; check the step that made it")
    with Path(path).open("rb") as stream:
        yield stream


@contextmanager
def _standard_input() -> Iterator[io.BufferedReader]:
    """Read standard input through a buffer of our own; the interpreter's stays open."""
    try:
        descriptor = os.dup(sys.stdin.fileno())
    except (AttributeError, OSError, ValueError) as error:
        raise InputError("standard input is closed; pipe a file into it, or name a file") from error
    with os.fdopen(descriptor, "rb") as stream:
        yield stream
