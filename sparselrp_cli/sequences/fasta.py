"""What FASTA is, for all that read it, and its records, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import IO, NamedTuple

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.one_hot import first_invalid
from sparselrp_cli.sequences.text import (
    BOM,
    LONGEST_NAME,
    PIECE,
    blocks,
    display_name,
    open_lines,
    require_content,
)

LONGEST_RECORD = 1 << 33
"""In bp; longer than any chromosome, so that only what was made to fill the memory is refused."""
LONGEST_HEADER = PIECE // 2
"""In bytes: it must not be taken for one in pieces."""
_PROTEIN = "EFILPQZJOX*"
# What may stand for a position, if only in a protein or an alignment.
SYMBOLS = bytes(range(ord("A"), ord("Z") + 1)) + bytes(range(ord("a"), ord("z") + 1)) + b"-.*"


@dataclass(frozen=True, slots=True)
class Record:
    """One FASTA record.

    Attributes
    ----------
    name : str
        The first word of the header.
    sequence : bytes
    line : int
        Of the header, from 1.
    """

    name: str
    sequence: bytes
    line: int


class FastaPiece(NamedTuple):
    """A header, or lines of a record; a line that is very long comes in several pieces.

    Attributes
    ----------
    header : str or None
        The name of the record that begins here.
    letters : bytes
        Without the ends of lines, and the whitespace in front of them and behind.
    line : int
        The first one, from 1.
    offset : int
        In the unpacked file, in bytes.
    raw : bytes
        As it stands in the file.
    """

    header: str | None
    letters: bytes
    line: int
    offset: int
    raw: bytes


def fasta_pieces(stream: IO[bytes], name: str) -> Iterator[FastaPiece]:
    """Read FASTA as headers and letters; nothing else is read as FASTA.

    A line that begins with ``>`` is a header, and the first word behind it the record's name. Other lines are
    letters of the record; whitespace at their ends, blank lines and how long they are don't count. Lines that
    begin with ``;`` in front of the first header are comments. Lines end with a line feed, a carriage return,
    or both, in any mixture.

    Parameters
    ----------
    stream : binary file
        As `open_lines` gives it.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        At the line that is no FASTA, at a record without a name, without letters, or with the name of
        another; or if there is no record at all. Of the letters only that they may stand for a position is
        checked, see `check_nucleotides`.
    """
    seen: set[str] = set()
    record, line, length = "", 0, 0
    for number, offset, raw, begins, whole in _parts(stream, name):
        if begins and raw.startswith(b">"):
            _require_letters(record, line, length, name)
            record, line, length = _name(raw, number, name), number, 0
            if record in seen:
                raise InputError(f"{name} line {line}: record '{record}' comes a second time; rename it")
            seen.add(record)
            yield FastaPiece(record, b"", number, offset, raw)
        elif not record:
            _require_comments(raw, number, name)
        elif letters := _letters(raw, begins, whole):
            if not letters.isalpha() and (strange := letters.translate(None, SYMBOLS)):
                at = length + letters.index(strange[:1])
                raise InputError(_no_nucleotide(f"{name} line {line}: record '{record}'", at, strange[0]))
            length += len(letters)
            if length > LONGEST_RECORD:
                raise InputError(f"{name} line {line}: record '{record}' is longer than any chromosome")
            yield FastaPiece(None, letters, number, offset, raw)
        else:
            yield FastaPiece(None, b"", number, offset, raw)
    if not seen:
        raise InputError(f"{name}: holds no FASTA record; give a FASTA file, plain, gzip or bgzip")
    _require_letters(record, line, length, name)


def read_records(path: str) -> Iterator[Record]:
    """Read FASTA record by record; `-` is standard input.

    Raises
    ------
    InputError
        See `fasta_pieces`; and at a letter that is no nucleotide.
    """
    name = display_name(path)
    with open_lines(path) as stream:
        yield from records_of(stream, name)


def records_of(stream: IO[bytes], name: str) -> Iterator[Record]:
    """Read FASTA record by record from what `open_lines` gives, see `read_records`."""
    header: tuple[str, int] | None = None
    # One buffer, because a list of lines of one letter takes forty times the memory of their letters. It
    # gives what it holds without a copy.
    sequence = BytesIO()
    for piece in fasta_pieces(stream, name):
        if piece.header is None:
            sequence.write(piece.letters)
            continue
        if header is not None:
            yield _record(header, sequence, name)
        header, sequence = (piece.header, piece.line), BytesIO()
    if header is not None:
        yield _record(header, sequence, name)


def _parts(stream: IO[bytes], name: str) -> Iterator[tuple[int, int, bytes, bool, bool]]:
    """Cut text before and behind each header.

    Yields
    ------
    number, offset : int
        Of the first line from 1, and of the first byte from 0.
    raw : bytes
    begins, whole : bool
        Whether it begins where a line begins, and ends where one ends.
    """
    number, offset, begins, blank = 1, 0, True, 0
    for text, whole in blocks(stream):
        if b"\0" in text:
            number += text.count(b"\n", 0, text.index(b"\0"))
            raise InputError(f"{name} line {number}: binary, not text")
        at = len(BOM) if offset == 0 and text.startswith(BOM) else 0
        blank = blank + text.count(b"\n") if text.isspace() else 0
        require_content(blank, name, number)
        while at < len(text):
            if begins and text.startswith(b">", at):
                end = text.find(b"\n", at) + 1 or len(text)
            else:
                end = text.find(b"\n>", at) + 1 or len(text)
            raw = text[at:end]
            yield number, offset + at, raw, begins, whole or end < len(text)
            number += raw.count(b"\n")
            begins, at = raw.endswith(b"\n"), end
        offset += len(text)


def _letters(raw: bytes, begins: bool, whole: bool) -> bytes:
    """Take the whitespace off the ends of lines; where a line is cut into pieces it has no end."""
    letters = raw.translate(None, b"\r\n")
    if letters.isalpha():
        return letters
    lines = raw.split(b"\n")
    lines[1:-1] = [line.strip() for line in lines[1:-1]]
    lines[0] = lines[0].lstrip() if begins else lines[0]
    lines[-1] = lines[-1].rstrip() if whole else lines[-1]
    if len(lines) > 1:
        lines[0], lines[-1] = lines[0].rstrip(), lines[-1].lstrip()
    return b"".join(lines)


def _require_comments(raw: bytes, number: int, name: str) -> None:
    """Only blank lines, and comments as the first FASTA had them, stand in front of the first header."""
    for line in raw.split(b"\n"):
        if line.strip() and not line.startswith(b";"):
            raise InputError(f"{name} line {number}: a FASTA record begins with '>'; give a FASTA file")
        number += 1


def _name(raw: bytes, number: int, name: str) -> str:
    if len(raw) > LONGEST_HEADER:
        raise InputError(f"{name} line {number}: a header of over {LONGEST_HEADER} bytes; shorten it")
    try:
        words = raw[1:].decode().split(maxsplit=1)
    except UnicodeDecodeError:
        raise InputError(f"{name} line {number}: the header isn't UTF-8 text") from None
    if not words:
        raise InputError(f"{name} line {number}: the record has no name; write one after the '>'")
    if len(words[0]) > LONGEST_NAME:
        raise InputError(f"{name} line {number}: a name of over {LONGEST_NAME} letters; shorten it")
    return words[0]


def _require_letters(record: str, line: int, length: int, name: str) -> None:
    if record and not length:
        raise InputError(f"{name} line {line}: record '{record}' has no sequence; remove it")


def _record(header: tuple[str, int], sequence: BytesIO, name: str) -> Record:
    found = Record(header[0], sequence.getvalue(), header[1])
    check_nucleotides(found.sequence, f"{name} line {found.line}: record '{found.name}'")
    return found


def check_nucleotides(sequence: bytes, where: str) -> None:
    """Stop at a letter that is no nucleotide.

    Raises
    ------
    InputError
    """
    position = first_invalid(sequence)
    if position is None:
        return
    raise InputError(_no_nucleotide(where, position, sequence[position]))


def _no_nucleotide(where: str, position: int, byte: int) -> str:
    letter = chr(byte)
    hint = "; a protein?" if letter.upper() in _PROTEIN else "; take the gaps out" if letter in "-." else ""
    shown = letter if letter.isascii() and letter.isprintable() else f"\\x{byte:02x}"
    return f"{where} position {position + 1}: '{shown}' is no nucleotide{hint}"
