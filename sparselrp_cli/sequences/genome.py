"""A genome, read at any place."""

import logging
import struct
import tempfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.fasta import check_nucleotides
from sparselrp_cli.sequences.genome_index import open_indexed, read_stretch
from sparselrp_cli.sequences.one_hot import UNKNOWN
from sparselrp_cli.sequences.text import HEAD, compression, display_name, is_pipe, open_lines, readable

logger = logging.getLogger("sparselrp")

_PIECE = 1 << 22
_PACKED_SUFFIXES = (".gz", ".bgz")
_MITOCHONDRIA = ("chrM", "M", "MT", "chrMT", "mitochondrion_genome", "MtDNA")
# Biopython raises a RuntimeError at a block of another size than it says.
_READING = (
    zlib.error, struct.error, ValueError, EOFError, OSError, IndexError, OverflowError, MemoryError,
    RuntimeError,
)  # fmt: skip


class Genome:
    """Random access to a FASTA file, plain, bgzip or gzip.

    Plain and bgzip files are read in place, through the index beside them. Other gzip files, and pipes, are
    first decompressed to a temporary file, which is removed at the end.

    Attributes
    ----------
    name : str
        The file's name, for messages.
    chrom_sizes : dict of str to int
        Lengths in bp, in the order of the file.

    Raises
    ------
    InputError
        On entering, if the file can't be read, or is no FASTA with records of distinct names.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = display_name(path)
        self.chrom_sizes: dict[str, int] = {}

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            with readable(self.path):
                fasta = self._seekable(resources)
                self._faidx = resources.enter_context(open_indexed(fasta, self.name))
            self.chrom_sizes = {name: int(entry.rlen) for name, entry in self._faidx.index.items()}
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def fetch(self, chrom: str, start: int, end: int) -> bytes:
        """Read a stretch, 0-based half-open; what lies outside the chromosome comes back as N.

        Raises
        ------
        KeyError
            If there is no such chromosome.
        InputError
            If the file holds letters that are no nucleotides there, or is damaged.
        """
        size = self.chrom_sizes[chrom]
        first, last = min(max(start, 0), size), min(max(end, 0), size)
        inside = b""
        if first < last:
            inside = self._read(chrom, first, last)
            check_nucleotides(inside, f"{self.name} {chrom}:{first}-{last}")
        left = max(min(end, 0) - start, 0)
        return UNKNOWN * left + inside + UNKNOWN * (end - start - left - len(inside))

    def explain_unknown(self, chrom: str) -> str:
        """Say that there is no such chromosome, and which one may be meant."""
        bare = chrom[3:] if chrom.lower().startswith("chr") else chrom
        others = [bare, f"chr{bare}", f"Chr{bare}", f"chr{bare.upper()}", bare.upper(), chrom.split(".")[0]]
        if bare.upper() in ("M", "MT"):
            others.extend(_MITOCHONDRIA)
        near = [other for other in others if other in self.chrom_sizes][:1] or list(self.chrom_sizes)[:3]
        has = ", ".join(f"'{name}'" for name in near)
        more = ", ..." if len(near) == 3 < len(self.chrom_sizes) else ""
        return f"'{chrom}' is not in {self.name}; it has {has}{more}"

    def _read(self, chrom: str, first: int, last: int) -> bytes:
        try:
            sequence = read_stretch(self._faidx, chrom, first, last)
        except _READING as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self.name}: can't read {chrom}:{first}-{last} ({reason}); is it damaged?"
            ) from error
        if len(sequence) != last - first:
            raise InputError(f"{self.name}: {chrom} ends before {last}; the file was cut off or changed")
        return sequence

    def _seekable(self, resources: ExitStack) -> Path:
        """Give a file that pyfaidx can read at any place, and of which it knows whether it is packed."""
        path = Path(self.path)
        if is_pipe(self.path):
            return self._decompressed(resources)
        with path.open("rb") as stream:
            packed = compression(stream.read(HEAD), self.name)
        if packed == "gzip":
            return self._decompressed(resources)
        if (packed == "bgzip") == path.name.lower().endswith(_PACKED_SUFFIXES):
            return path
        link = _temporary_folder(resources) / ("genome.fa.gz" if packed == "bgzip" else "genome.fa")
        link.symlink_to(path.resolve())
        return link

    def _decompressed(self, resources: ExitStack) -> Path:
        copy = _temporary_folder(resources) / "genome.fa"
        logger.info("%s is a pipe, or gzip but not bgzip: decompressing it to %s", self.name, copy)
        _append(copy, b"")
        with open_lines(self.path) as source:
            while piece := source.read(_PIECE):
                _append(copy, piece)
        return copy


def _temporary_folder(resources: ExitStack) -> Path:
    return Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="sparselrp-")))


def _append(copy: Path, piece: bytes) -> None:
    try:
        with copy.open("ab") as stream:
            stream.write(piece)
    except OSError as error:
        raise InputError(
            f"{copy}: can't hold the decompressed genome ({(error.strerror or '').lower()}); "
            "set TMPDIR to a larger disk"
        ) from error
