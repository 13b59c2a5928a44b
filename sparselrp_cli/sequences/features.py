"""Genes and other features that are drawn beside relevance: from GTF, BED12 and every smaller BED."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.blocks import Stretch, read_blocks
from sparselrp_cli.sequences.text import content_lines, display_name, open_lines

BOMB_BYTES = 1 << 30
LONGEST_LINE = 1 << 24
_GTF_COLUMNS, _BED12 = 9, 12
NOT_FEATURES = (b"track", b"browser")
_ATTRIBUTE = re.compile(r'(?P<key>\w+) "(?P<value>[^"]*)"')
_RGB = re.compile(r"\d{1,3},\d{1,3},\d{1,3}", re.ASCII)
_SHOWN, _MOST_DIGITS = 40, 18
_NAMED = ("gene_name", "gene", "gene_id")
"""Attributes of a GTF that a gene is called by, the best first."""
_THICK = ("CDS", "stop_codon", "start_codon")


@dataclass(frozen=True, slots=True)
class Feature:
    """A stretch of a chromosome with a name, such as a gene or a hit of a motif.

    Attributes
    ----------
    chrom : str
    start, end : int
        0-based half-open, in bp.
    name : str
        Empty where the file has none.
    strand : str
        ``+``, ``-`` or ``.``.
    blocks : tuple of (start, end)
        Its exons, on the chromosome, in order and apart; the whole of it where it has none.
    thick : tuple of (start, end)
        What of the blocks is coding, in the same form.
    colour : str
        As ``#rrggbb``; empty where the file has none.
    aliases : tuple of str
        Other names that it is found by.
    """

    chrom: str
    start: int
    end: int
    name: str = ""
    strand: str = "."
    blocks: tuple[Stretch, ...] = ()
    thick: tuple[Stretch, ...] = ()
    colour: str = ""
    aliases: tuple[str, ...] = ()

    def is_called(self, name: str) -> bool:
        """Whether it has a name, whatever its case."""
        return name.casefold() in {n.casefold() for n in (self.name, *self.aliases)}


def read_features(
    path: str, chrom: str | None = None, start: int = 0, end: int = 1 << 62, *, name: str | None = None
) -> list[Feature]:
    """Read what lies over a stretch, or what has a name, from GTF or BED, plain or gzip.

    A GTF is known by its ninth column, attributes such as ``gene_id "x"``. Its exons are put together gene by
    gene, over all transcripts. Of a BED each line is a feature; columns 4, 6, 7 to 9 and 10 to 12 are read
    where they are there and are what BED says.

    Parameters
    ----------
    path : str
    chrom : str, optional
        Of the stretch.
    start, end : int
        0-based half-open.
    name : str, optional
        Of genes anywhere, whatever its case; in place of a stretch.

    Returns
    -------
    list of Feature
        In the order of their chromosome, start and end.

    Raises
    ------
    InputError
        With the line that is wrong.
    """
    found = _parts(path, chrom, name)
    inside = [f for f in found if f.start < end and f.end > start and (name is None or f.is_called(name))]
    return sorted(inside, key=lambda f: (f.chrom, f.start, f.end, f.name))


def feature_names(path: str) -> list[str]:
    """Give every name in a file, each once, in the order of the alphabet."""
    return sorted({name for f in _parts(path, None, None) for name in (f.name, *f.aliases) if name})


def _parts(path: str, chrom: str | None, name: str | None) -> list[Feature]:
    """Read features of a chromosome, or those with a name, or all."""
    file, wanted = display_name(path), None if chrom is None else chrom.encode()
    part = None if name is None else name.casefold().encode()
    genes: dict[tuple[str, str, str], list[Feature]] = {}
    features = []
    with open_lines(path, BOMB_BYTES) as stream:
        for number, line in feature_lines(stream, file):
            if wanted is not None and line.split(None, 1)[0] != wanted:
                continue
            # Decoding and splitting every line of a genome's GTF takes longer than all that follows.
            if part is not None and part not in line.lower():
                continue
            fields = line.decode("utf-8", "replace").split("\t" if b"\t" in line else None)
            where = f"{file} line {number}"
            if not is_gtf(fields, where):
                features.append(of_bed(fields, where))
            elif (read := of_gtf(fields, where)) is not None:
                genes.setdefault(read[0], []).append(read[1])
    return [*features, *(_gene(parts) for parts in genes.values())]


def feature_lines(stream: IO[bytes], file: str) -> Iterator[tuple[int, bytes]]:
    """Give the lines of features with their numbers.

    The first is read whatever its chromosome is: who passes over other chromosomes would else take a file of
    anything for one without features there.

    Raises
    ------
    InputError
        If the first is neither of a GTF nor of a BED.
    """
    is_first = True
    for number, line in content_lines(stream, file, LONGEST_LINE):
        if line.split(None, 1)[0] in NOT_FEATURES:
            continue
        if is_first:
            require_feature(line, f"{file} line {number}")
            is_first = False
        yield number, line


def require_feature(line: bytes, where: str) -> None:
    """Refuse a line that is neither of a GTF nor of a BED."""
    fields = line.decode("utf-8", "replace").split("\t" if b"\t" in line else None)
    if not is_gtf(fields, where):
        of_bed(fields, where)


def is_gtf(fields: Sequence[str], where: str) -> bool:
    """Whether a line is of a GTF: columns 4 and 5 are numbers, and column 9 holds attributes."""
    if len(fields) < _GTF_COLUMNS or not (_is_number(fields[3]) and _is_number(fields[4])):
        return False
    if _is_number(fields[1]) and _is_number(fields[2]):
        return False
    if _ATTRIBUTE.search(fields[8]):
        return True
    raise InputError(
        f'{where}: column 9 has no attributes such as gene_id "x"; give GTF or BED12 (GFF3 becomes GTF with'
        " `gffread -T`)"
    )


def _is_number(text: str) -> bool:
    return len(text) <= _MOST_DIGITS and text.isascii() and text.isdecimal()


def of_gtf(fields: Sequence[str], where: str) -> tuple[tuple[str, str, str], Feature] | None:
    """Give an exon or a coding part with the key of its gene; None of what has no gene."""
    chrom, _, kind, first, last, _, strand = fields[:7]
    attributes = {found["key"]: found["value"] for found in _ATTRIBUTE.finditer(fields[8])}
    names = [attributes[key] for key in _NAMED if attributes.get(key)]
    if not names:
        return None
    start, end = int(first) - 1, int(last)
    if not 0 <= start < end:
        raise InputError(f"{where}: start {first} and end {last} aren't a stretch; positions count from 1")
    aliases = tuple(dict.fromkeys([*names[1:], *filter(None, [attributes.get("transcript_id")])]))
    stretch = ((start, end),)
    feature = Feature(
        chrom, start, end, names[0], strand if strand in ("+", "-") else ".",
        stretch if kind == "exon" else (), stretch if kind in _THICK else (), aliases=aliases,
    )  # fmt: skip
    return (chrom, strand, attributes.get("gene_id") or names[0]), feature


def _gene(parts: Sequence[Feature]) -> Feature:
    """Put a gene together from its lines."""
    aliases = tuple(dict.fromkeys(alias for part in parts for alias in part.aliases))
    return replace(
        parts[0],
        start=min(part.start for part in parts),
        end=max(part.end for part in parts),
        blocks=merged(block for part in parts for block in part.blocks),
        thick=merged(block for part in parts for block in part.thick),
        aliases=tuple(alias for alias in aliases if alias != parts[0].name),
    )


def merged(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Join stretches that overlap or touch."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)


def of_bed(fields: Sequence[str], where: str) -> Feature:
    if len(fields) < 3 or not (_is_number(fields[1]) and _is_number(fields[2])):
        shown = " ".join(fields[:3])[:_SHOWN]
        raise InputError(f"{where}: '{shown}' isn't chromosome, start and end; give GTF, BED or BED12")
    start, end = int(fields[1]), int(fields[2])
    if end <= start:
        raise InputError(f"{where}: end {end} is not after start {start}")
    name = fields[3] if len(fields) > 3 and fields[3] != "." else ""
    strand = fields[5] if len(fields) > 5 and fields[5] in ("+", "-") else "."
    blocks, thick = _drawn_parts(fields, start, end, where)
    return Feature(fields[0], start, end, name, strand, blocks, thick, _colour(fields))


def _drawn_parts(
    fields: Sequence[str], start: int, end: int, where: str
) -> tuple[tuple[Stretch, ...], tuple[Stretch, ...]]:
    """Give the blocks of a BED12 and what of them is thick; nothing of a smaller BED."""
    if len(fields) != _BED12:
        return (), ()
    blocks = merged(read_blocks(fields, start, end, where))
    if not (_is_number(fields[6]) and _is_number(fields[7])):
        return blocks, ()
    first, last = int(fields[6]), int(fields[7])
    return blocks, tuple(_clipped(blocks, first, last))


def _clipped(stretches: Iterable[Stretch], first: int, last: int) -> Iterator[Stretch]:
    for start, end in stretches:
        if max(start, first) < min(end, last):
            yield max(start, first), min(end, last)


def _colour(fields: Sequence[str]) -> str:
    """Give itemRgb as ``#rrggbb``; nothing where it isn't there, or is 0."""
    if len(fields) < 9 or not _RGB.fullmatch(fields[8]):
        return ""
    parts = list(map(int, fields[8].split(",")))
    return "" if max(parts) > 255 else "#{:02x}{:02x}{:02x}".format(*parts)
