"""A genome, read at any place."""

import logging
import struct
import tempfile
import zlib
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.bgzip import PlainFile
from sparselrp_cli.sequences.faidx import Entry, UnequalLinesError, unwrapped
from sparselrp_cli.sequences.fasta import check_nucleotides, fasta_pieces
from sparselrp_cli.sequences.genome_index import IndexedFasta, open_indexed
from sparselrp_cli.sequences.one_hot import UNKNOWN
from sparselrp_cli.sequences.text import HEAD, compression, display_name, is_pipe, open_lines, readable

logger = logging.getLogger("sparselrp")

_MITOCHONDRIA = ("chrM", "M", "MT", "chrMT", "mitochondrion_genome", "MtDNA")
_READING = (zlib.error, struct.error, ValueError, EOFError, OSError, IndexError, OverflowError, MemoryError)


class Genome:
    """Random access to a FASTA file, plain, bgzip or gzip.

    Plain and bgzip files are read in place, through the index beside them. Other gzip files, pipes, and files
    whose lines no index can describe are first written to a temporary file, which is removed at the end. What
    FASTA is says `fasta_pieces`, as it does for records that are read one after the other.

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
                self._indexed = self._open(resources)
            self.chrom_sizes = {name: entry.length for name, entry in self._indexed.entries.items()}
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
            sequence = self._indexed.read(chrom, first, last)
        except _READING as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self.name}: can't read {chrom}:{first}-{last} ({reason}); is it damaged?"
            ) from error
        if len(sequence) != last - first:
            raise InputError(f"{self.name}: {chrom} ends before {last}; the file was cut off or changed")
        return sequence

    def _open(self, resources: ExitStack) -> IndexedFasta:
        if is_pipe(self.path):
            return self._unwrapped(resources, "it is a pipe")
        with Path(self.path).open("rb") as stream:
            packed = compression(stream.read(HEAD), self.name)
        if packed == "gzip":
            return self._unwrapped(resources, "it is gzip but not bgzip")
        indexed = open_indexed(Path(self.path), self.name, bgzip=packed == "bgzip")
        try:
            return resources.enter_context(indexed)
        except UnequalLinesError as error:
            reason = f"the lines of record '{error.record}' differ in length (line {error.line})"
            return self._unwrapped(resources, reason)

    def _unwrapped(self, resources: ExitStack, reason: str) -> IndexedFasta:
        """Write the records to a temporary file, each on one line."""
        folder = resources.enter_context(tempfile.TemporaryDirectory(prefix="sparselrp-"))
        copy = Path(folder) / "genome.fa"
        logger.info("%s: %s; unpacking it to %s", self.name, reason, copy)
        entries: dict[str, Entry] = {}
        with closing(self._texts(entries)) as texts:
            try:
                with copy.open("wb") as stream:
                    stream.writelines(texts)
            except OSError as error:
                raise InputError(
                    f"{copy}: can't hold the decompressed genome ({(error.strerror or '').lower()}); "
                    "set TMPDIR to a larger disk"
                ) from error
        indexed = IndexedFasta(PlainFile(copy), entries)
        resources.callback(indexed.close)
        return indexed

    def _texts(self, entries: dict[str, Entry]) -> Generator[bytes, None, None]:
        """Read the file; errors in it are told in here, and so are apart from those of writing it."""
        with open_lines(self.path) as source:
            yield from unwrapped(fasta_pieces(source, self.name), entries)
