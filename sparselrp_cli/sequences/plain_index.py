"""Where the records of a FASTA file lie, for the plainest files only, many records at a time.

An assembly may have hundreds of thousands of contigs, and reading them one by one takes many times as long as
this. Whatever isn't quite plain is left to `fasta_pieces` and `faidx.scan`, which know every kind of file and
say what is wrong with one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from sparselrp_cli.sequences.faidx import Entry
from sparselrp_cli.sequences.fasta import LONGEST_HEADER
from sparselrp_cli.sequences.text import LONGEST_NAME

PIECE = 1 << 22
# Of longer records there are so few that little is to be won.
LONGEST_PIECE = 1 << 25
_LF, _HEADER = b"\n"[0], b">"[0]

Places = npt.NDArray[np.int64]


class _NotPlainError(Exception):
    """There is more to a file than headers and lines of equal length."""


def plain_entries(path: Path, letters: bytes) -> dict[str, Entry] | None:
    """Find where records lie, in the order of the file.

    Parameters
    ----------
    path : Path
        Of a file, not of a pipe.
    letters : bytes
        What lines may consist of.

    Returns
    -------
    dict of str to Entry or None
        None unless every line is a header, with a name of its own, or letters, lines end with a line feed,
        and all lines of a record but the last, which may be shorter, are of one length; or if it can't be
        read, which its reader says.
    """
    allowed = np.zeros(256, bool)
    allowed[np.frombuffer(letters + b"\n", np.uint8)] = True
    entries: dict[str, Entry] = {}
    offset = n_found = 0
    try:
        with path.open("rb") as file:
            for text in _whole_records(file):
                for name, entry in _records(text, offset, allowed):
                    entries[name] = entry
                    n_found += 1
                offset += len(text)
    except (_NotPlainError, UnicodeDecodeError, OSError):
        return None
    return entries if 0 < n_found == len(entries) else None


def _whole_records(file: IO[bytes]) -> Iterator[bytes]:
    """Cut a file in front of headers, into pieces of about `PIECE` bytes."""
    text = b""
    while more := file.read(PIECE):
        text += more
        if not text.startswith(b">"):
            raise _NotPlainError
        if end := text.rfind(b"\n>") + 1:
            yield text[:end]
            text = text[end:]
        elif len(text) > LONGEST_PIECE:
            raise _NotPlainError
    if text:
        yield text if text.endswith(b"\n") else text + b"\n"


def _records(text: bytes, offset: int, allowed: npt.NDArray[np.bool_]) -> Iterator[tuple[str, Entry]]:
    """Find the records of whole lines, the first of which is a header, at some place of a file."""
    codes = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(codes == _LF)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts
    is_header = codes[starts] == _HEADER
    headers = np.flatnonzero(is_header)
    lasts = np.append(headers[1:], len(starts)) - 1
    if (lasts == headers).any() or b"\r" in text or b"\0" in text:
        raise _NotPlainError
    strange = np.flatnonzero(~allowed[codes])
    if not is_header[np.searchsorted(ends, strange)].all() or sizes[headers].max() > LONGEST_HEADER:
        raise _NotPlainError
    firsts = headers + 1
    columns = (starts[headers] + 1, ends[headers], _lengths(sizes, headers, lasts), starts[firsts] + offset)
    rows = zip(*(column.tolist() for column in (*columns, sizes[firsts])), strict=True)
    for start, end, length, at, bases in rows:
        yield _name(text[start:end]), Entry(length, at, bases, bases + 1)


def _lengths(sizes: Places, headers: Places, lasts: Places) -> Places:
    """Give the length of each record, whose lines but the last are all as long as its first."""
    counts = lasts - headers
    wanted = np.repeat(sizes[headers + 1], counts + 1)
    differs = sizes != wanted
    differs[headers] = False
    differs[lasts] = sizes[lasts] > wanted[lasts]
    if differs.any() or not sizes.all():
        raise _NotPlainError
    found: Places = (counts - 1) * sizes[headers + 1] + sizes[lasts]
    return found


def _name(header: bytes) -> str:
    words = header.decode().split(maxsplit=1)
    if not words or len(words[0]) > LONGEST_NAME:
        raise _NotPlainError
    return words[0]
