"""Regions from BED and its kinds, and where their centres are."""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sparselrp_cli.errors import InputError, number_of
from sparselrp_cli.sequences.blocks import Stretch, read_blocks
from sparselrp_cli.sequences.text import LONGEST_NAME, content_lines, display_name, open_lines

logger = logging.getLogger("sparselrp")

_NARROW_PEAK_COLUMNS = 10
_LARGEST = 1 << 40
_LONGEST_LINE = 1 << 24
_COLUMNS = 13  # one more than BED has; what comes after stays in one piece
_SHOWN = 100
_NOT_REGIONS = ("", "track", "browser")
# Regions are short lines, which never get a hundred times smaller.
_BOMB_BYTES = 1 << 26
_TYPE = re.compile(r"\btype\s*=\s*[\"']?(narrowPeak|broadPeak|gappedPeak)\b", re.IGNORECASE)
_SUFFIX = re.compile(r"\.(narrowPeak|broadPeak|gappedPeak)(\.b?gz)?$", re.IGNORECASE)
_MISSING = ("", ".", "na", "nan")
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.IGNORECASE | re.ASCII)
_LIST = re.compile(r"\d+(,\d+)*,?", re.ASCII)
# A signal or a p-value may be a whole number, but hardly one as large as a position on a chromosome.
_PLACES_FROM = 1000


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
    is_summit : bool
        Whether the centre is a summit.
    blocks : tuple of (start, end)
        On the chromosome, as columns 10 to 12 of BED12 have them; empty where they weren't asked for.
    """

    chrom: str
    start: int
    end: int
    name: str
    strand: str
    centre: int
    line: int
    is_summit: bool = False
    blocks: tuple[Stretch, ...] = ()


def read_regions(path: str, *, blocks: bool = False) -> Iterator[Region]:
    """Read BED and its kinds, plain or gzip; `-` is standard input.

    Header, `#`, `track`, `browser` and blank lines are skipped. Columns are separated by tabs, or by blanks
    in lines without a tab.

    A line has a summit if its first ten columns are those of a narrowPeak, whatever comes behind them:
    columns 7 to 9 are numbers (or ``.`` or ``NA``), and column 10 is a whole number that lies in the region,
    counted from its start. -1 and ``.`` in column 10 say that there is no summit. These aren't narrowPeak,
    and their regions are centred on the midpoint:

    * BED12 and gappedPeak: columns 11 and 12 are lists of as many numbers as column 10 says, with a comma, or
      the one block is the whole region;
    * BED9: columns 7 and 8 are places in the region (thickStart, thickEnd), and column 9 is a colour;
    * lines of a file called .broadPeak or .gappedPeak, or below a `track` line of such a type.

    Parameters
    ----------
    path : str
    blocks : bool
        Every line is a BED12, and its blocks are wanted.

    Raises
    ------
    InputError
        With the line that is wrong, or where there is no region at all; with a line that can be read as
        narrowPeak and as BED9, and neither `track` nor the name of the file says which it is.
    """
    name = display_name(path)
    declared = suffix = _kind(_SUFFIX, name, "")
    found = False
    with open_lines(path, _BOMB_BYTES) as stream:
        for number, raw in content_lines(stream, name, _LONGEST_LINE):
            where = f"{name} line {number}"
            try:
                line = raw.decode().rstrip()
            except UnicodeDecodeError:
                raise InputError(f"{where}: not UTF-8 text; give BED or narrowPeak") from None
            first = "".join(line.split(maxsplit=1)[:1])
            if first == "track":
                declared = _kind(_TYPE, line, suffix)
            if first in _NOT_REGIONS:
                continue
            fields = line.split("\t" if "\t" in line else None, _COLUMNS)
            if not found and _is_header(fields):
                continue
            found = True
            # Who wants blocks says that there is a BED12, in which no column is a summit.
            region = _region(fields, "gappedpeak" if blocks else declared, where, number)
            if blocks:
                found_blocks = read_blocks(fields, region.start, region.end, where)
                region = replace(region, blocks=found_blocks)
            yield region
    if not found:
        raise InputError(f"{name}: holds no region; check the step that made it")


def counted(regions: Iterable[Region], name: str) -> Iterator[Region]:
    """Give regions, and say behind the last one how many are centred on summits and how many on midpoints.

    Parameters
    ----------
    regions : iterable of Region
    name : str
        Of the file, for the log.
    """
    summits = midpoints = 0
    early = True
    for region in regions:
        summits += region.is_summit
        midpoints += not region.is_summit
        early &= not region.is_summit or 20 * (region.centre - region.start) < region.end - region.start
        yield region
    centres = number_of(summits, "centre is a summit", "centres are summits")
    logger.info("%s: %s, %s", name, centres, number_of(midpoints, "is a midpoint", "are midpoints"))
    if summits and early and not _SUFFIX.search(name):
        logger.warning(
            "%s: all summits lie in the first twentieth of their peaks; if column 10 is something else, such "
            "as a count, take it out",
            name,
        )


def _kind(pattern: re.Pattern[str], text: str, otherwise: str) -> str:
    """Find what kind of peaks a file's name or a track line declares."""
    found = pattern.search(text)
    return found[1].lower() if found else otherwise


