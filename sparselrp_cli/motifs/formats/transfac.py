"""TRANSFAC's format: lines with a key of two letters, and the matrix below `P0` or `PO`.

As TRANSFAC writes it (https://meme-suite.org/meme/doc/transfac-format.html) and as JASPAR, HOCOMOCO,
SwissRegulon, mCrossBase and RSAT do: any whitespace between the columns, with a consensus letter behind the
rows or without, positions from 0 or 1, records that end with ``//`` or with ``XX``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sparselrp_cli.errors import InputError
from sparselrp_cli.motifs.formats.matrix import KnownMotif, Lines, Row, add, bases, motif_of, numbers

_NAMES = ("AC", "ID", "NA")


@dataclass
class _Record:
    """A record as far as it is read."""

    line: int = 0
    names: dict[str, str] = field(default_factory=dict)
    order: str = ""
    rows: list[Row] = field(default_factory=list)


def parse(lines: Lines, name: str) -> Iterator[KnownMotif]:
    """Read a TRANSFAC file; records without a matrix are passed over.

    Raises
    ------
    InputError
    """
    record, in_rows = _Record(), False
    for number, line in lines:
        where = f"{name} line {number}"
        key, *words = line.split() or [""]
        if in_rows and key.isdecimal():
            add(_row(words, where), record.rows, where)
            continue
        in_rows = key.upper() in ("P0", "PO")
        # A name or a matrix behind a matrix is that of the next record, also where no // is between.
        if record.order and (key == "//" or in_rows or key in _NAMES):
            yield _finished(record, name)
            record = _Record()
        if in_rows:
            record.order, record.line = _order(words, where), number
        elif key in _NAMES and words:
            record.names.setdefault(key, " ".join(words))
    if record.order:
        yield _finished(record, name)


def _order(words: list[str], where: str) -> str:
    order = bases(words[:4])
    if order is None:
        raise InputError(f"{where}: columns '{' '.join(words)[:50]}' aren't A, C, G and T")
    return order


def _row(words: list[str], where: str) -> Row:
    row = numbers(words[:4])
    if row is None or len(row) < 4 or len(words) > 5 or (len(words) == 5 and not words[4].isalpha()):
        raise InputError(f"{where}: damaged; '{' '.join(words)[:50]}' is no row of a matrix of four bases")
    return row


def _finished(record: _Record, name: str) -> KnownMotif:
    """Name a motif by its accession; the second name is NA's, or that of ID, as JASPAR has it."""
    given = [record.names[key] for key in _NAMES if key in record.names]
    first = given[0] if given else ""
    others = [text for text in reversed(given) if text != first]
    return motif_of(
        record.rows, record.order, (first, others[0] if others else ""), f"{name} line {record.line}"
    )
