"""The index of a genome: made once, replaced when it doesn't fit, safe where several jobs start at a time."""

import logging
import re
import secrets
import struct
import tempfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyfaidx

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.fasta import LONGEST_RECORD

logger = logging.getLogger("sparselrp")

LOOK_BACK = 1 << 12
WANTED = "give a FASTA file, plain or bgzip"


@contextmanager
def open_indexed(fasta: Path, name: str) -> Iterator[Any]:
    """Open a plain or bgzip FASTA file through its index.

    An index beside the file is used if it is no older than the file and its records start where the file has
    headers. Otherwise one is made under a temporary name and renamed; in a folder that can't be written it is
    made under ``TMPDIR`` and removed at the end.

    Parameters
    ----------
    fasta : Path
    name : str
        What messages call the file.

    Yields
    ------
    pyfaidx.Faidx

    Raises
    ------
    InputError
        If the file can't be indexed.
    """
    faidx = _existing(fasta)
    if faidx is None:
        with tempfile.TemporaryDirectory(prefix="sparselrp-") as folder:
            faidx = _built(fasta, name, Path(folder))
    try:
        yield faidx
    finally:
        faidx.file.close()


def read_stretch(faidx: Any, chrom: str, start: int, end: int) -> bytes:
    """Read letters within a chromosome, 0-based half-open.

    pyfaidx's own `fetch` fails at the first base of a bgzip block of 65,536 bytes, as Biopython writes them.
    """
    record = faidx.index[chrom]
    first, last = (
        record.offset + position // record.lenc * record.lenb + position % record.lenc
        for position in (start, end - 1)
    )
    return _read_at(faidx, first, last + 1 - first).translate(None, b"\r\n")


def _existing(fasta: Path) -> Any | None:
    """Open the file through the index beside it, if that fits."""
    needed = _index_names(fasta)
    if not all(path.is_file() and path.stat().st_mtime >= fasta.stat().st_mtime for path in needed):
        return None
    faidx = None
    try:
        faidx = _faidx(fasta, needed)
        if _fits(faidx):
            return faidx
    # An index that belongs to another file, or is damaged, can make pyfaidx raise anything.
    except Exception as error:  # noqa: BLE001
        logger.debug("%s can't be used: %s", needed[0], error)
    if faidx is not None:
        faidx.file.close()
    logger.warning("%s doesn't fit its FASTA file and is made again", needed[0])
    return None


def _fits(faidx: Any) -> bool:
    """Check that every record of the index lies behind a header with its name, up to the end of a line."""
    for name, record in faidx.index.items():
        if not _is_sane(record) or not _read_at(faidx, max(record.bend - 1, 0), 1):
            return False
        back = min(LOOK_BACK, record.offset)
        before = _read_at(faidx, record.offset - back, back)
        _, newline, header = before[:-1].rpartition(b"\n")
        if not before.endswith(b"\n"):
            return False
        if (newline or back == record.offset) and _name(header) != name.encode():
            return False
        if record.rlen and _read_at(faidx, record.bend, 4).lstrip(b"\r\n")[:1] not in (b"", b">"):
            return False
    return bool(faidx.index)


def _is_sane(record: Any) -> bool:
    """Check numbers that reading relies on: a line is its letters and their end, at most two bytes."""
    if record.rlen == 0:
        return bool(record.offset > 0)
    return bool(
        record.offset > 0 and 0 < record.rlen <= LONGEST_RECORD
        and 0 < record.lenc <= record.lenb <= record.lenc + 2
    )  # fmt: skip


def _name(header: bytes) -> bytes:
    """Give the first word behind the ``>``; nothing where the line is no header."""
    return b"".join(header[1:].split()[:1]) if header.startswith(b">") else b""


def _read_at(faidx: Any, offset: int, length: int) -> bytes:
    """Read bytes at an offset of the decompressed file."""
    if faidx._bgzf:
        blocks = faidx.gzi_index
        block = blocks[bisect_right(blocks, offset, key=lambda block: block.ustart) - 1]
        offset = pyfaidx.make_virtual_offset(block.cstart, offset - block.ustart)
    faidx.file.seek(offset)
    return bytes(faidx.file.read(length))


def _built(fasta: Path, name: str, folder: Path) -> Any:
    """Make the index, beside the file if that can be."""
    wanted = _index_names(fasta)
    if not _is_writable(fasta.parent):
        logger.info("%s can't be written: the index is made for this run only", fasta.parent)
        return _faidx_or_error(fasta, name, [folder / path.name for path in wanted])
    temporary = [path.with_name(f".{secrets.token_hex(8)}-{path.name}") for path in wanted]
    logger.info("making the index %s", wanted[0])
    try:
        faidx = _faidx_or_error(fasta, name, temporary)
        for path, final in zip(reversed(temporary), reversed(wanted), strict=True):
            path.replace(final)
    finally:
        for path in temporary:
            with suppress(OSError):
                path.unlink()
    return faidx


def _is_writable(folder: Path) -> bool:
    """Try it: permissions alone say little on network file systems."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _index_names(fasta: Path) -> list[Path]:
    suffixes = [".fai", ".gzi"] if fasta.name.lower().endswith((".gz", ".bgz")) else [".fai"]
    return [fasta.with_name(fasta.name + suffix) for suffix in suffixes]


def _faidx(fasta: Path, indices: list[Path]) -> Any:
    gzi = indices[1] if len(indices) > 1 else None
    return pyfaidx.Faidx(str(fasta), indexname=str(indices[0]), gzi_indexname=gzi and str(gzi), as_raw=True)


def _faidx_or_error(fasta: Path, name: str, indices: list[Path]) -> Any:
    try:
        return _faidx(fasta, indices)
    except pyfaidx.FastaIndexingError as error:
        raise InputError(f"{name}{_reason(str(error))}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not text; {WANTED}") from error
    except (OSError, EOFError, zlib.error, struct.error, RuntimeError) as error:
        # pyfaidx puts an error of its own before that of the system.
        system = error.__context__ if isinstance(error.__context__, OSError) else error
        if reason := getattr(system, "strerror", None):
            raise InputError(
                f"{name}: its index can't be made ({reason.lower()}); free some space, or index it elsewhere"
            ) from error
        raise InputError(f"{name}: cut off or damaged; get it again") from error
    except ValueError as error:
        if found := re.search(r'Duplicate key "(.*)"', str(error)):
            raise InputError(f"{name}: record '{found[1]}' comes a second time; rename it") from error
        raise InputError(
            f"{name}: cut off or damaged ({' '.join(str(error).split())}); get it again"
        ) from error


def _reason(message: str) -> str:
    """Say in our words why pyfaidx can't index a file."""
    if found := re.search(r"Inconsistent line found in >(.*) at line (\d+)", message.replace(",", "")):
        return f" line {found[2]}: lines of record '{found[1]}' differ in length; wrap them all to the same"
    if found := re.search(r"Unexpected text before.* at line (\d+)", message):
        return f" line {found[1]}: a FASTA record begins with '>'; {WANTED}"
    if found := re.search(r"Bad sequence name .* at line (\d+)", message):
        return f" line {int(found[1]) + 1}: the record has no name; write one after the '>'"
    return f": holds no FASTA record; {WANTED}"
