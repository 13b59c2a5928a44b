"""The journal of a run: what is done lies on the disk, block by block, whatever happens next.

A file that only grows: a line that says what it is, then records. A record is the length and the CRC-32 of
what follows, and then a JSON object, preceded by its length, and bytes. What a killed process left of a last
record doesn't agree with its length or its sum, and is cut off.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import reported

MAGIC = b"sparselrp journal 1\n"
FRAME = struct.Struct("<QI")
LENGTH = struct.Struct("<I")
PIECE = 1 << 20

Record = tuple[dict[str, Any], bytes]


class Journal:
    """A context manager that opens a journal, or begins one where there is none.

    Whoever opens it holds the lock of its prefix.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OutputError
        If it can't be read or written, or if a file of another kind has its name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        with reported(self.path):
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
            self._file: IO[bytes] = os.fdopen(descriptor, "r+b")
        try:
            with reported(self.path):
                self._end = self._cut_to_what_is_whole()
        except BaseException:
            # What is in the buffer is tried once more, and fails once more.
            with suppress(OSError):
                self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Every record is on the disk; what is left in the buffer is part of one that failed.
        with suppress(OSError):
            self._file.close()

    @property
    def empty(self) -> bool:
        """Whether it has no record."""
        return self._end == len(MAGIC)

    def append(self, header: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Add a record, and wait until it is on the disk.

        Raises
        ------
        OutputError
            If it can't be written; the journal is as it was.
        """
        text = json.dumps(header).encode()
        pieces = [LENGTH.pack(len(text)), text, *parts]
        crc = 0
        for piece in pieces:
            crc = zlib.crc32(piece, crc)
        with reported(self.path):
            try:
                self._file.seek(self._end)
                self._file.writelines([FRAME.pack(sum(map(len, pieces)), crc), *pieces])
                self._file.flush()
                os.fsync(self._file.fileno())
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(self._file.fileno(), self._end)
                raise
            self._end = self._file.tell()

    def records(self) -> Iterator[Record]:
        """Read all records; one is in memory at a time.

        Yields
        ------
        header : dict
        body : bytes
            The parts, joined.

        Raises
        ------
        OutputError
            If the file is damaged.
        """
        at = len(MAGIC)
        while at < self._end:
            with reported(self.path):
                self._file.seek(at)
                size, crc = FRAME.unpack(self._file.read(FRAME.size))
                content = self._file.read(size)
            if zlib.crc32(content) != crc:
                raise OutputError(f"{self.path} is damaged; begin anew with --restart")
            try:
                (length,) = LENGTH.unpack_from(content)
                start = LENGTH.size + length
                header = json.loads(content[LENGTH.size : start])
            except (ValueError, RecursionError) as error:
                raise OutputError(f"{self.path} is damaged; begin anew with --restart") from error
            yield header, content[start:]
            at += FRAME.size + size

    def clear(self) -> None:
        """Forget everything."""
        with reported(self.path):
            self._begin()

    def remove(self) -> None:
        """Delete the file."""
        with reported(self.path):
            self.path.unlink()

    def _begin(self) -> int:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(MAGIC)
        self._file.flush()
        self._end = len(MAGIC)
        return self._end

    def _cut_to_what_is_whole(self) -> int:
        """Give the end of the last whole record, and cut off what stands behind it."""
        found = self._file.read(len(MAGIC))
        if not MAGIC.startswith(found):
            raise OutputError(
                f"{self.path} isn't the journal of a run; move it away, or choose another --output"
            )
        if found != MAGIC:
            return self._begin()
        end = len(MAGIC)
        size = os.fstat(self._file.fileno()).st_size
        while (after := self._whole_record(end, size)) is not None:
            end = after
        self._file.truncate(end)
        return end

    def _whole_record(self, at: int, file_size: int) -> int | None:
        """Give the end of the record at `at`, or None if it isn't whole."""
        self._file.seek(at)
        frame = self._file.read(FRAME.size)
        if len(frame) < FRAME.size:
            return None
        size, expected = FRAME.unpack(frame)
        end = at + FRAME.size + int(size)
        if size < LENGTH.size or end > file_size:
            return None
        crc, left = 0, size
        while left and (piece := self._file.read(min(left, PIECE))):
            crc, left = zlib.crc32(piece, crc), left - len(piece)
        return None if left or crc != expected else end
