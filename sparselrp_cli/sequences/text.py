"""Text files as lines of bytes: plain, gzip or bgzip, from a file, a pipe or standard input."""

import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, Literal, cast

from sparselrp_cli.errors import InputError

Compression = Literal["plain", "gzip", "bgzip"]

HEAD = 18
"""Bytes that tell formats apart: a bgzip block begins with a gzip header whose extra field is BC."""
LONGEST_NAME = 1 << 16
"""In bytes; peaks merged over many samples carry all their names, and a window keeps its name in memory."""
PIECE = 1 << 20
"""Bytes read at a time."""
BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 1 << 30
_MOST_IDLE = 1_000_000
_BOMB_BYTES, _BOMB_RATIO = 1 << 30, 100
_LONE_CR = re.compile(rb"\r(?!\n)")
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
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8 first"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8 first"),
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
def open_lines(path: str, bomb_bytes: int | None = None) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed where it is gzip; ``-`` is standard input.

    A carriage return that no line feed follows, which ended lines on old Macs, comes as a line feed.

    Parameters
    ----------
    path : str
    bomb_bytes : int, optional
        How much may come out of gzip before the ratio to what went in is looked at.

    Raises
    ------
    InputError
        If it can't be opened or is of a foreign format; or while it is read, if it is cut off or damaged.
    """
    name = display_name(path)
    with readable(path):
        raw = _opened(path)
        try:
            yield _lines_of(raw, name, bomb_bytes)
        finally:
            if path != "-":
                raw.close()


def read_packed(path: str, largest: int) -> bytes:
    """Read a whole file as it is, once, so that it may be a pipe; ``-`` is standard input.

    Raises
    ------
    InputError
        If it can't be read, or has more than `largest` bytes.
    """
    try:
        raw = _opened(path)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({(error.strerror or str(error)).lower()})") from error
    with readable(path), raw if path != "-" else nullcontext(raw):
        content = raw.read(largest + 1)
    return _require_size(content, display_name(path), largest)


def unpacked(packed: bytes, path: str, largest: int) -> bytes:
    """Give what a file holds that `read_packed` has read, as `open_lines` does.

    Raises
    ------
    InputError
        As with `open_lines`, and if it unpacks to more than `largest` bytes.
    """
    name = display_name(path)
    with readable(path):
        content = _lines_of(io.BytesIO(packed), name).read(largest + 1)
    return _require_size(content, name, largest)


def _require_size(content: bytes, name: str, largest: int) -> bytes:
    if len(content) > largest:
        raise InputError(f"{name}: larger than {largest >> 20} MiB; check that it is the right file")
    return content


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


def numbered_lines(
    stream: IO[bytes], name: str, longest: int = _LONGEST_LINE, keep: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Give lines without their ends, numbered from 1.

    Parameters
    ----------
    stream : binary file
    name : str
        What messages call it.
    longest : int
        In bytes; longer lines are refused.
    keep : int, optional
        Of longer lines only about so many bytes are kept, from their beginning.

    Raises
    ------
    InputError
        At a line of more than `longest` bytes, or one that is binary.
    """
    number = 0
    while line := stream.readline(min(longest, PIECE)):
        number += 1
        if not line.endswith(b"\n"):
            line = _whole(line, stream, f"{name} line {number}", longest, keep or longest)
        if b"\0" in line:
            raise InputError(f"{name} line {number}: binary, not text")
        yield number, (line.removeprefix(BOM) if number == 1 else line).rstrip(b"\r\n")


def content_lines(
    stream: IO[bytes],
    name: str,
    longest: int = _LONGEST_LINE,
    keep: int | None = None,
    most_idle: int = _MOST_IDLE,
) -> Iterator[tuple[int, bytes]]:
    """Give lines as `numbered_lines` does, without blank lines and those that begin with ``#``.

    Raises
    ------
    InputError
        Also where more than `most_idle` such lines follow each other.
    """
    idle = 0
    for number, line in numbered_lines(stream, name, longest, keep):
        if line.startswith(b"#") or not line.strip():
            idle += 1
            require_content(idle, name, number, most_idle)
        else:
            idle = 0
            yield number, line


