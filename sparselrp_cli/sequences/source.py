"""Sources of windows: regions of a genome, or the records of a FASTA file; batch by batch."""

import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.blocks import BlocksWanted, Marked, Stretch, marks, n_bases
from sparselrp_cli.sequences.fasta import Record, read_records
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.one_hot import NUCLEOTIDES, OneHot, count_ambiguous, encode
from sparselrp_cli.sequences.plain_index import plain_entries
from sparselrp_cli.sequences.regions import Region, counted, read_regions
from sparselrp_cli.sequences.text import display_name, is_pipe
from sparselrp_cli.sequences.variants import Variant, read_variants, why_not, window_sequence
from sparselrp_cli.sequences.windows import Allele, Skipped, Window, around, count_tiles, tiles

logger = logging.getLogger("sparselrp")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Places of the input that belong together, and their windows, which go through the engine together.

    Attributes
    ----------
    number : int
        Counted from 0: its places are those from ``number * size`` on, whatever was skipped before.
    windows : tuple of Window, length N
    one_hot : ndarray of uint8, shape (N, 4, L)
        On the forward strand, whatever the strand of the window.
    n_unknown : ndarray of int64, shape (N,)
        Positions without a known base.
    skipped : tuple of Skipped
        Its places that aren't scored.
    ambiguous : int
        IUPAC letters other than N that were read as N.
    marked : ndarray of uint8, shape (N, L), or None
        Where blocks were wanted: 1 where a base lies in one.
    """

    number: int
    windows: tuple[Window, ...]
    one_hot: OneHot
    n_unknown: npt.NDArray[np.int64]
    skipped: tuple[Skipped, ...] = ()
    ambiguous: int = 0
    marked: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A window to be, with its letters; or the reason why there is none, and what the input says of it."""

    window: Window
    start: int
    end: int
    sequence: bytes = b""
    reason: str = ""
    blocks: tuple[Stretch, ...] = ()

    def skipped(self, reason: str) -> Skipped:
        window = self.window
        return Skipped(window.chrom, self.start, self.end, window.name, window.strand, window.index, reason)


class WindowSource(ABC):
    """Windows of one length, counted and put in batches.

    Parameters
    ----------
    length : int
        Of a window, in bp.
    max_unknown : float
        Windows with a larger share of unknown bases are skipped, and windows without any known base.
    blocks : BlocksWanted, optional
        Windows are to come with blocks, and those without the wanted ones are skipped.
    """

    def __init__(self, length: int, max_unknown: float = 1.0, blocks: BlocksWanted | None = None) -> None:
        self.length = length
        self.max_unknown = max_unknown
        self.blocks = blocks
        self._warned = False
        self._warned_of_blocks = False

    @property
    @abstractmethod
    def chrom_sizes(self) -> dict[str, int]:
        """Lengths in bp by name; of plain FASTA, of the records read so far."""

    def read_sizes(self) -> None:  # noqa: B027 - most know them from the start
        """Read all sizes, where no windows are asked for."""

    @abstractmethod
    def count(self) -> int | None:
        """Count the windows to come, skipped ones included; None where that needs the only look there is."""

    @abstractmethod
    def _places(self, first: int, last: int | None) -> Iterator[_Place]:
        """Give the places numbered from `first` to before `last`, and read all sizes."""

    def batches(self, size: int, first: int = 0, last: int | None = None) -> Iterator[Batch]:
        """Give the places of the input, `size` at a time and in its order; only one batch is in memory.

        Parameters
        ----------
        size : int
            Places in a batch, skipped ones included: so the batches behind an interruption, and those of a
            shard, are those of the whole run, and so are the roundings of their numbers.
        first, last : int
            Numbers of the first batch and of the one behind the last; None is the end.
        """
        places = self._places(first * size, None if last is None else last * size)
        for number in itertools.count(first):
            rows = list(itertools.islice(places, size))
            if not rows:
                return
            yield self._batch(number, rows)

    def _batch(self, number: int, places: list[_Place]) -> Batch:
        windows: list[Window] = []
        encodings: list[OneHot] = []
        marked: list[Marked] = []
        skipped: list[Skipped] = []
        ambiguous = 0
        for place in places:
            encoded = encode(place.sequence)
            reason = place.reason or self._too_unknown(encoded)
            if not reason and self.blocks is not None:
                marks_here = self._marks(place, self.blocks)
                reason = self.blocks.obstacle(marks_here, place.window.strand)
                if not reason:
                    marked.append(marks_here)
            if reason:
                skipped.append(place.skipped(reason))
                continue
            ambiguous += self._count_ambiguous(place)
            windows.append(place.window)
            encodings.append(encoded)
        one_hot = np.stack(encodings) if encodings else np.zeros((0, 4, self.length), np.uint8)
        n_unknown = self.length - one_hot.sum((1, 2), dtype=np.int64)
        of_blocks = None
        if self.blocks is not None:
            of_blocks = np.stack(marked) if marked else np.zeros((0, self.length), np.uint8)
        return Batch(number, tuple(windows), one_hot, n_unknown, tuple(skipped), ambiguous, of_blocks)

    def _marks(self, place: _Place, wanted: BlocksWanted) -> Marked:
        """Mark the bases of a window that lie in blocks, and say so once if there are more of them."""
        if wanted.kept is not None:
            return wanted.kept(place.window.index)
        marked = marks(place.blocks, place.window.start, self.length)
        reason = wanted.obstacle(marked, place.window.strand)
        if not (self._warned_of_blocks or reason) and wanted.beyond(
            marked, place.window.strand, n_bases(place.blocks)
        ):
            logger.warning(
                "blocks that lie under no position of the output don't count, and only the others do (first"
                " in %s)",
                place.window.name,
            )
            self._warned_of_blocks = True
        return marked

    def _count_ambiguous(self, place: _Place) -> int:
        found = count_ambiguous(place.sequence)
        if found and not self._warned:
            logger.warning("letters such as R or Y count as N (first in %s)", place.window.name)
            self._warned = True
        return found

    def _too_unknown(self, encoded: OneHot) -> str:
        unknown = self.length - int(encoded.sum())
        if unknown == self.length:
            return "no known base in the window"
        if unknown / self.length > self.max_unknown:
            verb = "is" if unknown == 1 else "are"
            return f"{unknown} of {self.length} bases {verb} unknown, a share above {self.max_unknown:g}"
        return ""


