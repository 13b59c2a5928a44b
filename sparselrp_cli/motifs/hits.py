"""Where motifs lie in the windows: matches of the matrix at which relevance is more than chance gives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparselrp_cli.motifs.alignment import Floats, frequencies
from sparselrp_cli.motifs.null import Null, q_values
from sparselrp_cli.motifs.stretches import Piece, batches, padded, single_windows, stretches
from sparselrp_cli.outputs.archive import ArchiveReader

MATRIX_P = 1e-4


@dataclass(frozen=True)
class Hit:
    """An instance of a motif.

    Attributes
    ----------
    chrom : str
    start, end : int
        0-based half-open, forward.
    strand : str
    motif : str
    window : str
        Name of the window; of several the one whose centre is nearest.
    relevance : float
        Sum of the contributions.
    matrix_p, relevance_p, relevance_q : float
        Of the match of the matrix (FIMO, Grant et al. 2011), and of the relevance under the seqlets' null.
    """

    chrom: str
    start: int
    end: int
    strand: str
    motif: str
    window: str
    relevance: float
    matrix_p: float
    relevance_p: float
    relevance_q: float


def find_hits(
    reader: ArchiveReader,
    motifs: Sequence[tuple[str, int, Floats]],
    nulls: dict[int, Null],
    *,
    target: int = 0,
    fdr: float = 0.05,
    over: str = "windows",
) -> list[Hit]:
    """Find the hits of motifs over all windows.

    Parameters
    ----------
    reader : ArchiveReader
    motifs : sequence of (name, sign, counts)
        Counts have shape (w, 4).
    nulls : dict
        By sign. The sum of a span, less drift, is at most that of the best segment in it, so that its p-value
        under the null of segments is, if anything, too large.
    target : int
    fdr : float
        The largest q-value of the relevance, over all matches of the matrices.
    over : {"windows", "stretches"}
        Whether windows are looked at one by one, or what overlapping windows cover together, each base once
        with its mean relevance. A mean over windows varies less than the null's windows do, so that its
        p-value is, if anything, too large.

    Returns
    -------
    list of Hit
        By chromosome and start; at one place the one of most relevance.
    """
    matrices = {
        name: frequencies(counts).T for name, _, counts in motifs if len(counts) <= reader.window_length
    }
    if not matrices:
        return []
    signs = {name: sign for name, sign, _ in motifs}
    if over == "stretches":
        pieces = stretches(reader, target, max(matrix.shape[1] for matrix in matrices.values()))
    else:
        pieces = single_windows(reader, target)
    candidates = [hit for batch in batches(pieces) for hit in _candidates(batch, matrices, signs, nulls)]
    q = q_values(np.array([hit.relevance_p for hit in candidates]))
    called = [
        replace(hit, relevance_q=float(value))
        for hit, value in zip(candidates, q, strict=True)
        if value <= fdr
    ]
    return _one_a_place(called)


def _candidates(
    pieces: Sequence[Piece], matrices: dict[str, Floats], signs: dict[str, int], nulls: dict[int, Null]
) -> Iterator[Hit]:
    """Give the matches of the matrices at known bases, with their relevance."""
    from memelite import fimo

    one_hot = padded(pieces)
    totals = [np.pad(np.cumsum(piece.contributions), (1, 0)) for piece in pieces]
    known = np.pad(np.cumsum(one_hot.sum(axis=1), axis=1), ((0, 0), (1, 0)))
    for table in fimo(matrices, one_hot.astype(np.int8), threshold=MATRIX_P):
        for name, row, start, end, strand, p in zip(
            table["motif_name"], table["sequence_name"], table["start"], table["end"], table["strand"],
            table["p-value"], strict=True,
        ):  # fmt: skip
            piece = pieces[row]
            if known[row, end] - known[row, start] < end - start or end <= piece.done:
                continue
            null = nulls[signs[name]]
            relevance = float(totals[row][end] - totals[row][start])
            score = signs[name] * relevance - null.drift * (end - start)
            relevance_p = float(null.p_values(np.array([score]))[0]) if score > 0 else 1.0
            yield Hit(
                piece.chrom, piece.start + int(start), piece.start + int(end), str(strand), str(name),
                piece.window_of(int(start), int(end)), relevance, float(p), relevance_p, 1.0,
            )  # fmt: skip


def _one_a_place(hits: list[Hit]) -> list[Hit]:
    """Keep, of hits of one motif that overlap by more than half, the one with most relevance."""
    kept: dict[tuple[str, str], list[Hit]] = {}
    order = sorted(hits, key=lambda h: (h.chrom, h.motif, h.start, -abs(h.relevance), h.matrix_p, h.strand))
    for hit in order:
        there = kept.setdefault((hit.chrom, hit.motif), [])
        if there and 2 * (there[-1].end - hit.start) > hit.end - hit.start:
            if (abs(hit.relevance), -hit.matrix_p) > (abs(there[-1].relevance), -there[-1].matrix_p):
                there[-1] = hit
        else:
            there.append(hit)
    return sorted(
        (hit for found in kept.values() for hit in found),
        key=lambda h: (h.chrom, h.start, h.end, h.motif, h.strand),
    )
