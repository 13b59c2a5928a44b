"""Motif files of every kind that databases hand out, recognised by what is in them.

Biopython reads files as their writers mean them: it takes HOMER's motifs for JASPAR's, and refuses a TRANSFAC
or MEME file with a blank less (biopython#4265). So they are read here; where Biopython reads a file, too,
tests compare.
"""

import hashlib
import io
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from sparselrp_cli.errors import InputError, number_of
from sparselrp_cli.motifs.formats import cisbp, headed, meme, transfac
from sparselrp_cli.motifs.formats.matrix import KnownMotif, Lines
from sparselrp_cli.sequences.text import display_name, numbered_lines, read_packed, require_content, unpacked

__all__ = ["KnownMotif", "MotifFile", "read_motif_file"]

LARGEST = 1 << 26
"""In bytes, packed and unpacked; all of JASPAR has 3 MB."""
MOST = 100_000
_LONGEST_LINE = 1 << 20
_KINDS = "MEME, JASPAR, TRANSFAC, HOMER, HOCOMOCO and CIS-BP"

logger = logging.getLogger("sparselrp")
Parser = Callable[[Lines, str], Iterator[KnownMotif]]
# The first pattern that is found at the beginning of some line says what a file is. Every such file has one
# of the words before it, in small letters, which are found ten times as fast.
_PARSERS: tuple[tuple[tuple[bytes, ...], re.Pattern[bytes], Parser], ...] = tuple(
    (words, re.compile(pattern, re.IGNORECASE | re.MULTILINE), parser)
    for words, pattern, parser in (
        (
            (b"meme version", b"letter-probability", b"log-odds"),
            rb"^[ \t]*(MEME version|(letter-probability|log-odds)[ \t]+matrix)",
            meme.parse,
        ),
        ((b"p0", b"po"), rb"^P[0O][ \t]+[ACGTU]\b", transfac.parse),
        ((b"pos",), rb"^[ \t]*Pos[ \t]+A[ \t]+C[ \t]+G[ \t]+[TU]\b", cisbp.parse),
        ((b">",), rb"^>", headed.parse),
    )
)


@dataclass(frozen=True, eq=False)
class MotifFile:
    """What a motif file holds.

    Attributes
    ----------
    motifs : tuple of KnownMotif
        Of distinct names, in the order of the file.
    sha256 : str
        Of the file, packed as it is.
    """

    motifs: tuple[KnownMotif, ...]
    sha256: str


def read_motif_file(path: str) -> MotifFile:
    """Read a motif file, plain or gzip; it is read once, and so may be a pipe, or ``-`` for standard input.

    MEME; JASPAR, with and without brackets and letters; TRANSFAC, as TRANSFAC, JASPAR, HOCOMOCO and RSAT
    write it; HOMER; HOCOMOCO's counts; CIS-BP. Names that come again get ``_2``, ``_3``, ..., and the log
    says so.

    Raises
    ------
    InputError
        If it is none of these, or damaged, with the line; if it holds log-odds or dinucleotides; or if it is
        larger than a motif database is.
    """
    name = display_name(path)
    packed = read_packed(path, LARGEST)
    content = unpacked(packed, path, LARGEST)
    if content.lstrip().startswith(b"<"):
        raise InputError(f"{name}: an XML or HTML file; give the text form")
    parse = _parser_of(content)
    found: list[KnownMotif] = []
    for motif in parse(_lines(content, name), name) if parse is not None else ():
        if len(found) == MOST:
            raise InputError(f"{name}: more than {MOST} motifs")
        found.append(motif)
    if not found:
        raise InputError(f"{name}: holds no motif; {_KINDS} files are read")
    return MotifFile(tuple(_distinct(found, name)), hashlib.sha256(packed).hexdigest())


def _parser_of(content: bytes) -> Parser | None:
    small = content.lower()
    for words, pattern, parser in _PARSERS:
        if any(word in small for word in words) and pattern.search(content):
            return parser
    return None


def _lines(content: bytes, name: str) -> Lines:
    blank = 0
    for number, line in numbered_lines(io.BytesIO(content), name, _LONGEST_LINE):
        blank = 0 if line else blank + 1
        require_content(blank, name, number)
        yield number, line.decode(errors="replace")


def _distinct(motifs: Sequence[KnownMotif], name: str) -> Iterator[KnownMotif]:
    taken = {motif.name for motif in motifs}
    seen: set[str] = set()
    # Counting on from the last number, not from 2, keeps a file of one name linear.
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(2))
    again: list[str] = []
    for motif in motifs:
        if motif.name in seen:
            again.append(motif.name)
            numbered = (f"{motif.name}_{number}" for number in numbers[motif.name])
            motif = replace(motif, name=next(n for n in numbered if n not in taken))
        taken.add(motif.name)
        seen.add(motif.name)
        yield motif
    if again:
        logger.warning(
            "%s: %s again, the first is '%s'; they are told apart as NAME_2, NAME_3, ...",
            name, number_of(len(again), "name comes", "names come"), again[0],
        )  # fmt: skip