class RegionSource(WindowSource):
    """Windows around the regions of a BED on a genome."""

    def __init__(
        self, genome: Genome, regions: str, length: int, max_unknown: float = 1.0,
        blocks: BlocksWanted | None = None,
    ) -> None:  # fmt: skip
        super().__init__(length, max_unknown, blocks)
        self.genome = genome
        self.regions = regions

    @property
    def chrom_sizes(self) -> dict[str, int]:
        return self.genome.chrom_sizes

    def count(self) -> int | None:
        """Count the regions, which also finds a malformed line before anything is computed."""
        return None if is_pipe(self.regions) else sum(1 for _ in self._counted())

    def _counted(self) -> Iterator[Region]:
        return counted(self._read(), display_name(self.regions))

    def _read(self) -> Iterator[Region]:
        wanted = self.blocks is not None and self.blocks.kept is None
        return read_regions(self.regions, blocks=wanted)

    def _places(self, first: int, last: int | None) -> Iterator[_Place]:
        # What can be read only once is counted as it is read.
        regions = self._counted() if is_pipe(self.regions) else self._read()
        for index, region in itertools.islice(enumerate(regions), first, last):
            yield self._place(index, region)

    def _place(self, index: int, region: Region) -> _Place:
        window = Window(region.chrom, *around(region.centre, self.length), region.name, region.strand, index)
        size = self.genome.chrom_sizes.get(region.chrom)
        if size is None:
            return _Place(window, region.start, region.end, reason=self.genome.explain_unknown(region.chrom))
        if region.centre >= size:
            reason = f"its centre {region.centre} is beyond the end of {region.chrom} ({size} bp)"
            return _Place(window, region.start, region.end, reason=reason)
        sequence = self.genome.fetch(region.chrom, window.start, window.end)
        return _Place(window, region.start, region.end, sequence, blocks=region.blocks)


class VariantSource(WindowSource):
    """Windows around the variants of a VCF, with the reference or the alternative allele in them.

    A window begins `length // 2` before the first base that differs. Both alleles have the same windows, and
    the same variants are skipped.
    """

    def __init__(self, genome: Genome, variants: str, length: int, allele: Allele) -> None:
        super().__init__(length)
        self.genome = genome
        self.variants = variants
        self.allele = allele

    @property
    def chrom_sizes(self) -> dict[str, int]:
        return self.genome.chrom_sizes

    def count(self) -> int | None:
        """Count the alternative alleles, which also finds a malformed line before anything is computed."""
        return sum(1 for _ in read_variants(self.variants))

    def checked(self) -> Iterator[tuple[Variant, str]]:
        """Give every variant with the reason why it can't be explained; the reason is empty if it can."""
        for variant in read_variants(self.variants):
            yield variant, why_not(variant, self.genome, self.length)

    def _places(self, first: int, last: int | None) -> Iterator[_Place]:
        for index, (variant, reason) in itertools.islice(enumerate(self.checked()), first, last):
            start, end = around(variant.changed_at, self.length)
            window = Window(variant.chrom, start, end, variant.name, ".", index)
            sequence = b"" if reason else window_sequence(variant, self.allele, self.genome, start, end)
            yield _Place(window, variant.start, variant.start + len(variant.ref), sequence, reason)