def _is_header(fields: list[str]) -> bool:
    """Whether a line before the first region names columns: both coordinates begin with a letter."""
    return len(fields) >= 3 and all(column.lstrip("\"'")[:1].isalpha() for column in fields[1:3])


def _region(fields: list[str], declared: str, where: str, line: int) -> Region:
    if len(fields) < 3:
        raise InputError(
            f"{where}: {number_of(len(fields), 'column')}; BED has chrom, start and end, separated by tabs"
        )
    chrom, strand = fields[0].strip(), fields[5].strip() if len(fields) > 5 else "."
    if not chrom:
        raise InputError(f"{where}: the chromosome is missing; write it in column 1")
    start, end = _number(fields[1], "start", where), _number(fields[2], "end", where)
    if start < 0:
        raise InputError(f"{where}: start {start} is negative; positions are counted from 0")
    if end <= start:
        raise InputError(f"{where}: end {end} is not after start {start}")
    if end > _LARGEST:
        raise InputError(f"{where}: end {end} is beyond any chromosome")
    if strand not in ("+", "-", "."):
        raise InputError(
            f"{where}: strand '{strand[:_SHOWN]}' is none of + - . ; correct column 6, or drop it"
        )
    name = fields[3] if len(fields) > 3 and fields[3] not in ("", ".") else f"{chrom}:{start}-{end}"
    if max(len(name), len(chrom)) > LONGEST_NAME:
        raise InputError(f"{where}: a name of over {LONGEST_NAME} letters; shorten it")
    summit = _summit(fields, start, end, declared, where)
    centre = (start + end) // 2 if summit is None else start + summit
    return Region(chrom, start, end, name, strand, centre, line, summit is not None)


def _number(text: str, what: str, where: str) -> int:
    text = text.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise InputError(f"{where}: {what} '{text[:_SHOWN]}' is not a whole number of bp")
    return int(text)


def _summit(fields: list[str], start: int, end: int, declared: str, where: str) -> int | None:
    """Give the summit, counted from the start; None where the line isn't a narrowPeak or has none."""
    fields = [field.strip() for field in fields]
    if len(fields) < _NARROW_PEAK_COLUMNS or declared in ("broadpeak", "gappedpeak"):
        return None
    if not all(_NUMBER.fullmatch(f) or f.lower() in _MISSING for f in fields[6:9]):
        return None
    is_whole = re.fullmatch(r"-?\d+", fields[9], re.ASCII) is not None
    if fields[9].lower() in _MISSING or (is_whole and _has_blocks(fields, end - start)):
        return None
    if declared != "narrowpeak" and _has_thick_part(fields, start, end):
        if is_whole:
            _require_places(fields, start, end, where)
        return None
    if len(fields) > _NARROW_PEAK_COLUMNS and not is_whole:
        return None
    summit = _number(fields[9], "summit", where)
    if summit >= end - start or summit < -1:
        raise InputError(
            f"{where}: summit {summit} is outside the peak of {end - start} bp; "
            "column 10 counts from its start"
        )
    return summit if summit >= 0 else None


def _has_blocks(fields: list[str], length: int) -> bool:
    """Whether columns 10 to 12 are the blocks of a BED12."""
    lists = fields[10:12]
    if len(lists) < 2 or not all(_LIST.fullmatch(text) for text in lists):
        return False
    sizes, starts = (text.rstrip(",").split(",") for text in lists)
    is_whole = (sizes, starts) == ([str(length)], ["0"])
    return str(len(sizes)) == str(len(starts)) == fields[9] and (
        is_whole or all("," in text for text in lists)
    )


def _has_thick_part(fields: list[str], start: int, end: int) -> bool:
    """Whether columns 7 to 9 are places in the region, in their order, and no colour; 0, 0, 0 are none."""
    first, last, colour = fields[6:9]
    if not (first.isdecimal() and last.isdecimal() and colour in ("0", ".")):
        return False
    return start <= int(first) <= int(last) <= end and int(last) > 0


def _require_places(fields: list[str], start: int, end: int, where: str) -> None:
    """Stop where what seem to be places in the region could be a signal and a p-value."""
    at_ends = {int(fields[6]), int(fields[7])} <= {start, end}
    if start < _PLACES_FROM and not at_ends:
        raise InputError(
            f"{where}: columns 7 to 10 can be those of a narrowPeak or of a BED9 with one more; take column "
            "10 out, or call the file .narrowPeak"
        )
