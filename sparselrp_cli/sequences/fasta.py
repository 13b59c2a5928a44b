"""FASTA: records one after the other, or a genome read at any place."""

import gzip
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyfaidx

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.one_hot import UNKNOWN, first_invalid
from sparselrp_cli.sequences.text import display_name, numbered_lines, open_lines

logger = logging.getLogger("sparselrp")


@dataclass(frozen=True, slots=True)
class Record:
    """One FASTA record.

    Attributes
    ----------
    name : str
        The first word of the header.
    sequence : bytes
    line : int
        Of the header, from 1.
    """

    name: str
    sequence: bytes
    line: int


def read_records(path: str) -> Iterator[Record]:
    """Read FASTA record by record; `-` is standard input.

    Raises
    ------
    InputError
        If it isn't FASTA of nucleotides, a name comes twice, or nothing is in it.
    """
    name = display_name(path)
    seen: set[str] = set()
    with open_lines(path) as stream:
        for record in _records(numbered_lines(stream, name), name):
            if record.name in seen:
                raise InputError(f"{name} line {record.line}: record '{record.name}' comes a second time")
            seen.add(record.name)
            check_nucleotides(record.sequence, f"{name} record '{record.name}'")
            yield record
    if not seen:
        raise InputError(f"{name}: holds no FASTA record")


def _records(lines: Iterator[tuple[int, bytes]], name: str) -> Iterator[Record]:
    header: tuple[str, int] | None = None
    parts: list[bytes] = []
    for number, line in lines:
        if line.startswith(b">"):
            if header is not None:
                yield _record(header, parts, name)
            header, parts = (_name(line, number, name), number), []
        elif line.strip():
            if header is None:
                raise InputError(f"{name} line {number}: not FASTA; a record begins with '>'")
            parts.append(line.strip())
    if header is not None:
        yield _record(header, parts, name)


def _name(line: bytes, number: int, name: str) -> str:
    try:
        words = line[1:].decode().split()
    except UnicodeDecodeError:
        raise InputError(f"{name} line {number}: the header isn't UTF-8 text") from None
    if not words:
        raise InputError(f"{name} line {number}: the record has no name")
    return words[0]


def _record(header: tuple[str, int], parts: list[bytes], name: str) -> Record:
    if not parts:
        raise InputError(f"{name} line {header[1]}: record '{header[0]}' has no sequence")
    return Record(header[0], b"".join(parts), header[1])


def check_nucleotides(sequence: bytes, where: str) -> None:
    """Stop at a letter that is no nucleotide.

    Raises
    ------
    InputError
    """
    position = first_invalid(sequence)
    if position is not None:
        letter = chr(sequence[position])
        protein = " (a protein?)" if letter.upper() in "EFILPQZJOX*" else ""
        raise InputError(f"{where} position {position + 1}: '{letter}' is no nucleotide{protein}")


