"""The index of a genome: made once, replaced when it doesn't fit, safe where several jobs start at a time."""

import errno
import fcntl
import glob
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sparselrp_cli.errors import InputError
from sparselrp_cli.files.atomic import own
from sparselrp_cli.sequences.bgzip import (
    BgzipFile,
    Block,
    PlainFile,
    find_blocks,
    format_gzi,
    parse_gzi,
)
from sparselrp_cli.sequences.faidx import Entry, format_fai, parse_fai, scan
from sparselrp_cli.sequences.fasta import SYMBOLS, fasta_pieces
from sparselrp_cli.sequences.plain_index import plain_entries
from sparselrp_cli.sequences.text import BOM, open_lines

logger = logging.getLogger("sparselrp")

LOOK_BACK = 1 << 12
READ_WHOLE = 1 << 24
"""Bytes of a file up to which an index that is found is compared with every line."""
FEW_BYTES = 1 << 13
"""So many bytes a record are read faster in one go than looked at where they begin and end."""
ABANDONED = 3600
"""Seconds after which an index under a temporary name has no writer any more, where there are no locks."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
FAILING = (*NO_ROOM, errno.EIO, errno.ESTALE)
"""What a disk says that fails; a folder that isn't ours to write says something else."""
_LARGEST_INDEX = 1 << 30
_TRIES = 100
"""How often a file of our own is opened until nobody else has it."""


class IndexedFasta:
    """The letters of a FASTA file at any place.

    Parameters
    ----------
    file : PlainFile or BgzipFile
        Closed with this object.
    entries : dict of str to Entry
    """

    def __init__(self, file: PlainFile | BgzipFile, entries: Mapping[str, Entry]) -> None:
        self._file = file
        self.entries = entries

    def read(self, record: str, start: int, end: int) -> bytes:
        """Read letters within a record, 0-based half-open; fewer where the file ends.

        Raises
        ------
        ValueError
            If the lines of the file don't end where the index says.
        """
        entry = self.entries[record]
        first, behind = entry.at(start), entry.at(end - 1) + 1
        raw = self._file.read(first, behind - first)
        if len(raw) < behind - first:
            return raw.translate(None, b"\r\n")
        letters = entry.letters(raw, start, end)
        if letters is None:
            raise ValueError("its lines don't end where its index, a .fai file, says; remove that")
        return letters

    def fits(self, *, whole: bool) -> bool:
        """Check that every record lies behind a header with its name, and ends where a record ends.

        Parameters
        ----------
        whole : bool
            Whether to look at every line, too.
        """
        return bool(self.entries) and all(
            _has_name(self._before(entry), name, from_start=entry.offset <= LOOK_BACK)
            and self._ends(entry)
            and (not whole or len(self.read(name, 0, entry.length)) == entry.length)
            for name, entry in self.entries.items()
        )

    def close(self) -> None:
        self._file.close()

    def _before(self, entry: Entry) -> bytes:
        back = min(LOOK_BACK, entry.offset)
        return self._file.read(entry.offset - back, back)

    def _ends(self, entry: Entry) -> bool:
        last = entry.at(entry.length - 1)
        letter, rest = (text := self._file.read(last, LOOK_BACK))[:1], text[1:]
        is_end = not rest or rest[:1] in b"\r\n"
        return letter not in (b"", b"\r", b"\n", b">") and is_end and rest.lstrip(b"\r\n")[:1] in (b"", b">")


@contextmanager
def open_indexed(fasta: Path, name: str, *, bgzip: bool) -> Iterator[IndexedFasta]:
    """Open a plain or bgzip FASTA file through its index.

    An index beside the file is used if it is no older than the file and its records start where the file has
    headers, and end where it has ends. Otherwise one is made under a temporary name and renamed; in a folder
    that can't be written it is made for this run only.

    Parameters
    ----------
    fasta : Path
    name : str
        What messages call the file.
    bgzip : bool
        Whether it is packed.

    Raises
    ------
    InputError
        If the file is no FASTA, or the disk fails while its index is written.
    UnequalLinesError
        If it is, and no index can say where its letters are.
    """
    indexed = _existing(fasta, bgzip=bgzip) or _built(fasta, name, bgzip=bgzip)
    try:
        yield indexed
    finally:
        indexed.close()


