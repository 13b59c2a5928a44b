"""Text files as lines of bytes: plain, gzip or bgzip, from a file, a pipe or standard input."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, cast

from sparselrp_cli.errors import InputError

Compression = Literal["plain", "gzip", "bgzip"]

HEAD = 18
"""Bytes that tell formats apart: a bgzip block begins with a gzip header whose extra field is BC."""
_LONGEST_LINE = 1 << 30
_BOMB_BYTES, _BOMB_RATIO = 1 << 30, 100
_BOM = b"\xef\xbb\xbf"
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_FOREIGN = (
    (b"BZh", "bzip2", "unpack it with bunzip2 first"),
    (b"\xfd7zXZ\0", "xz", "unpack it with unxz first"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unpack it with unzstd first"),
    (b"PK\x03\x04", "zip", "unzip it first"),
    (b"\x1a\x41\x27\x43", "2bit", "convert it with twoBitToFa first"),
    (b"\x43\x27\x41\x1a", "2bit", "convert it with twoBitToFa first"),
    (b"\xeb\xf2\x89\x87", "bigBed", "convert it with bigBedToBed first"),
    (b"\x87\x89\xf2\xeb", "bigBed", "convert it with bigBedToBed first"),
)


def display_name(path: str) -> str:
    """Name an input in messages."""
    if path == "-":
        return "standard input"
    return path if path.startswith("/dev/") else Path(path).name


def is_pipe(path: str) -> bool:
    """Say whether an input can be read only once."""
    return path == "-" or (Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir()))


@contextmanager
def open_lines(path: str) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed where it is gzip; ``-`` is standard input.

    Raises
    ------
    InputError
        If it can't be opened or is of a foreign format; or while it is read, if it is cut off or damaged.
    """
    name = display_name(path)
    with readable(path):
        raw = _opened(path)
        try:
            head = raw.read(HEAD)
            stream = _rejoined(head, raw)
            packed = compression(head, name)
            yield stream if packed == "plain" else _unpacked(stream, name, bgzip=packed == "bgzip")
        finally:
            if path != "-":
                raw.close()


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn what the system or a decompressor raises while an input is read into one line."""
    name = display_name(path)
    try:
        yield
    except EOFError as error:
        raise InputError(f"{name}: the gzip file is cut off; get it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{name}: the gzip file is damaged ({error}); get it again") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: a folder; name a file in it") from error
    except PermissionError as error:
        raise InputError(f"{path}: can't be opened (permission denied); ask its owner") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read ({(error.strerror or str(error)).lower()})") from error


def compression(head: bytes, name: str) -> Compression:
    """Tell plain text, gzip and bgzip apart by the first `HEAD` bytes.

    Raises
    ------
    InputError
        If they are those of a format that isn't read here.
    """
    for magic, kind, remedy in _FOREIGN:
        if head.startswith(magic):
            raise InputError(f"{name}: a {kind} file; {remedy}")
    if head[:2] != b"\x1f\x8b":
        return "plain"
    return "bgzip" if len(head) == HEAD and head[3] & 4 and head[12:14] == b"BC" else "gzip"


def numbered_lines(stream: IO[bytes], name: str, longest: int = _LONGEST_LINE) -> Iterator[tuple[int, bytes]]:
    """Give lines without their ends, numbered from 1.

    Raises
    ------
    InputError
        At a line of more than `longest` bytes, or one that is binary.
    """
    number = 0
    while line := stream.readline(longest):
        number += 1
        if len(line) == longest:
            size = "a gigabyte" if longest == _LONGEST_LINE else f"{longest >> 20} MiB"
            raise InputError(f"{name} line {number}: longer than {size}")
        if b"\0" in line:
            raise InputError(f"{name} line {number}: binary, not text")
        yield number, (line.removeprefix(_BOM) if number == 1 else line).rstrip(b"\r\n")


def _opened(path: str) -> IO[bytes]:
    if path != "-":
        return Path(path).open("rb")
    if sys.stdin is None:
        raise InputError("standard input is closed; pipe a file into it, or name one")
    return sys.stdin.buffer


def _rejoined(head: bytes, rest: IO[bytes]) -> IO[bytes]:
    """Put what was read ahead back in front."""
    if rest.seekable():
        rest.seek(-len(head), io.SEEK_CUR)
        return rest
    return cast(IO[bytes], io.BufferedReader(_Rejoined(head, rest), 1 << 18))


def _unpacked(packed: IO[bytes], name: str, *, bgzip: bool) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(_Unpacked(_Packed(packed, name, bgzip=bgzip), name), 1 << 18))


class _Packed:
    """A gzip file as packed bytes, counted; if it is bgzip, it ends with an empty block.

    Each block is a gzip member of its own: without this check, a file cut off between two would seem whole.
    """

    def __init__(self, packed: IO[bytes], name: str, *, bgzip: bool) -> None:
        self._packed, self._name, self._bgzip, self._tail, self.taken = packed, name, bgzip, b"", 0

    def read(self, size: int) -> bytes:
        piece = self._packed.read(size)
        self.taken += len(piece)
        end = len(_BGZIP_END)
        self._tail = (self._tail + piece[-end:])[-end:]
        if self._bgzip and size and not piece and self._tail != _BGZIP_END:
            raise InputError(
                f"{self._name}: has no bgzip end marker, so it may be cut off; "
                "get it again, or pack it with bgzip"
            )
        return piece


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, as long as it isn't made to fill the disk or the memory."""

    def __init__(self, packed: _Packed, name: str) -> None:
        self._packed, self._name, self._given = packed, name, 0
        self._gzip = gzip.GzipFile(fileobj=cast(IO[bytes], packed))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._gzip.readinto(buffer)
        self._given += size
        if self._given > max(_BOMB_BYTES, _BOMB_RATIO * self._packed.taken):
            raise InputError(
                f"{self._name}: unpacks to over {_BOMB_RATIO} times its size; no genome or regions do"
            )
        return size


class _Rejoined(io.RawIOBase):
    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)
