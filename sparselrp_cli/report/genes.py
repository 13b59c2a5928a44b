"""The genes of the windows, as the page carries them: which lie over each, and the nearest of the others."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import printable
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.sequences.features import Feature
from sparselrp_cli.sequences.genes import Windows, read_genes
from sparselrp_cli.sequences.text import display_name

logger = logging.getLogger("sparselrp")

Mask = npt.NDArray[np.bool_]

MOST_OVER = 12
"""Genes that are drawn and named of those over a window, nearest to its centre."""
DRAWN_PARTS = 60_000
"""Exons in a page, which are at most a megabyte; of genes beyond it only the extent is drawn."""
_LONGEST_NAME = 40


@dataclass(frozen=True, eq=False)
class WindowGenes:
    """Genes by window.

    Attributes
    ----------
    file : str
        What they were read from.
    genes : tuple of Feature
        Those that a window needs, in the order of the genome.
    over : tuple of tuple of int
        For each window the genes that it touches, nearest to its centre first; at most `MOST_OVER`.
    number : ndarray of int, shape (N,)
        How many each window touches.
    nearest : ndarray of int, shape (N,)
        The gene whose extent is nearest; -1 where its chromosome has none.
    distance : ndarray of int, shape (N,)
        From the window to it in bp; 0 where they touch. Negative where the window lies upstream of the gene,
        by its strand; without a strand that is to the left of it.
    """

    file: str
    genes: tuple[Feature, ...]
    over: tuple[tuple[int, ...], ...]
    number: npt.NDArray[np.int64]
    nearest: npt.NDArray[np.int64]
    distance: npt.NDArray[np.int64]


def genes_of_windows(reader: ArchiveReader, path: str) -> WindowGenes:
    """Read genes, and find those over each window and the nearest one.

    Parameters
    ----------
    reader : ArchiveReader
    path : str
        GTF or BED, plain or gzip.

    Raises
    ------
    InputError
    """
    at, names = reader.coordinates, list(reader.chrom_sizes)
    rows_of = {names[i]: np.flatnonzero(at.chrom == i) for i in np.unique(at.chrom).tolist()}
    windows = {
        name: Windows(np.sort(at.start[rows]).tolist(), np.sort(at.end[rows]).tolist())
        for name, rows in rows_of.items()
    }
    features = read_genes(path, windows)
    if not features:
        logger.warning(
            "%s has no gene on the chromosomes of the windows, such as %s; are they named alike?",
            display_name(path), printable(next(iter(rows_of), "")),
        )  # fmt: skip
    over: list[tuple[int, ...]] = [()] * reader.n_windows
    number, distance = np.zeros(reader.n_windows, np.int64), np.zeros(reader.n_windows, np.int64)
    nearest = np.full(reader.n_windows, -1)
    chrom = np.array([feature.chrom for feature in features], object)
    for name, rows in rows_of.items():
        here = np.flatnonzero(chrom == name)
        found = _Extents(here, [features[i] for i in here.tolist()])
        for row in rows.tolist() if len(here) else ():
            start, end = int(at.start[row]), int(at.end[row])
            touching = found.over(start, end)
            number[row], over[row] = len(touching), tuple(touching[:MOST_OVER].tolist())
            nearest[row], distance[row] = (touching[0], 0) if len(touching) else found.nearest(start, end)
    return _needed(WindowGenes(display_name(path), tuple(features), tuple(over), number, nearest, distance))


class _Extents:
    """The extents of the genes of a chromosome."""

    def __init__(self, numbers: npt.NDArray[np.int64], features: Sequence[Feature]) -> None:
        self._numbers = numbers
        self._start = np.array([f.start for f in features], np.int64)
        self._end = np.array([f.end for f in features], np.int64)
        self._on_reverse = np.array([f.strand == "-" for f in features], np.bool_)

    def over(self, start: int, end: int) -> npt.NDArray[np.int64]:
        """Give the genes that touch a stretch, those first that reach nearest to its centre."""
        touching = np.flatnonzero((self._start < end) & (self._end > start))
        middle = (start + end) / 2
        away = np.maximum(0, np.maximum(self._start[touching] - middle, middle - self._end[touching]))
        return self._numbers[touching[np.argsort(away, kind="stable")]]

    def nearest(self, start: int, end: int) -> tuple[int, int]:
        """Give the gene nearest to a stretch that none touches, and the signed distance."""
        after, before = self._start - end, start - self._end
        away = np.maximum(after, before)
        best = int(away.argmin())
        is_upstream = (after[best] >= 0) != self._on_reverse[best]
        # What begins where the window ends is a base away.
        return int(self._numbers[best]), int(away[best] + 1) * (-1 if is_upstream else 1)


def _needed(found: WindowGenes) -> WindowGenes:
    """Leave out the genes that no window names."""
    used = sorted({*found.nearest.tolist(), *(i for some in found.over for i in some)} - {-1})
    new = {old: i for i, old in enumerate(used)} | {-1: -1}
    return WindowGenes(
        found.file,
        tuple(found.genes[i] for i in used),
        tuple(tuple(new[i] for i in some) for some in found.over),
        found.number,
        np.array([new[i] for i in found.nearest.tolist()], np.int64),
        found.distance,
    )


def gene_columns(found: WindowGenes | None, drawn: Mask) -> dict[str, Any] | None:
    """Give genes and which windows have which, as JSON; None where none were asked for.

    Exons are given of genes over windows that are drawn, as starts and lengths from the gene's start.

    Parameters
    ----------
    found : WindowGenes or None
    drawn : ndarray of bool, shape (N,)
        Windows whose letters the page carries.
    """
    if found is None:
        return None
    shown = {i for row in np.flatnonzero(drawn).tolist() for i in found.over[row]}
    left = DRAWN_PARTS
    columns: dict[str, list[list[int]]] = {"blocks": [], "thick": []}
    for number, gene in enumerate(found.genes):
        parts = len(gene.blocks) + len(gene.thick)
        is_drawn = number in shown and parts <= left
        left -= parts if is_drawn else 0
        for name, stretches in (("blocks", gene.blocks), ("thick", gene.thick)):
            flat = [n for s, e in stretches if is_drawn for n in (s - gene.start, e - s)]
            columns[name].append(flat)
    return {
        "name": [_short(gene.name) for gene in found.genes],
        "strand": [gene.strand for gene in found.genes],
        "start": [gene.start for gene in found.genes],
        "end": [gene.end for gene in found.genes],
        **columns,
        "over": [list(some) for some in found.over],
        "number": found.number.tolist(),
        "nearest": found.nearest.tolist(),
        "distance": found.distance.tolist(),
    }


def gene_text(found: WindowGenes | None, row: int) -> str:
    """Say which genes a window touches, or which is nearest."""
    if found is None or found.nearest[row] < 0:
        return ""
    if found.over[row]:
        names = [_short(found.genes[i].name) or "without a name" for i in found.over[row][:3]]
        return ", ".join(names) + (f" and {found.number[row] - 3} more" if found.number[row] > 3 else "")
    away = int(found.distance[row])
    gene = found.genes[found.nearest[row]]
    side = ("upstream" if away < 0 else "downstream") if gene.strand in "+-" else "away"
    return f"{_short(gene.name) or 'without a name'}, {abs(away):,} bp {side}"


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