class Genome:
    """Random access to a FASTA file, plain, bgzip or gzip.

    The index (`.fai`, and `.gzi` for bgzip) is made beside the file under a temporary name and renamed, so
    that parallel jobs don't meet; where the folder is read-only it is made in a temporary folder.

    Attributes
    ----------
    name : str
        The file's name, for messages.
    chrom_sizes : dict of str to int
        Lengths in bp, in the order of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = display_name(path)
        self.chrom_sizes: dict[str, int] = {}
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._faidx = self._open()
        except BaseException:
            self._resources.close()
            raise
        self.chrom_sizes = {name: int(entry.rlen) for name, entry in self._faidx.index.items()}
        if not self.chrom_sizes:
            self._resources.close()
            raise InputError(f"{self.name}: holds no FASTA record")
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def fetch(self, chrom: str, start: int, end: int) -> bytes:
        """Read a stretch, 0-based half-open; what lies outside the chromosome comes back as N.

        Raises
        ------
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

    def _read(self, chrom: str, first: int, last: int) -> bytes:
        try:
            sequence: bytes = self._faidx.fetch(chrom, first + 1, last).seq.encode()
        except (pyfaidx.FetchError, zlib.error, ValueError, EOFError, OSError) as error:
            raise InputError(f"{self.name}: can't read {chrom}:{first}-{last} ({error}); is it damaged?") from error
        if len(sequence) != last - first:
            raise InputError(f"{self.name}: {chrom} ends before {last}; the file or its index is damaged")
        return sequence

    def _open(self) -> pyfaidx.Faidx:
        path = Path(self.path)
        _require_fasta(self.path)
        zipped = _compression(path)
        if zipped == "gzip":
            logger.info("%s is gzip, not bgzip: decompressing it to a temporary file", self.name)
            path = self._decompressed(path)
        return self._indexed(path, bgzip=zipped == "bgzip")

    def _decompressed(self, path: Path) -> Path:
        folder = self._temporary_folder()
        target = folder / path.stem
        with open_lines(str(path)) as source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream)
        return target

    def _temporary_folder(self) -> Path:
        return Path(self._resources.enter_context(tempfile.TemporaryDirectory(prefix="sparselrp-")))

    def _indexed(self, path: Path, *, bgzip: bool) -> pyfaidx.Faidx:
        index, blocks = Path(f"{path}.fai"), Path(f"{path}.gzi")
        if not _is_fresh(index, path) or (bgzip and not _is_fresh(blocks, path)):
            index, blocks = self._build(path, index, blocks, bgzip=bgzip)
        return self._faidx_on(path, index, blocks, bgzip=bgzip)

    def _faidx_on(self, path: Path, index: Path, blocks: Path, *, bgzip: bool) -> pyfaidx.Faidx:
        extra = {"gzi_indexname": str(blocks)} if bgzip else {}
        try:
            faidx = pyfaidx.Faidx(str(path), indexname=str(index), rebuild=False, **extra)
        except (pyfaidx.FastaIndexingError, pyfaidx.IndexNotFoundError) as error:
            raise InputError(f"{self.name}: can't be indexed as FASTA ({_one_line(error)})") from error
        except (ValueError, zlib.error, EOFError, gzip.BadGzipFile, UnicodeDecodeError, OSError) as error:
            raise InputError(f"{self.name}: not FASTA, or damaged ({_one_line(error)})") from error
        self._resources.callback(faidx.close)
        return faidx

    def _build(self, path: Path, index: Path, blocks: Path, *, bgzip: bool) -> tuple[Path, Path]:
        """Build the index in a temporary folder beside the file, or elsewhere if that can't be written."""
        try:
            folder = Path(tempfile.mkdtemp(prefix=".sparselrp-", dir=path.parent))
            self._resources.callback(shutil.rmtree, folder, ignore_errors=True)
            beside = True
        except OSError:
            folder, beside = self._temporary_folder(), False
        made = folder / "index.fai", folder / "index.gzi"
        self._faidx_on(path, *made, bgzip=bgzip).close()
        if not beside:
            return made
        for temporary, final in zip(made, (index, blocks), strict=True):
            if temporary.exists():
                os.replace(temporary, final)  # noqa: PTH105 - atomic on one file system
        return index, blocks


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _is_fresh(index: Path, path: Path) -> bool:
    return index.is_file() and index.stat().st_mtime >= path.stat().st_mtime


def _compression(path: Path) -> str:
    """Tell plain text, gzip and bgzip apart by the first bytes."""
    with path.open("rb") as stream:
        head = stream.read(18)
    if head[:2] != b"\x1f\x8b":
        return "plain"
    return "bgzip" if len(head) >= 16 and head[3] & 4 and head[12:14] == b"BC" else "gzip"


def _require_fasta(path: str) -> None:
    """Stop at a file whose first line isn't a FASTA header, before any index is made."""
    name = display_name(path)
    with open_lines(path) as stream:
        for number, line in numbered_lines(stream, name):
            if line.startswith(b">"):
                return
            if line.strip():
                raise InputError(f"{name} line {number}: not FASTA; a record begins with '>'")
    raise InputError(f"{name}: holds no FASTA record")