def require_content(idle: int, name: str, line: int, most: int = _MOST_IDLE) -> None:
    """Stop where so many lines in a row are empty that only a damaged or a hostile file has them.

    Raises
    ------
    InputError
    """
    if idle > most:
        raise InputError(f"{name} line {line}: {most} lines without content; check what wrote the file")


def blocks(stream: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Give text in blocks of about a mebibyte, cut behind a line feed; a longer line comes in pieces.

    Yields
    ------
    text : bytes
    whole : bool
        Whether it ends where its last line ends.
    """
    left = b""
    while piece := stream.read(PIECE):
        text = left + piece
        end = text.rfind(b"\n") + 1
        # Blanks stay with what follows: they may be the last of their line.
        cut = end or len(text.rstrip()) or len(text)
        yield text[:cut], end > 0
        left = text[cut:]
    if left:
        yield left, True


def _whole(line: bytes, stream: IO[bytes], where: str, longest: int, keep: int) -> bytes:
    """Read a line to its end, of which there is the beginning."""
    pieces, size = [line], len(line)
    while size < longest and not line.endswith(b"\n") and b"\0" not in line:
        line = stream.readline(min(longest - size, PIECE))
        if not line:
            break
        size += len(line)
        if size <= keep or b"\0" in line:
            pieces.append(line)
    if size == longest and b"\0" not in line:
        too_long = "a gigabyte" if longest == _LONGEST_LINE else f"{longest >> 20} MiB"
        raise InputError(f"{where}: longer than {too_long}")
    return b"".join(pieces)


def _opened(path: str) -> IO[bytes]:
    if path != "-":
        return Path(path).open("rb")
    if sys.stdin is None:
        raise InputError("standard input is closed; pipe a file into it, or name one")
    return sys.stdin.buffer


def _lines_of(raw: IO[bytes], name: str, bomb_bytes: int | None = None) -> IO[bytes]:
    """Unpack what is packed, and let all lines end with a line feed."""
    head = raw.read(HEAD)
    stream: Any = _rejoined(head, raw)
    packed = compression(head, name)
    if packed != "plain":
        stream = _Unpacked(_Packed(stream, name, bgzip=packed == "bgzip"), name, bomb_bytes)
    return _buffered(_LineFeeds(stream))


def _rejoined(head: bytes, rest: IO[bytes]) -> IO[bytes]:
    """Put what was read ahead back in front."""
    if rest.seekable():
        rest.seek(-len(head), io.SEEK_CUR)
        return rest
    return _buffered(_Rejoined(head, rest))


def _buffered(raw: io.RawIOBase) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(raw, 1 << 18))


class _LineFeeds(io.RawIOBase):
    """A stream in which every lone carriage return is a line feed; no byte moves."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._ahead, self._ready = stream, b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._ready:
            self._ready = self._translated(self._ahead + self._stream.read(len(buffer)))
        given, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)

    def _translated(self, piece: bytes) -> bytes:
        self._ahead = b""
        if piece.endswith(b"\r"):
            # Whether it is alone is known by the byte behind it.
            self._ahead = self._stream.read(1)
            if self._ahead == b"\n":
                piece, self._ahead = piece + b"\n", b""
        lone = piece.count(b"\r") != piece.count(b"\r\n")
        return _LONE_CR.sub(b"\n", piece) if lone else piece


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

    def __init__(self, packed: _Packed, name: str, bomb_bytes: int | None) -> None:
        self._packed, self._name, self._given = packed, name, 0
        self._bomb_bytes = bomb_bytes or _BOMB_BYTES
        self._gzip = gzip.GzipFile(fileobj=cast(IO[bytes], packed))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._gzip.readinto(buffer)
        self._given += size
        if self._given > max(self._bomb_bytes, _BOMB_RATIO * self._packed.taken):
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
