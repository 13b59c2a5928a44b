"""Known sites inside windows: matches of a motif matrix, or intervals of a BED."""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
from Bio.motifs.matrix import FrequencyPositionMatrix, PositionSpecificScoringMatrix

from sparselrp_cli.evaluation.agreement import MaskSource
from sparselrp_cli.motifs.formats import read_motif_file
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.reader import Rows
from sparselrp_cli.sequences.regions import read_regions

PSEUDOCOUNT = 0.1

logger = logging.getLogger("sparselrp")


def matrix_sites(path: Path, min_bits: float) -> MaskSource:
    """Give what marks the matches of a motif file's first matrix, see `matrix_hits`.

    Raises
    ------
    InputError
    """
    matrix = read_matrix(path)
    return lambda reader, rows: matrix_hits(reader.read(rows)[0], matrix, min_bits)


def bed_sites(path: str) -> MaskSource:
    """Give what marks the intervals of a BED.

    Raises
    ------
    InputError
    """
    by_chrom: dict[str, list[tuple[int, int]]] = {}
    for region in read_regions(path):
        by_chrom.setdefault(region.chrom, []).append((region.start, region.end))
    intervals = Intervals(by_chrom)

    def masks(reader: ArchiveReader, rows: Rows) -> npt.NDArray[np.bool_]:
        windows = reader.windows(rows)
        return np.stack([intervals.mask(w.chrom, w.start, w.end - w.start) for w in windows])

    return masks


def read_matrix(path: Path | str) -> PositionSpecificScoringMatrix:
    """Read the first motif of a file as log-odds in bits, uniform background.

    Parameters
    ----------
    path : Path or str
        See `read_motif_file`.

    Raises
    ------
    InputError
    """
    motifs = read_motif_file(str(path)).motifs
    motif = motifs[0]
    if len(motifs) > 1:
        logger.warning("%s holds %d motifs; the first is taken, %s", path, len(motifs), motif.name)
    counts = dict(zip("ACGT", motif.counts.T.tolist(), strict=True))
    matrix: PositionSpecificScoringMatrix = (
        FrequencyPositionMatrix("ACGT", counts).normalize(pseudocounts=PSEUDOCOUNT).log_odds()  # type: ignore[no-untyped-call]
    )
    return matrix


def matrix_hits(
    one_hot: npt.NDArray[np.uint8], matrix: PositionSpecificScoringMatrix, min_bits: float
) -> npt.NDArray[np.bool_]:
    """Mark the positions covered by matches of a matrix on either strand.

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (n, 4, L)
        A site with an unknown base never matches.
    min_bits : float
        Matches score more than this.

    Returns
    -------
    ndarray of bool, shape (n, L)
    """
    n, _, length = one_hot.shape
    width = len(matrix["A"])
    covered = np.zeros((n, length), dtype=bool)
    if length < width:
        return covered
    for scores in matrix_scores(one_hot, matrix):
        found = scores > min_bits
        for offset in range(width):
            covered[:, offset : offset + found.shape[1]] |= found
    return covered


def matrix_scores(
    one_hot: npt.NDArray[np.uint8], matrix: PositionSpecificScoringMatrix
) -> npt.NDArray[np.float64]:
    """Score every place of a matrix, in bits.

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (n, 4, L)

    Returns
    -------
    ndarray of float64, shape (2, n, L - width + 1)
        The forward strand, then the other, by the first position covered; minus infinity at unknown bases.
    """
    log_odds = np.array([matrix[base] for base in "ACGT"])
    width = log_odds.shape[1]
    known = np.lib.stride_tricks.sliding_window_view(one_hot.sum(1) > 0, width, axis=1).all(2)
    windows = np.lib.stride_tricks.sliding_window_view(one_hot, width, axis=2)
    strands = [
        np.einsum("nbpw,bw->np", windows, scores, optimize=True)
        for scores in (log_odds, log_odds[::-1, ::-1])
    ]
    return np.where(known, np.stack(strands), -np.inf)


class Intervals:
    """Sites of a BED, by chromosome.

    Parameters
    ----------
    intervals : dict of str to list of (start, end)
        0-based half-open.
    """

    def __init__(self, intervals: dict[str, list[tuple[int, int]]]) -> None:
        self._by_chrom = {c: np.array(sorted(i), dtype=np.int64).reshape(-1, 2) for c, i in intervals.items()}

    def mask(self, chrom: str, start: int, length: int) -> npt.NDArray[np.bool_]:
        """Mark the positions of a window that sites cover: shape (length,)."""
        mask = np.zeros(length, dtype=bool)
        sites = self._by_chrom.get(chrom, np.empty((0, 2), dtype=np.int64))
        near = sites[(sites[:, 0] < start + length) & (sites[:, 1] > start)]
        for first, last in near:
            mask[max(first - start, 0) : last - start] = True
        return mask
