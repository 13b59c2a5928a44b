"""The windows of the highest scores: which a report shows in letters, and as regions of their own."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.archive.reader import ArchiveReader
from sparselrp_cli.outputs.choices import TOP_WINDOWS
from sparselrp_cli.outputs.motif_files import write_narrow_peaks


def best_rows(reader: ArchiveReader, n: int = TOP_WINDOWS) -> npt.NDArray[np.intp]:
    """Give the rows of the highest scores, the best first; of several targets a window has its best rank.

    Parameters
    ----------
    reader : ArchiveReader
    n : int
        How many, at most.

    Returns
    -------
    ndarray of int, shape (min(n, N),)
    """
    best = np.zeros(reader.n_windows)
    for target in range(reader.n_targets):
        best = np.maximum(best, np.argsort(np.argsort(reader.column("score", target), kind="stable")))
    return np.argsort(-best, kind="stable")[:n]


def write_best(reader: ArchiveReader, path: Path | str) -> None:
    """Write the windows of the highest scores as narrowPeak, see `motif_files.write_regions`.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    write_narrow_peaks(reader, path, [best_rows(reader)])
