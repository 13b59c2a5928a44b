"""Windows of an archive with their dinucleotides shuffled, as FASTA: once explained, the null of motifs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.files.atomic import replacing, require_other_file
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.sequences.shuffling import LETTERS, shuffle_dinucleotides

MOST_SHUFFLED = 2000
# Fewer windows are shuffled several times, so that a tail can be fitted.
LEAST_SHUFFLED = 300
BLOCK = 256


def write_shuffled(archive: Path, sequences: Path, n_windows: int = MOST_SHUFFLED, seed: int = 0) -> int:
    """Write windows of an archive with their dinucleotides shuffled.

    Parameters
    ----------
    archive : Path
    sequences : Path
        The FASTA to write.
    n_windows : int
        At most so many of the archive's windows, evenly from all; fewer than 300 are shuffled several times
        each.
    seed : int
        The sequences depend on it and on the windows only.

    Returns
    -------
    int
        How many sequences were written.

    Raises
    ------
    InputError
        If the archive has no window.
    OutputError
        If it can't be read, or the FASTA can't be written or is the archive itself.
    """
    require_other_file(sequences, archive)
    with ArchiveReader(archive) as reader:
        rows = chosen_rows(reader, n_windows)
        with replacing(sequences) as hidden, hidden.open("wb") as file:
            for number, window in enumerate(_read_windows(reader, rows)):
                file.write(b">shuffled_%d\n%s\n" % (number, shuffle_dinucleotides(window, seed, number)))
    return len(rows)


def chosen_rows(reader: ArchiveReader, n_windows: int = MOST_SHUFFLED) -> npt.NDArray[np.integer[Any]]:
    """Choose the windows that are shuffled: at most `n_windows`, and few of them several times each.

    Returns
    -------
    ndarray of int, shape (S,)
        Row of the archive for every sequence.

    Raises
    ------
    InputError
        If the archive has no window.
    """
    if reader.n_windows == 0:
        raise InputError(f"{reader.path} has no window; there is nothing to find motifs in")
    kept = min(reader.n_windows, n_windows)
    return np.tile(np.arange(kept) * reader.n_windows // kept, -(-LEAST_SHUFFLED // kept))


def _read_windows(reader: ArchiveReader, rows: npt.NDArray[np.integer[Any]]) -> Iterator[bytes]:
    """Letters of the windows, a block in memory at a time."""
    for first in range(0, len(rows), BLOCK):
        one_hot, _ = reader.read(rows[first : first + BLOCK])
        codes = np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), len(LETTERS) - 1)
        for window in codes:
            yield bytes(LETTERS[code] for code in window)
