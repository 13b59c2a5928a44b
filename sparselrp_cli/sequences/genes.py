"""Genes around many windows: whole extents, and of exons no more than windows touch."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.blocks import Stretch
from sparselrp_cli.sequences.features import (
    BOMB_BYTES,
    Feature,
    feature_lines,
    is_gtf,
    merged,
    of_bed,
    of_gtf,
)
from sparselrp_cli.sequences.text import display_name, is_pipe, open_lines

MOST_GENES = 500_000
"""Of a file; the largest catalogues have half of it, transcripts and all."""
_GTF_COLUMNS, _DIGITS = 9, 19
_WHOLE = (b"gene", b"transcript", b"mRNA")
"""Lines of a GTF that span a gene, so that lines of its exons far from any window can be passed over."""


@dataclass(frozen=True)
class Windows:
    """Windows of a chromosome, all of one length.

    Attributes
    ----------
    starts, ends : sequence of int
        0-based half-open, in increasing order.
    """

    starts: Sequence[int]
    ends: Sequence[int]

    def touch(self, start: int, end: int) -> bool:
        """Whether one of them holds a base of a stretch."""
        return bisect_left(self.starts, end) > bisect_right(self.ends, start)


@dataclass(slots=True)
class _Gene:
    """A gene as its lines are read."""

    first: Feature
    start: int
    end: int
    blocks: list[Stretch] = field(default_factory=list)
    thick: list[Stretch] = field(default_factory=list)

    def add(self, part: Feature, windows: Windows) -> None:
        self.start, self.end = min(self.start, part.start), max(self.end, part.end)
        if windows.touch(part.start, part.end):
            self.blocks += part.blocks
            self.thick += part.thick

    def feature(self, *, has_exons: bool) -> Feature:
        blocks = merged(self.blocks) if has_exons else ((self.start, self.end),)
        return replace(
            self.first, start=self.start, end=self.end, blocks=blocks, thick=merged(self.thick), aliases=()
        )


def read_genes(path: str, windows: Mapping[str, Windows]) -> list[Feature]:
    """Read the genes of the chromosomes of some windows, from GTF or BED, plain or gzip.

    A gene has its whole extent, and those of its exons that a window touches; where the file has no exons, it
    is one as a whole. So what is kept doesn't grow with the exons of a genome.

    Parameters
    ----------
    path : str
    windows : mapping of str to Windows
        By chromosome.

    Returns
    -------
    list of Feature
        In the order of their chromosome, start and end.

    Raises
    ------
    InputError
        With the line that is wrong, or if there are more than `MOST_GENES`.
    """
    file, parts = display_name(path), _Parts(path, windows)
    genes: dict[tuple[str, str, str], _Gene] = {}
    others: list[Feature] = []
    for key, part in parts:
        here = windows[part.chrom]
        if key is None:
            others.append(_cut(part, here))
        elif key in genes:
            genes[key].add(part, here)
        else:
            genes[key] = _Gene(part, part.start, part.end)
            genes[key].add(part, here)
        if len(genes) + len(others) > MOST_GENES:
            raise InputError(f"{file} has over {MOST_GENES:,} features; give one of genes")
    found = [*others, *(gene.feature(has_exons=parts.has_exons) for gene in genes.values())]
    return sorted(found, key=lambda f: (f.chrom, f.start, f.end, f.name))


def require_genes(path: str) -> None:
    """Read the first line of genes, so that a file that isn't one is refused before something slow starts.

    Raises
    ------
    InputError
        If it can't be read, or only once, has no line, or its first is neither of a GTF nor of a BED.
    """
    file = display_name(path)
    if is_pipe(path):
        raise InputError(f"{file} can be read only once, and each page needs the genes; give a file")
    with open_lines(path, BOMB_BYTES) as stream:
        for _ in feature_lines(stream, file):
            return
    raise InputError(f"{file} has no gene")


class _Parts:
    """Lines with the key of their gene; None of a BED's, which are whole.

    Attributes
    ----------
    has_exons : bool
        Whether a line so far was of an exon, one that is passed over, too.
    """

    def __init__(self, path: str, windows: Mapping[str, Windows]) -> None:
        self.has_exons = False
        self._path, self._file = path, display_name(path)
        self._chroms = {name.encode("utf-8", "surrogateescape"): here for name, here in windows.items()}
        self._span: tuple[bytes, int, int] = b"", 0, 0

    def __iter__(self) -> Iterator[tuple[tuple[str, str, str] | None, Feature]]:
        with open_lines(self._path, BOMB_BYTES) as stream:
            for number, line in feature_lines(stream, self._file):
                columns = line.split(b"\t" if b"\t" in line else None)
                if columns[0] not in self._chroms or self._is_far(columns):
                    continue
                fields, where = [c.decode("utf-8", "replace") for c in columns], f"{self._file} line {number}"
                if not is_gtf(fields, where):
                    yield None, of_bed(fields, where)
                elif (read := of_gtf(fields, where)) is not None:
                    yield read

    def _is_far(self, columns: Sequence[bytes]) -> bool:
        """Whether a line adds nothing: an exon that no window touches, of a gene whose extent is known.

        To read the attributes of each exon of a genome would take most of the time.
        """
        if len(columns) < _GTF_COLUMNS or not (columns[3].isdigit() and columns[4].isdigit()):
            return False
        chrom, start, end = columns[0], int(columns[3][:_DIGITS]) - 1, int(columns[4][:_DIGITS])
        self.has_exons |= columns[2] == b"exon"
        if columns[2] in _WHOLE:
            self._span = chrom, start, end
            return False
        is_inside = self._span[0] == chrom and self._span[1] <= start and end <= self._span[2]
        return is_inside and not self._chroms[chrom].touch(start, end)


def _cut(feature: Feature, windows: Windows) -> Feature:
    """Leave out the exons that no window touches; what has none is one as a whole."""

    def near(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
        return tuple(stretch for stretch in stretches if windows.touch(*stretch))

    blocks = feature.blocks or ((feature.start, feature.end),)
    return replace(feature, blocks=near(blocks), thick=near(feature.thick))