class RecordSource(WindowSource):
    """Windows over every record of a FASTA file: tiled where it is longer, padded where it is shorter."""

    def __init__(
        self, path: str, length: int, overlap: int | None = None, max_unknown: float = 1.0,
        blocks: BlocksWanted | None = None,
    ) -> None:  # fmt: skip
        super().__init__(length, max_unknown, blocks)
        self.path = path
        self.overlap = length // 2 if overlap is None else overlap
        if self.overlap >= length:
            raise InputError(
                f"an overlap of {self.overlap} bp leaves no step between windows of {length} bp; "
                "choose a smaller one"
            )
        self._sizes: dict[str, int] = {}

    @property
    def chrom_sizes(self) -> dict[str, int]:
        return self._sizes

    def read_sizes(self) -> None:
        """Read all sizes, where no windows are asked for."""
        self._sizes = {record.name: len(record.sequence) for record in read_records(self.path)}

    def count(self) -> int | None:
        """Count the windows, which also finds a malformed record before anything is computed."""
        if is_pipe(self.path):
            return None
        return sum(count_tiles(n, self.length, self.overlap) for n in self._lengths())

    def _lengths(self) -> Iterator[int]:
        """Give the length of every record."""
        found = plain_entries(Path(self.path), NUCLEOTIDES)
        if found is not None:
            return (entry.length for entry in found.values())
        return (len(record.sequence) for record in read_records(self.path))

    def _places(self, first: int, last: int | None) -> Iterator[_Place]:
        number = 0
        for index, record in enumerate(read_records(self.path)):
            self._sizes[record.name] = len(record.sequence)
            count = count_tiles(len(record.sequence), self.length, self.overlap)
            inside = slice(max(first - number, 0), None if last is None else max(last - number, 0))
            number += count
            if number > first:
                yield from itertools.islice(self._tiled(index, record), inside.start, inside.stop)

    def _tiled(self, index: int, record: Record) -> Iterator[_Place]:
        size = len(record.sequence)
        for start, end in tiles(size, self.length, self.overlap):
            name = f"{record.name}:{start}-{end}" if size > self.length else record.name
            sequence = b"N" * max(-start, 0) + record.sequence[max(start, 0) : end]
            window = Window(record.name, start, end, name, ".", index)
            yield _Place(window, max(start, 0), min(end, size), sequence.ljust(self.length, b"N"))


@contextmanager
def open_source(
    sequences: str,
    regions: str | None,
    length: int,
    *,
    overlap: int | None = None,
    max_unknown: float = 1.0,
    allele: Allele | None = None,
    blocks: BlocksWanted | None = None,
) -> Iterator[WindowSource]:
    """Open the windows a run is to explain.

    Parameters
    ----------
    sequences : str
        FASTA; a genome where `regions` are given. `-` is standard input.
    regions : str or None
        BED or narrowPeak; a VCF where an `allele` is given.
    length : int
        Of a window, in bp.
    allele : {"ref", "alt"}, optional
        What a window around a variant holds.
    blocks : BlocksWanted, optional
        Of targets that read blocks.

    Raises
    ------
    InputError
        Also where blocks are wanted and there are none.
    """
    if blocks is not None and blocks.kept is None:
        _require_regions(regions, allele)
    if regions is None:
        yield RecordSource(sequences, length, overlap, max_unknown, blocks)
        return
    with Genome(sequences) as genome:
        if allele is not None:
            yield VariantSource(genome, regions, length, allele)
        else:
            yield RegionSource(genome, regions, length, max_unknown, blocks)


def _require_regions(regions: str | None, allele: Allele | None) -> None:
    """Stop where no blocks can be read."""
    if regions is None:
        raise InputError("a target with @blocks reads the blocks of regions; give a BED12 with --regions")
    if allele is not None:
        raise InputError(
            "a target with @blocks reads the blocks of regions, which variants don't have; name positions"
            " such as @START:END"
        )
