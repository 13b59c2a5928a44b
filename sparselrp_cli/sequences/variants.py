"""Variants from VCF, one alternative allele at a time, and what a window with them reads."""

from collections.abc import Iterator
from dataclasses import dataclass

from sparselrp_cli.errors import InputError, number_of
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.text import LONGEST_NAME, display_name
from sparselrp_cli.sequences.vcf import LONGEST_ALLELES, read_records
from sparselrp_cli.sequences.windows import Allele

_MOST_ALLELES = 10_000
_COLUMNS = 5
_LARGEST = 1 << 40
_SHOWN = 12
_BASES = frozenset("ACGT")


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternative allele of a line of a VCF.

    Attributes
    ----------
    chrom : str
    start : int
        The first base of `ref`, 0-based.
    id : str
        ``.`` where the file has none.
    ref, alt : str
        As in the file, in upper case.
    alone : bool
        Whether it is the only alternative of its line.
    changed_at : int
        The first base that differs, 0-based; in an insertion the base behind it.
    removed, inserted : str
        What is left of `ref` and `alt` without the bases they share at their ends.
    """

    chrom: str
    start: int
    id: str
    ref: str
    alt: str
    alone: bool = True

    @property
    def name(self) -> str:
        """The ID, with the allele where the line has several; ``chrom:position:ref>alt`` without an ID."""
        if self.id == ".":
            return f"{self.chrom}:{self.start + 1}:{shown(self.ref)}>{shown(self.alt)}"
        return self.id if self.alone else f"{self.id}:{shown(self.alt)}"

    @property
    def changed_at(self) -> int:
        return self.start + self._shared()[0]

    @property
    def removed(self) -> str:
        before, behind = self._shared()
        return self.ref[before : len(self.ref) - behind]

    @property
    def inserted(self) -> str:
        before, behind = self._shared()
        return self.alt[before : len(self.alt) - behind]

    def _shared(self) -> tuple[int, int]:
        """Count the bases shared at the left end and at the right, the left ones first."""
        shortest = min(len(self.ref), len(self.alt))
        before = 0
        while before < shortest and self.ref[before] == self.alt[before]:
            before += 1
        behind = 0
        while behind < shortest - before and self.ref[-1 - behind] == self.alt[-1 - behind]:
            behind += 1
        return before, behind


def shown(allele: str) -> str:
    """Give an allele for names and messages: in full, or its first bases and its length."""
    return allele if len(allele) <= _SHOWN else f"{allele[:_SHOWN]}..({len(allele)}bp)"


def read_variants(path: str) -> Iterator[Variant]:
    """Read the first five columns of a VCF or BCF; every alternative of a line by itself.

    Raises
    ------
    InputError
        With the line that is wrong, or where there is no variant at all; see `vcf.read_records`.
    """
    found = False
    for where, line in read_records(path):
        found = True
        yield from alternatives(line, where)
    if not found:
        raise InputError(f"{display_name(path)}: holds no variant; check the step that made it")


def why_not(variant: Variant, genome: Genome, length: int) -> str:
    """Say why a variant can't be explained in a window of `length` bp; empty if it can."""
    size = genome.chrom_sizes.get(variant.chrom)
    if size is None:
        return genome.explain_unknown(variant.chrom)
    if variant.start < 0 or variant.start + len(variant.ref) > size:
        return f"it lies beyond the ends of {variant.chrom} ({size} bp)"
    if reason := _unreadable(variant):
        return reason
    there = genome.fetch(variant.chrom, variant.start, variant.start + len(variant.ref)).decode().upper()
    if there != variant.ref:
        return f"REF is {shown(variant.ref)} and the genome has {shown(there)}; is it of this assembly?"
    room = length - length // 2
    longest = max(len(variant.removed), len(variant.inserted))
    if longest > room:
        return f"{longest} bp change, and a window of {length} bp has room for {room}"
    return ""


def window_sequence(variant: Variant, allele: Allele, genome: Genome, start: int, end: int) -> bytes:
    """Read a window of the genome with one of the alleles in it.

    With the alternative, the window begins at the same base and is as long: an insertion pushes bases out at
    the right, a deletion lets others in.
    """
    if allele == "ref":
        return genome.fetch(variant.chrom, start, end)
    at, inserted = variant.changed_at, variant.inserted.encode()
    behind = at + len(variant.removed)
    left = genome.fetch(variant.chrom, start, at)
    rest = (end - start) - len(left) - len(inserted)
    return left + inserted + genome.fetch(variant.chrom, behind, behind + rest)


def _unreadable(variant: Variant) -> str:
    alt = variant.alt
    if alt in (".", "", "<*>", "<NON_REF>"):
        return "there is no alternative allele"
    if alt == "*":
        return "the alternative (*) is a deletion that another line describes"
    if alt.startswith("<"):
        return f"the alternative {shown(alt)} is symbolic and has no sequence"
    if "[" in alt or "]" in alt or alt.startswith(".") or alt.endswith("."):
        return "the alternative is a breakend, which lies on two places"
    for letters, column in ((variant.ref, "REF"), (alt, "ALT")):
        if not _BASES.issuperset(letters):
            return f"{column} {shown(letters)} has letters other than A, C, G and T"
    return "REF and ALT are equal" if variant.ref == alt else ""


def alternatives(raw: bytes, where: str) -> Iterator[Variant]:
    """Read a line of a VCF, every alternative by itself; `where` is its place for messages.

    Raises
    ------
    InputError
    """
    columns = raw.split(b"\t", _COLUMNS)
    if sum(map(len, columns[:_COLUMNS])) > LONGEST_ALLELES:
        raise InputError(f"{where}: REF and ALT have over {LONGEST_ALLELES >> 20} million letters")
    if len(columns) < _COLUMNS:
        raise InputError(
            f"{where}: {number_of(len(columns), 'column')}; VCF has CHROM, POS, ID, REF and ALT, separated by"
            " tabs"
        )
    try:
        chrom, position, identity, ref, alts = (column.decode() for column in columns[:_COLUMNS])
    except UnicodeDecodeError:
        raise InputError(f"{where}: not UTF-8 text; give a VCF") from None
    if not (position.isascii() and position.isdigit() and len(position) <= 18) or int(position) > _LARGEST:
        raise InputError(f"{where}: position '{shown(position)}' is not a whole number of bp")
    if max(len(chrom), len(identity)) > LONGEST_NAME:
        raise InputError(f"{where}: a name of over {LONGEST_NAME} letters; shorten it")
    if alts.count(",") >= _MOST_ALLELES:
        raise InputError(
            f"{where}: {alts.count(',') + 1} alternative alleles; at most {_MOST_ALLELES} are read"
        )
    if not chrom.strip() or not ref:
        raise InputError(f"{where}: {'CHROM' if ref else 'REF'} is missing")
    each, ref = alts.split(","), ref.upper()
    for alt in each:
        yield Variant(
            chrom, int(position) - 1, identity or ".", ref,
            alt.upper() if alt.isalpha() else alt, len(each) == 1,
        )  # fmt: skip
