"""Regions from BED and narrowPeak."""

from collections.abc import Iterator
from dataclasses import dataclass

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.text import display_name, numbered_lines, open_lines

_NARROW_PEAK_COLUMNS = 10
_LARGEST = 1 << 40
_LONGEST_LINE = 1 << 24
_COLUMNS = 13  # one more than BED has; what comes after stays in one piece
_NOT_REGIONS = ("track", "browser")


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of a chromosome that a window is laid around.

    Attributes
    ----------
    chrom : str
    start, end : int
        0-based half-open, in bp.
    name : str
        ``chrom:start-end`` where the file has none.
    strand : str
        ``+``, ``-`` or ``.``.
    centre : int
        The summit where the file has one, else the midpoint.
    line : int
    """

    chrom: str
    start: int
    end: int
    name: str
    strand: str
    centre: int
    line: int


def read_regions(path: str) -> Iterator[Region]:
    """Read BED3 to BED12 or narrowPeak, plain or gzip; `-` is standard input.

    Header, `#`, `track`, `browser` and blank lines are skipped.

    Raises
    ------
    InputError
        With the line that is wrong, or where there is no region at all.
    """
    name = display_name(path)
    found = False
    with open_lines(path) as stream:
        for number, raw in numbered_lines(stream, name, _LONGEST_LINE):
            where = f"{name} line {number}"
            try:
                line = raw.decode()
            except UnicodeDecodeError:
                raise InputError(f"{where}: not UTF-8 text; give BED or narrowPeak") from None
            if not line.strip() or line.startswith("#") or line.split(maxsplit=1)[0] in _NOT_REGIONS:
                continue
            fields = line.split("\t" if "\t" in line else None, _COLUMNS)
            if not found and _is_header(fields):
                continue
            found = True
            yield _region(fields, where, number)
    if not found:
        raise InputError(f"{name}: holds no region; check the step that made it")


def _is_header(fields: list[str]) -> bool:
    """Whether a line before the first region names columns: both coordinates begin with a letter."""
    return len(fields) >= 3 and all(column.lstrip("\"'")[:1].isalpha() for column in fields[1:3])


def _region(fields: list[str], where: str, line: int) -> Region:
    if len(fields) < 3:
        raise InputError(f"{where}: {len(fields)} columns; BED has chrom, start and end, separated by tabs")
    chrom = fields[0]
    if not chrom.strip():
        raise InputError(f"{where}: the chromosome is missing; write it in column 1")
    start, end = _number(fields[1], "start", where), _number(fields[2], "end", where)
    if start < 0:
        raise InputError(f"{where}: start {start} is negative; positions are counted from 0")
    if end <= start:
        raise InputError(f"{where}: end {end} is not after start {start}")
    if end > _LARGEST:
        raise InputError(f"{where}: end {end} is beyond any chromosome")
    strand = fields[5] if len(fields) > 5 else "."
    if strand not in ("+", "-", "."):
        raise InputError(f"{where}: strand '{strand}' is none of + - . ; correct column 6, or drop it")
    name = fields[3] if len(fields) > 3 and fields[3] not in ("", ".") else f"{chrom}:{start}-{end}"
    return Region(chrom, start, end, name, strand, _centre(fields, start, end, where), line)


def _number(text: str, what: str, where: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise InputError(f"{where}: {what} '{text}' is not a whole number of bp")
    return int(text)


def _centre(fields: list[str], start: int, end: int, where: str) -> int:
    if len(fields) == _NARROW_PEAK_COLUMNS:
        summit = _number(fields[9], "summit", where)
        if summit >= end - start or summit < -1:
            raise InputError(
                f"{where}: summit {summit} is outside the peak of {end - start} bp; "
                "column 10 counts from its start"
            )
        if summit >= 0:
            return start + summit
    return (start + end) // 2
