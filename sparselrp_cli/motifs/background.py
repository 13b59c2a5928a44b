"""The background of shuffled windows that lies beside a run, if it is this run's."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import is_same_file
from sparselrp_cli.motifs.null import require_same_explanation
from sparselrp_cli.motifs.shuffled import chosen_rows
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.sequences.shuffling import LETTERS

logger = logging.getLogger("sparselrp")

ENDING = ".background.h5"
BLOCK = 256


def background_beside(archive: Path, prefix: Path, target: str | None = None) -> Path | None:
    """Find the background of a run: ``PREFIX.background.h5`` beside the output, or beside the archive.

    It has to be explained as the archive was, and to hold its windows with their dinucleotides shuffled. One
    that isn't is left by another run of this name; the log says so.

    Parameters
    ----------
    archive, prefix : Path
    target : str, optional

    Returns
    -------
    Path or None

    Raises
    ------
    OutputError
        If the archive can't be read, or the target isn't one of it.
    """
    with ArchiveReader(archive) as reader:
        number = reader.target_number(target)
        for path in _candidates(archive, prefix):
            if not (found := _why_not(reader, path, number)):
                return path
            logger.warning("%s is left alone: %s", path, found)
    return None


def _candidates(archive: Path, prefix: Path) -> Iterator[Path]:
    places = (prefix.with_name(prefix.name + ENDING), archive.with_name(archive.stem + ENDING))
    for path in dict.fromkeys(places):
        if path.is_file() and not is_same_file(path, archive):
            yield path


def _why_not(reader: ArchiveReader, path: Path, target: int) -> str:
    """Say why a file isn't the background of an archive; nothing if it is."""
    try:
        with ArchiveReader(path) as background:
            require_same_explanation(reader, background, target)
            if not is_shuffled(background, reader):
                return (
                    f"it isn't of the windows of {reader.path}, shuffled; give it with --background to use it"
                )
    except OutputError as error:
        return str(error)
    return ""


def is_shuffled(background: ArchiveReader, reader: ArchiveReader) -> bool:
    """Whether a background is of an archive's windows with their dinucleotides shuffled.

    Shuffling keeps the count of every dinucleotide, so that counting them tells, whatever the seed.

    Parameters
    ----------
    background, reader : ArchiveReader

    Returns
    -------
    bool
    """
    if background.window_length != reader.window_length:
        return False
    return any(_alike(background, reader, rows) for rows in _choices(reader, background.n_windows))


def _choices(reader: ArchiveReader, n_sequences: int) -> Iterator[npt.NDArray[np.integer[Any]]]:
    """Give every choice of windows that `shuffle` makes so many sequences of."""
    for times in range(1, n_sequences + 1):
        kept, rest = divmod(n_sequences, times)
        if rest or kept > reader.n_windows:
            continue
        rows = chosen_rows(reader, kept)
        if len(rows) == n_sequences:
            yield rows


def _alike(background: ArchiveReader, reader: ArchiveReader, rows: npt.NDArray[np.integer[Any]]) -> bool:
    """Whether each sequence has the dinucleotides of the window in its row."""
    return all(
        np.array_equal(
            _dinucleotides(background, slice(first, first + BLOCK)),
            _dinucleotides(reader, rows[first : first + BLOCK]),
        )
        for first in range(0, len(rows), BLOCK)
    )


def _dinucleotides(reader: ArchiveReader, rows: slice | npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.intp]:
    """Count the dinucleotides of windows, N a base of its own: shape (n, 25)."""
    one_hot, _ = reader.read(rows)
    kinds = len(LETTERS)
    codes = np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), kinds - 1)
    pairs = kinds * codes[:, :-1] + codes[:, 1:]
    return np.stack([np.bincount(row, minlength=kinds * kinds) for row in pairs])
