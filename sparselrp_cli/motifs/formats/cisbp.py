"""CIS-BP's format: a table of positions below ``Pos A C G T``, alone in a file or below lines with names."""

import logging
from collections.abc import Iterator
from itertools import chain
from pathlib import PurePath

from sparselrp_cli.errors import InputError
from sparselrp_cli.motifs.formats.matrix import KnownMotif, Lines, Row, add, bases, motif_of, numbers

logger = logging.getLogger("sparselrp")


def parse(lines: Lines, name: str) -> Iterator[KnownMotif]:
    """Read such a file; tables without rows, which CIS-BP has for matrices it may not give, are passed over.

    Raises
    ------
    InputError
    """
    said: dict[str, str] = {}
    rows: list[Row] = []
    order, line, empty, n = "", 0, 0, 0
    for number, text in chain(lines, [(0, "")]):
        where, words = f"{name} line {number}", text.split()
        if order and words and words[0].isdecimal():
            add(_row(words[1:], where), rows, where)
            continue
        if order and rows:
            yield motif_of(rows, order, _names(said, name, first=n == 0), f"{name} line {line}")
            n += 1
        empty += bool(order and not rows)
        if order:
            said, order, rows = {}, "", []
        if len(words) == 5 and words[0].lower() == "pos":
            order, line = bases(words[1:]) or "", number
        elif words:
            key, _, value = text.strip().partition("\t")
            said[key] = value.strip()
    if empty:
        left = "1 motif has no matrix and is" if empty == 1 else f"{empty} motifs have no matrix and are"
        logger.warning("%s: %s left out", name, left)


def _row(words: list[str], where: str) -> Row:
    row = numbers(words)
    if row is None or len(row) != 4:
        raise InputError(f"{where}: damaged; '{' '.join(words)[:50]}' is no row of a matrix of four bases")
    return row


def _names(said: dict[str, str], file: str, *, first: bool) -> tuple[str, str]:
    """Name a motif by what stands above it, or, where it is alone, by its file."""
    alone = PurePath(file).name.split(".txt")[0] if first else ""
    return said.get("Motif", alone), said.get("TF Name", said.get("TF_Name", ""))
