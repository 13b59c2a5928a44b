"""Where the records of a FASTA file lie: the rows of a .fai index, made from the file or read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.sequences.fasta import LONGEST_RECORD, FastaPiece

_LF, _CR = b"\n"[0], b"\r"[0]


class UnequalLinesError(Exception):
    """Lines of a record that no index can describe.

    Attributes
    ----------
    record : str
    line : int
        The first one, from 1.
    """

    def __init__(self, record: str, line: int) -> None:
        super().__init__(record, line)
        self.record, self.line = record, line


@dataclass(frozen=True, slots=True)
class Entry:
    """A record whose lines are all of one length, but for the last, which may be shorter (faidx(5)).

    Attributes
    ----------
    length : int
        In bp.
    offset : int
        Of the first base in the unpacked file, in bytes.
    bases, width : int
        Of a line, without and with its end.
    """

    length: int
    offset: int
    bases: int
    width: int

    def at(self, position: int) -> int:
        """Give the offset of a base, 0-based."""
        return self.offset + position // self.bases * self.width + position % self.bases

    def letters(self, raw: bytes, start: int, end: int) -> bytes | None:
        """Take the ends of lines out of a stretch, 0-based half-open; None if they lie elsewhere."""
        letters = raw.translate(None, b"\r\n")
        breaks = (end - 1) // self.bases - start // self.bases
        first, size = self.bases - start % self.bases, self.width - self.bases
        ends = [raw[first + i :: self.width][:breaks] for i in range(size)]
        in_place = (
            (size > 0 or not breaks)
            and all(len(column) == breaks and not column.strip(b"\r\n") for column in ends)
            and len(letters) == end - start
        )
        return letters if in_place else None


def scan(pieces: Iterable[FastaPiece]) -> dict[str, Entry]:
    """Find where the records lie, in the order of the file.

    Raises
    ------
    UnequalLinesError
        If an index can't say it: lines of different length, blank lines between lines, or whitespace at the
        ends of lines.
    """
    entries: dict[str, Entry] = {}
    lines: _Lines | None = None
    for piece in pieces:
        if piece.header is None and lines is not None:
            lines.add(piece)
            continue
        if lines is not None:
            entries[lines.record] = lines.entry()
        lines = _Lines(str(piece.header), piece.offset + len(piece.raw))
    if lines is not None:
        entries[lines.record] = lines.entry()
    return entries


def unwrapped(pieces: Iterable[FastaPiece], entries: dict[str, Entry]) -> Iterator[bytes]:
    """Give a FASTA file again, each record on one line, and note where the records lie.

    Parameters
    ----------
    pieces : iterable of FastaPiece
    entries : dict
        Filled as the file is given.
    """
    record, offset, length, at = "", 0, 0, 0
    for piece in pieces:
        text = piece.letters
        if piece.header is not None:
            text = (f"\n>{piece.header}\n" if at else f">{piece.header}\n").encode()
            record, offset, length = piece.header, at + len(text), 0
        at += len(text)
        length += len(piece.letters)
        if length:
            entries[record] = Entry(length, offset, length, length + 1)
        yield text
    yield b"\n"


def parse_fai(text: str) -> dict[str, Entry]:
    """Read an index.

    Raises
    ------
    ValueError
        If it is none.
    """
    entries: dict[str, Entry] = {}
    for line in text.splitlines():
        name, *numbers = line.split("\t")
        entry = Entry(*(int(number) for number in numbers))
        sane = 0 < entry.length <= LONGEST_RECORD and entry.offset > 0
        if name in entries or not sane or not 0 < entry.bases <= entry.width <= entry.bases + 2:
            raise ValueError(f"'{line[:100]}' is no row of an index")
        entries[name] = entry
    return entries


def format_fai(entries: Mapping[str, Entry]) -> str:
    """Write an index as samtools does."""
    return "".join(f"{name}\t{e.length}\t{e.offset}\t{e.bases}\t{e.width}\n" for name, e in entries.items())


class _Lines:
    """The lines of a record as they come, compared with its first."""

    def __init__(self, record: str, offset: int) -> None:
        self.record = record
        self._offset, self._length, self._bases, self._width = offset, 0, 0, 0
        self._full, self._ended, self._line, self._before = 0, False, 0, b""

    def add(self, piece: FastaPiece) -> None:
        raw, self._line = piece.raw, piece.line
        self._length += len(piece.letters)
        if len(piece.letters) + raw.count(b"\n") + raw.count(b"\r") != len(raw):
            raise UnequalLinesError(self.record, piece.line)
        if self._ended:
            self._require_end(piece.letters, piece.line)
            return
        feeds = np.flatnonzero(np.frombuffer(raw, np.uint8) == _LF)
        self._compare(raw, feeds, feeds + (piece.offset - self._offset), piece.line)
        self._before = raw[-1:]

    def entry(self) -> Entry:
        bases = self._bases or self._length
        if self._length - self._full * bases > bases:
            raise UnequalLinesError(self.record, self._line)
        return Entry(self._length, self._offset, bases, self._width or bases + 1)

    def _compare(
        self, raw: bytes, feeds: npt.NDArray[np.int64], places: npt.NDArray[np.int64], line: int
    ) -> None:
        """Compare where lines end, in `raw` and in the record, with where the first line says they do."""
        if not len(feeds):
            return
        ends_in_two = self._ends_in_two(raw, feeds)
        if not self._width:
            self._width = int(places[0]) + 1
            self._bases = self._width - 1 - int(ends_in_two[0])
            if not self._bases:
                raise UnequalLinesError(self.record, line)
        wanted = (self._full + 1 + np.arange(len(feeds))) * self._width - 1
        wrong = np.flatnonzero((places != wanted) | (ends_in_two != (self._width - self._bases == 2)))
        n_right = int(wrong[0]) if len(wrong) else len(feeds)
        self._full += n_right
        if n_right < len(feeds):
            if places[n_right] >= wanted[n_right]:
                raise UnequalLinesError(self.record, line + n_right)
            self._ended = True
            self._require_end(raw[feeds[n_right] :], line + n_right)

    def _ends_in_two(self, raw: bytes, feeds: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether a carriage return stands in front of each line feed."""
        with_before = np.frombuffer((self._before or b" ") + raw, np.uint8)
        found: npt.NDArray[np.bool_] = with_before[feeds] == _CR
        return found

    def _require_end(self, text: bytes, line: int) -> None:
        """Behind a line that is shorter than the first only blank ones may come."""
        if text.strip():
            raise UnequalLinesError(self.record, line)
