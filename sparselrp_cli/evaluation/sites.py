"""Known sites inside windows: matches of a motif matrix, or intervals of a BED."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from Bio.motifs.matrix import FrequencyPositionMatrix, PositionSpecificScoringMatrix

from sparselrp_cli.evaluation.metrics import Mask
from sparselrp_cli.evaluation.site_metrics import Extents, Sites
from sparselrp_cli.motifs.formats import read_motif_file
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Rows
from sparselrp_cli.sequences.regions import read_regions

PSEUDOCOUNT = 0.1
INFORMATIVE = 0.5
"""Bits of a column that says much."""

logger = logging.getLogger("sparselrp")

SiteSource = Callable[[ArchiveReader, Rows], list[Sites]]
"""Gives the sites of some rows of an archive, window by window."""


def matrix_sites(path: Path, min_bits: float) -> SiteSource:
    """Give what finds the matches of a motif file's first matrix, see `motif_sites`.

    Raises
    ------
    InputError
    """
    matrix = read_matrix(path)
    return lambda reader, rows: motif_sites(reader.read(rows)[0], matrix, min_bits)


def bed_sites(path: str) -> SiteSource:
    """Give what finds the intervals of a BED.

    Raises
    ------
    InputError
    """
    by_chrom: dict[str, list[tuple[int, int]]] = {}
    for region in read_regions(path):
        by_chrom.setdefault(region.chrom, []).append((region.start, region.end))
    intervals = Intervals(by_chrom)

    def found(reader: ArchiveReader, rows: Rows) -> list[Sites]:
        return [intervals.sites(w.chrom, w.start, w.end - w.start) for w in reader.windows(rows)]

    return found


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
    return np.stack([sites.mask for sites in motif_sites(one_hot, matrix, min_bits)])


def motif_sites(
    one_hot: npt.NDArray[np.uint8], matrix: PositionSpecificScoringMatrix, min_bits: float
) -> list[Sites]:
    """Find the matches of a matrix on either strand.

    A position of a match is informative if its column of the matrix, on the strand of the match, has at
    least half a bit (of two, against a uniform background), and its base is more frequent there than a
    quarter. Where matches overlap, one that says so suffices.

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (n, 4, L)
        A site with an unknown base never matches.
    matrix : PositionSpecificScoringMatrix
        Log-odds in bits, uniform background; see `read_matrix`.
    min_bits : float
        Matches score more than this.

    Returns
    -------
    list of Sites, n
    """
    n, _, length = one_hot.shape
    log_odds = _log_odds(matrix)
    width = log_odds.shape[1]
    if length < width:
        return [Sites(*_nothing(length)) for _ in range(n)]
    scores = matrix_scores(one_hot, matrix)
    mask, informative = np.zeros((2, n, length), dtype=bool)
    for columns, found in zip((log_odds, log_odds[::-1, ::-1]), scores > min_bits, strict=True):
        favoured = (columns > 0) & (_bits(columns) >= INFORMATIVE)
        for offset in range(width):
            here = slice(offset, offset + found.shape[1])
            mask[:, here] |= found
            informative[:, here] |= found & (favoured[:, offset] @ one_hot[:, :, here] > 0)
    matches = np.any(scores > min_bits, axis=0)
    return [
        Sites(covered, _extents(np.flatnonzero(at), width), told)
        for covered, at, told in zip(mask, matches, informative, strict=True)
    ]


def _nothing(length: int) -> tuple[Mask, Extents, Mask]:
    """Give the parts of a window without sites."""
    return np.zeros(length, bool), np.empty((0, 2), np.int64), np.zeros(length, bool)


def _extents(starts: npt.NDArray[np.intp], width: int) -> Extents:
    return np.stack([starts, starts + width], axis=1).astype(np.int64)


def _log_odds(matrix: PositionSpecificScoringMatrix) -> npt.NDArray[np.float64]:
    """Give log-odds in bits as an array, shape (4, width)."""
    return np.array([matrix[base] for base in "ACGT"])


def _bits(log_odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the information of each column, against a uniform background: shape (width,)."""
    bits: npt.NDArray[np.float64] = (0.25 * np.exp2(log_odds) * log_odds).sum(axis=0)
    return bits


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
    log_odds = _log_odds(matrix)
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

    def sites(self, chrom: str, start: int, length: int) -> Sites:
        """Find the sites of a window; those that hang over its ends don't count as whole."""
        mask = np.zeros(length, dtype=bool)
        sites = self._by_chrom.get(chrom, np.empty((0, 2), dtype=np.int64))
        near = sites[(sites[:, 0] < start + length) & (sites[:, 1] > start)] - start
        for first, end in near:
            mask[max(first, 0) : end] = True
        return Sites(mask, near[(near[:, 0] >= 0) & (near[:, 1] <= length)])