def _existing(fasta: Path, *, bgzip: bool) -> IndexedFasta | None:
    """Open the file through the index beside it, if that fits."""
    needed = _index_names(fasta, bgzip=bgzip)
    if not all(path.is_file() and path.stat().st_mtime >= fasta.stat().st_mtime for path in needed):
        return None
    indexed = None
    try:
        if any(path.stat().st_size > _LARGEST_INDEX for path in needed):
            raise ValueError("larger than an index is")
        size, text = fasta.stat().st_size, needed[0].read_text(encoding="utf-8")
        if not bgzip and size <= max(READ_WHOLE, FEW_BYTES * text.count("\n")):
            found = plain_entries(fasta, SYMBOLS)
            if found and format_fai(found) == text:
                return _opened(fasta, found, None)
        entries = parse_fai(text)
        indexed = _opened(fasta, entries, parse_gzi(needed[1].read_bytes()) if bgzip else None)
        if indexed.fits(whole=size <= READ_WHOLE):
            return indexed
    # An index that belongs to another file, or is damaged, can lead anywhere.
    except Exception as error:  # noqa: BLE001
        logger.debug("%s can't be used: %s", needed[0], error)
    if indexed is not None:
        indexed.close()
    logger.warning("%s doesn't fit its FASTA file and is made again", needed[0])
    return None


def _has_name(before: bytes, name: str, *, from_start: bool) -> bool:
    """Whether text ends with the header of a record; of a header that is too long only its end is seen."""
    text = before.replace(b"\r", b"\n")
    _, newline, header = text.rstrip(b"\n").rpartition(b"\n")
    if not text.endswith(b"\n"):
        return False
    if not newline and not from_start:
        return True
    header = header.removeprefix(BOM)
    return header.startswith(b">") and b"".join(header[1:].split()[:1]) == name.encode()


def _built(fasta: Path, name: str, *, bgzip: bool) -> IndexedFasta:
    """Make the index, beside the file if that can be."""
    wanted = _index_names(fasta, bgzip=bgzip)
    with _reported(name):
        beside = _is_writable(fasta.parent)
    if beside:
        logger.info("making the index %s", wanted[0])
    else:
        logger.info("%s can't be written: the index is made for this run only", fasta.parent)
    entries = None if bgzip else plain_entries(fasta, SYMBOLS)
    if entries is None:
        with open_lines(str(fasta)) as stream:
            entries = scan(fasta_pieces(stream, name))
    try:
        blocks = find_blocks(fasta) if bgzip else None
    except ValueError as error:
        raise InputError(f"{name}: damaged ({error}); pack it with bgzip") from error
    if beside:
        content = [format_fai(entries).encode()]
        _write(wanted, [*content, format_gzi(blocks)] if blocks is not None else content, name)
    return _opened(fasta, entries, blocks)


def _write(wanted: list[Path], contents: list[bytes], name: str) -> None:
    """Write index files, the .fai last."""
    _clear(wanted)
    temporary = [path.with_name(f".{secrets.token_hex(8)}-{path.name}") for path in wanted]
    with _reported(name), ExitStack() as stack:
        for path, content in zip(temporary, contents, strict=True):
            # Between its making and its lock another job's `_clear` may have it for a moment.
            for _ in range(_TRIES):
                if stack.enter_context(own(path)) is not None:
                    break
                time.sleep(0.001)
            path.write_bytes(content)
        for path, final in zip(reversed(temporary), reversed(wanted), strict=True):
            path.replace(final)


@contextmanager
def _reported(name: str) -> Iterator[None]:
    """Turn an `OSError` met while an index is written into one line.

    Raises
    ------
    InputError
    """
    try:
        yield
    except OSError as error:
        remedy = "free some space" if error.errno in NO_ROOM else "check the disk"
        raise InputError(
            f"{name}: its index can't be made ({(error.strerror or str(error)).lower()}); {remedy}, or index"
            " it elsewhere"
        ) from error


def _clear(wanted: list[Path]) -> None:
    """Remove what writers left that were killed."""
    for path in wanted:
        for left in path.parent.glob(f".{'[0-9a-f]' * 16}-{glob.escape(path.name)}"):
            with suppress(OSError), left.open("rb") as file:
                if _is_abandoned(file):
                    left.unlink()


def _is_abandoned(file: BinaryIO) -> bool:
    """Whether no writer has a file any more; it is ours then until it is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: those that are at it have written lately
        return time.time() - os.fstat(file.fileno()).st_mtime > ABANDONED
    return True


def _opened(fasta: Path, entries: Mapping[str, Entry], blocks: list[Block] | None) -> IndexedFasta:
    return IndexedFasta(PlainFile(fasta) if blocks is None else BgzipFile(fasta, blocks), entries)


def _is_writable(folder: Path) -> bool:
    """Try it: permissions alone say little on network file systems.

    Raises
    ------
    OSError
        If the disk fails: where an index can't be kept, that is said.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        if error.errno in FAILING:
            raise
        return False


def _index_names(fasta: Path, *, bgzip: bool) -> list[Path]:
    return [fasta.with_name(fasta.name + suffix) for suffix in ([".fai", ".gzi"] if bgzip else [".fai"])]
