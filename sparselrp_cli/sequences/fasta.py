"""FASTA records, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.one_hot import first_invalid
from sparselrp_cli.sequences.text import display_name, numbered_lines, open_lines

LONGEST_RECORD = 1 << 33
"""In bp; longer than any chromosome, so that only what was made to fill the memory is refused."""
_PROTEIN = "EFILPQZJOX*"


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


def read_records(path: str) -> Iterator[Record]:
    """Read FASTA record by record; `-` is standard input.

    Raises
    ------
    InputError
        If it isn't FASTA of nucleotides, a name comes twice, or nothing is in it.
    """
    name = display_name(path)
    seen: set[str] = set()
    with open_lines(path) as stream:
        for record in _records(numbered_lines(stream, name), name):
            if record.name in seen:
                raise InputError(
                    f"{name} line {record.line}: record '{record.name}' comes a second time; rename it"
                )
            seen.add(record.name)
            check_nucleotides(record.sequence, f"{name} line {record.line}: record '{record.name}'")
            yield record
    if not seen:
        raise InputError(f"{name}: holds no FASTA record")


def _records(lines: Iterator[tuple[int, bytes]], name: str) -> Iterator[Record]:
    header: tuple[str, int] | None = None
    # One array, because a list of lines of one letter takes forty times the memory of their letters.
    sequence = bytearray()
    for number, line in lines:
        if line.startswith(b">"):
            if header is not None:
                yield _record(header, sequence, name)
            header, sequence = (_name(line, number, name), number), bytearray()
        elif line.strip():
            if header is None:
                raise InputError(f"{name} line {number}: not FASTA; a record begins with '>'")
            sequence += line.strip()
            if len(sequence) > LONGEST_RECORD:
                raise InputError(f"{name} line {number}: record '{header[0]}' is longer than any chromosome")
    if header is not None:
        yield _record(header, sequence, name)


def _name(line: bytes, number: int, name: str) -> str:
    try:
        words = line[1:].decode().split()
    except UnicodeDecodeError:
        raise InputError(f"{name} line {number}: the header isn't UTF-8 text") from None
    if not words:
        raise InputError(f"{name} line {number}: the record has no name; write one after the '>'")
    return words[0]


def _record(header: tuple[str, int], sequence: bytearray, name: str) -> Record:
    if not sequence:
        raise InputError(f"{name} line {header[1]}: record '{header[0]}' has no sequence; remove it")
    return Record(header[0], bytes(sequence), header[1])


def check_nucleotides(sequence: bytes, where: str) -> None:
    """Stop at a letter that is no nucleotide.

    Raises
    ------
    InputError
    """
    position = first_invalid(sequence)
    if position is None:
        return
    letter = chr(sequence[position])
    hint = "; a protein?" if letter.upper() in _PROTEIN else "; take the gaps out" if letter in "-." else ""
    shown = letter if letter.isascii() and letter.isprintable() else f"\\x{ord(letter):02x}"
    raise InputError(f"{where} position {position + 1}: '{shown}' is no nucleotide{hint}")
