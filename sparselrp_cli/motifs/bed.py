"""Seqlets and hits as BED9 with columns of our own, and the autoSql that describes these to bigBed.

Browsers draw the first nine columns (https://genome.ucsc.edu/FAQ/FAQformat.html#format1): the motif's known
name, and a colour for each motif. To make a bigBed::

    bedToBigBed -type=bed9+6 -tab -as=PREFIX.hits.as PREFIX.hits.bed chrom.sizes hits.bb
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.names import field
from sparselrp_cli.motifs.discovery import Motif
from sparselrp_cli.motifs.hits import Hit
from sparselrp_cli.motifs.null import Null
from sparselrp_cli.motifs.seqlets import Seqlets
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.bigbed import write_bigbed

# Okabe & Ito's (2008), which the colour-blind tell apart, without black and the yellow that white swallows.
PALETTE = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
# Each further round through the palette is so much darker.
DARKER = 0.7
NO_MOTIF = "140,140,140"

STANDARD = (
    ("string", "chrom", "Chromosome"),
    ("uint", "chromStart", "First base, 0-based"),
    ("uint", "chromEnd", "Behind the last base"),
    ("string", "name", "Known motif that this motif matches, or the motif's own name"),
    ("uint", "score", "-10 log10 q, at most 1000"),
    ("char[1]", "strand", "Of the motif; . without one"),
    ("uint", "thickStart", "As chromStart"),
    ("uint", "thickEnd", "As chromEnd"),
    ("uint", "reserved", "itemRgb: a colour for each motif"),
)
OF_SEQLETS = (
    ("double", "relevance", "Sum of the contributions"),
    ("double", "p", "Probability of as much under the null"),
    ("double", "q", "False discovery rate at which it is called"),
    ("string", "motif", "Motif it belongs to; . without one"),
    ("string", "window", "Window it lies in"),
    ("string", "calibrated", "Whether p and q hold for windows without sites: yes or no"),
    ("string", "seqlet", "Number of the seqlet"),
)
MOTIF = [name for _, name, _ in OF_SEQLETS].index("motif")
OF_HITS = (
    ("double", "relevance", "Sum of the contributions"),
    ("double", "matrixP", "p-value of the match of the matrix"),
    ("double", "relevanceP", "Probability of as much relevance under the null"),
    ("string", "window", "Window it lies in"),
    ("string", "motif", "Motif it is a hit of"),
    ("string", "calibrated", "Whether relevanceP and score hold for windows without sites: yes or no"),
)


@dataclass(frozen=True)
class Look:
    """How a motif is drawn.

    Attributes
    ----------
    name : str
        Of the known motif that it matches, or its own.
    colour : str
        Red, green and blue, 0 to 255, with commas.
    """

    name: str
    colour: str


def looks(motifs: Sequence[str], known: Mapping[str, str]) -> dict[str, Look]:
    """Give each motif its look; the colour depends on its place in the order only.

    Parameters
    ----------
    motifs : sequence of str
        Their own names, in order.
    known : mapping
        The known name, of motifs that have one.
    """
    return {name: Look(known.get(name, name), _colour(i)) for i, name in enumerate(motifs)}


def write_seqlets(
    path: Path, reader: ArchiveReader, seqlets: Mapping[int, Seqlets], motifs: Sequence[tuple[str, Motif]],
    nulls: Mapping[int, Null], shown: Mapping[str, Look],
) -> None:  # fmt: skip
    """Write the seqlets as sorted BED9 with the columns `OF_SEQLETS`, without a header.

    A seqlet without a motif is called by its number.

    Raises
    ------
    OutputError
    """
    rows = sorted(
        row for sign, found in seqlets.items() for row in _seqlet_rows(reader, found, motifs, nulls[sign])
    )
    lines = []
    for number, (chrom, start, end, score, strand, own) in enumerate(rows, 1):
        seqlet = f"seqlet_{number}"
        look = shown.get(own[MOTIF], Look(seqlet, NO_MOTIF))
        lines.append((*_standard(chrom, start, end, score, strand, look), *own, seqlet))
    _write_lines(path, lines)


def write_hits(
    path: Path, hits: Sequence[Hit], nulls: Mapping[int, Null], signs: Mapping[str, int],
    shown: Mapping[str, Look],
) -> None:  # fmt: skip
    """Write the hits as sorted BED9 with the columns `OF_HITS`, without a header.

    Parameters
    ----------
    signs : mapping
        Of each motif.

    Raises
    ------
    OutputError
    """
    _write_lines(
        path,
        (
            (
                *_standard(h.chrom, h.start, h.end, _score(h.relevance_q), h.strand, shown[h.motif]),
                shown_relevance(h.relevance), f"{h.matrix_p:.3g}", f"{h.relevance_p:.3g}", field(h.window),
                h.motif, _yes_or_no(nulls[signs[h.motif]]),
            )
            for h in hits
        ),
    )  # fmt: skip


def write_description(path: Path, kind: str) -> None:
    """Write the autoSql of a kind of BED.

    Parameters
    ----------
    path : Path
    kind : str
        ``seqlets`` or ``hits``.

    Raises
    ------
    OutputError
    """
    with replacing(path) as hidden:
        hidden.write_text(_description(kind))


def write_indexed(bed: Path, kind: str, chrom_sizes: Mapping[str, int]) -> Path | None:
    """Write seqlets or hits as bigBed beside their BED.

    Parameters
    ----------
    bed : Path
        As `write_seqlets` or `write_hits` wrote it.
    kind : str
        ``seqlets`` or ``hits``.
    chrom_sizes : mapping of str to int
        In bp.

    Returns
    -------
    Path or None
        None where the BED is empty, which no bigBed can be.

    Raises
    ------
    OutputError
    """
    path = bed.with_suffix(".bb")
    if not bed.stat().st_size:
        return None
    sizes = {field(chrom): size for chrom, size in chrom_sizes.items()}
    write_bigbed(path, bed, sizes, _description(kind), len(STANDARD))
    return path


def _description(kind: str) -> str:
    own, what = {
        "seqlets": (OF_SEQLETS, "Stretches of more relevance than the null gives"),
        "hits": (OF_HITS, "Matches of motifs with more relevance than the null gives"),
    }[kind]
    lines = [f'    {kind_} {name}; "{meaning}"' for kind_, name, meaning in (*STANDARD, *own)]
    return "\n".join([f"table {kind}", f'"{what}"', "    (", *lines, "    )", ""])


def _seqlet_rows(
    reader: ArchiveReader, found: Seqlets, motifs: Sequence[tuple[str, Motif]], null: Null
) -> Iterator[tuple[str, int, int, int, str, tuple[str, ...]]]:
    """Give place, score, strand and the columns `OF_SEQLETS` but the last."""
    at, chroms = reader.coordinates, list(reader.chrom_sizes)
    place = {
        int(i): (name, "-" if reverse else "+")
        for name, motif in motifs
        if motif.sign == found.sign
        for i, reverse in zip(motif.instances.index, motif.instances.reverse, strict=True)
    }
    for first in range(0, len(found), 256):
        windows = reader.windows(found.row[first : first + 256])
        for i, window in enumerate(windows, first):
            motif, strand = place.get(i, (".", "."))
            offset = int(at.start[found.row[i]])
            start, end = offset + int(found.start[i]), offset + int(found.end[i])
            numbers = (shown_relevance(found.relevance[i]), f"{found.p[i]:.3g}", f"{found.q[i]:.3g}")
            own = (*numbers, motif, field(window.name), _yes_or_no(null))
            yield field(chroms[at.chrom[found.row[i]]]), start, end, _score(found.q[i]), strand, own


def _standard(chrom: str, start: int, end: int, score: int, strand: str, look: Look) -> tuple[object, ...]:
    return field(chrom), start, end, field(look.name), score, strand, start, end, look.colour


def _colour(number: int) -> str:
    rounds, place = divmod(number, len(PALETTE))
    return ",".join(str(round(part * DARKER**rounds)) for part in PALETTE[place])


def _score(q: float) -> int:
    return 1000 if q <= 1e-100 else min(1000, round(-10 * float(np.log10(q))))


def shown_relevance(value: float) -> str:
    """Write a number whose first digits aren't 1 alone.

    In a line of twelve columns or more igv.js takes the tenth up to its point for the number of blocks. One
    block would fit the eleventh and twelfth, which hold one number each, and be drawn in place of the whole.
    """
    text = f"{value:.6g}"
    if re.match(r"1(?!\d)", text) is None:
        return text
    digits, _, exponent = f"{value:.5e}".partition("e")
    return f"0.{digits.replace('.', '').rstrip('0')}e{int(exponent) + 1}"


def _yes_or_no(null: Null) -> str:
    return "yes" if null.calibrated else "no"


def _write_lines(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with (
        replacing(path) as hidden,
        hidden.open("w", encoding="utf-8", errors="replace", newline="\n") as file,
    ):
        for row in rows:
            file.write("\t".join(map(str, row)) + "\n")
