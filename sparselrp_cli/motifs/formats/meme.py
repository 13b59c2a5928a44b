"""MEME's format, minimal or whole (https://meme-suite.org/meme/doc/meme-format.html)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from sparselrp_cli.errors import InputError
from sparselrp_cli.motifs.formats.matrix import (
    BASES,
    SITES,
    KnownMotif,
    Lines,
    Row,
    add,
    bases,
    motif_of,
    numbers,
)

_MATRIX = re.compile(r"\s*letter-probability\s+matrix\s*:?(.*)", re.IGNORECASE)
_LONGEST = 1000
_PAIR = re.compile(r"(\w+)\s*=\s*(\S+)")


@dataclass
class _Motif:
    """A motif as far as it is read."""

    names: tuple[str, str]
    line: int
    has_matrix: bool = False
    given: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def width(self) -> int | None:
        """What is said before the rows."""
        given = self.given.get("w", "")
        return int(given) if given.isdecimal() and len(given) < 10 else None


def parse(lines: Lines, name: str) -> Iterator[KnownMotif]:
    """Read a MEME file; what stands between matrices is passed over.

    Raises
    ------
    InputError
    """
    order, motif, in_rows = BASES, None, False
    for number, line in lines:
        where = f"{name} line {number}"
        words = line.split()
        if words and words[0].startswith("ALPHABET="):
            order = _alphabet("".join(words).removeprefix("ALPHABET="), where)
        elif words and words[0] == "MOTIF":
            if motif is not None:
                yield _finished(motif, order, name)
            motif, in_rows = _Motif(_names(words[1:]), number), False
        elif (matrix := _MATRIX.match(line)) and motif is not None and not motif.has_matrix:
            motif.given, motif.has_matrix, in_rows = (
                dict(_PAIR.findall(matrix[1][:_LONGEST].lower())),
                True,
                True,
            )
        elif in_rows and motif is not None:
            in_rows = _add_row(motif, words, where)
    if motif is not None:
        yield _finished(motif, order, name)


def _alphabet(letters: str, where: str) -> str:
    order = bases(letters)
    if order is None:
        raise InputError(f"{where}: the alphabet {letters[:30]} isn't that of DNA or RNA")
    return order


def _names(words: list[str]) -> tuple[str, str]:
    """Give both names; what MEME itself says of a motif follows on the same line."""
    if "width" in words:
        words = words[: words.index("width")]
    return ("", "") if not words else (words[0], " ".join(words[1:]))


def _add_row(motif: _Motif, words: list[str], where: str) -> bool:
    """Add a row; give whether more may come."""
    row, n = numbers(words) if words else None, len(motif.rows)
    if row is not None and (motif.width is None or n < motif.width):
        add(row, motif.rows, where)
        return True
    if row is not None or (words and n < (motif.width or 1)):
        raise InputError(
            f"{where}: motif '{motif.names[0]}' is damaged; '{' '.join(words)[:50]}' is no row of it"
        )
    return not words and n == 0


def _finished(motif: _Motif, order: str, name: str) -> KnownMotif:
    where, n = f"{name} line {motif.line}", len(motif.rows)
    if not motif.has_matrix:
        raise InputError(f"{where}: motif '{motif.names[0]}' has no letter-probability matrix")
    if motif.width not in (None, n):
        raise InputError(f"{where}: motif '{motif.names[0]}' is damaged; {n} of {motif.width} rows are there")
    sites = numbers([motif.given.get("nsites", "")])
    # 1 is what tools write that don't know the number.
    return motif_of(motif.rows, order, motif.names, where, sites[0] if sites and sites[0] > 1 else SITES)
