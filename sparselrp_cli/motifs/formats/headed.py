"""Files whose motifs begin with ``>``: JASPAR, HOMER, HOCOMOCO and others, told apart by their rows.

JASPAR has four rows, one a base, with letters and brackets or without. HOMER, HOCOMOCO and Cluster-Buster
have a row of four numbers for each position.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from sparselrp_cli.errors import InputError
from sparselrp_cli.motifs.formats.matrix import BASES, KnownMotif, Lines, Row, add, bases, motif_of, numbers

_IUPAC = re.compile(r"[ACGTURYSWKMBDHVN]+", re.IGNORECASE)
# Sums of probabilities, or of counts, are equal but for their rounding.
_EQUAL = 0.02


@dataclass
class _Motif:
    """A motif as far as it is read."""

    header: str
    line: int
    letters: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def parse(lines: Lines, name: str) -> Iterator[KnownMotif]:
    """Read such a file; blank lines and those that begin with ``#`` are passed over.

    Raises
    ------
    InputError
    """
    motif: _Motif | None = None
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith(">"):
            if motif is not None:
                yield _finished(motif, name)
            motif = _Motif(line[1:].strip("\r\n"), number)
            continue
        if motif is None:
            raise InputError(f"{name} line {number}: '{line[:50]}' stands in front of the first motif")
        where = f"{name} line {number}"
        letter, row = _row(line, where)
        motif.letters.append(letter)
        add(row, motif.rows, where)
    if motif is not None:
        yield _finished(motif, name)


def _row(line: str, where: str) -> tuple[str, Row]:
    """Read a row: the letter in front of it, if there is one, and its numbers."""
    text, letter = line.strip(), ""
    if text[:1].upper() in "ACGTU" and not text[1:2].isalpha():
        letter, text = text[0], text[1:].lstrip(" \t:|")
    row = numbers(text.strip("[]() \t").replace(",", " ").split())
    if not row:
        raise InputError(f"{where}: damaged; '{line.strip()[:50]}' is no row of a matrix")
    return letter, row


def _finished(motif: _Motif, name: str) -> KnownMotif:
    where = f"{name} line {motif.line}"
    names, order = _names(motif), bases(motif.letters)
    if any(motif.letters):
        if order is None:
            raise InputError(
                f"{where}: motif '{names[0]}' is damaged; its rows aren't those of A, C, G and T"
            )
        return motif_of(_turned(motif.rows, names[0], where), order, names, where)
    if _is_one_row_a_base(motif.rows, names[0], where, _is_homer(motif)):
        return motif_of(_turned(motif.rows, names[0], where), BASES, names, where)
    return motif_of(motif.rows, BASES, names, where)


def _is_one_row_a_base(rows: Sequence[Row], name: str, where: str, is_homer: bool) -> bool:
    """Whether rows without letters are bases, and not positions; four by four, equal sums tell."""
    widths = {len(row) for row in rows}
    if is_homer or len(rows) != 4 or widths != {4}:
        return len(rows) == 4 and widths != {4} and not is_homer
    values = np.array(rows)
    by_row, by_column = (_are_equal(values.sum(axis=axis)) for axis in (1, 0))
    if by_row == by_column:
        raise InputError(
            f"{where}: four rows of four numbers; motif '{name}' can be read along rows or columns; write A,"
            " C, G and T in front of the rows"
        )
    return by_column


def _are_equal(sums: Sequence[float]) -> bool:
    return bool(np.ptp(sums) <= _EQUAL * np.abs(sums).max())


def _turned(rows: Sequence[Row], name: str, where: str) -> list[Row]:
    """Give rows of bases as rows of positions."""
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"{where}: motif '{name}' is damaged; its rows differ in length")
    return [list(column) for column in zip(*rows, strict=True)]


def _is_homer(motif: _Motif) -> bool:
    """Whether a header is HOMER's: consensus, name and threshold, separated by tabs."""
    fields = motif.header.split("\t")
    if len(fields) < 2 or not fields[1].strip():
        return False
    if len(fields) == 2:
        return len(fields[0]) == len(motif.rows) and _IUPAC.fullmatch(fields[0]) is not None
    return numbers([fields[2].strip()]) is not None


def _names(motif: _Motif) -> tuple[str, str]:
    """HOMER names a motif in its second field: the factor, the experiment and itself, between slashes."""
    if _is_homer(motif) and not any(motif.letters):
        name = motif.header.split("\t")[1].strip()
        return name, name.split("/")[0] if "/" in name else ""
    first, _, second = (motif.header.strip().replace("\t", " ") + " ").partition(" ")
    return first, " ".join(second.split())
