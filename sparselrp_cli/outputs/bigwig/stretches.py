"""Values along the genome in batches, cut on grids: into blocks of a bigWig, and bins of its zoom levels.

A grid's cells begin at multiples of their size. What is made of a cell depends on the values in it alone, not
on the runs in which they came, nor on the batches.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.track_runs import Run, Singles

Numbers = npt.NDArray[np.int64]

BATCH = 1 << 18
"""Bases after which a batch ends, at the next cell: few enough for the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Stretches of bases with a value each, with gaps between them, in genome order.

    Attributes
    ----------
    chrom : ndarray of int64, shape (m,)
        Numbers of chromosomes.
    start, end : ndarray of int64, shape (m,)
    values : ndarray of float32, shape (n,)
        Of all bases, stretch after stretch.
    """

    chrom: Numbers
    start: Numbers
    end: Numbers
    values: Singles


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Stretches cut where the cells of a grid begin.

    Attributes
    ----------
    chrom, start, end : ndarray of int64, shape (k,)
    at : ndarray of int64, shape (k,)
        Where among the values those of a piece begin.
    first : ndarray of int64, shape (c,)
        The first piece of each cell in which there are any.
    last : ndarray of int64, shape (c,)
        Its last one.
    """

    chrom: Numbers
    start: Numbers
    end: Numbers
    at: Numbers
    first: Numbers
    last: Numbers


def numbers_of(chrom_sizes: Mapping[str, int]) -> dict[str, int]:
    """Number chromosomes in genome order."""
    return {chrom: number for number, chrom in enumerate(chrom_sizes)}


def stretches(runs: Iterable[Run], chrom_sizes: Mapping[str, int], cell: int) -> Iterator[Stretches]:
    """Put runs together into batches that end where a cell of a grid does.

    Parameters
    ----------
    runs : iterable of Run
        In genome order; one may go on where the one before it ends.
    chrom_sizes : mapping of str to int
        In bp, in genome order.
    cell : int
        Of the grid, in bp.

    Yields
    ------
    Stretches

    Raises
    ------
    ValueError
        If runs aren't in genome order.
    """
    numbers = numbers_of(chrom_sizes)
    held: list[Run] = []
    n = 0
    for run in runs:
        held.append(run)
        n += len(run.values)
        if n >= BATCH:
            whole, held = _cut_off(held, run.end // cell * cell)
            n = sum(len(each.values) for each in held)
            if whole:
                yield _joined(whole, numbers)
    if held:
        yield _joined(held, numbers)


def pieces(found: Stretches, cell: int) -> Pieces:
    """Cut stretches on a grid.

    Parameters
    ----------
    found : Stretches
    cell : int
        In bp.
    """
    first_cell = found.start // cell
    n_cells = (found.end - 1) // cell - first_cell + 1
    before = np.cumsum(n_cells) - n_cells
    of = np.repeat(np.arange(len(n_cells)), n_cells)
    cells = first_cell[of] + np.arange(len(of)) - before[of]
    chrom = found.chrom[of]
    start, end = np.maximum(found.start[of], cells * cell), np.minimum(found.end[of], (cells + 1) * cell)
    first = beginnings(chrom, cells)
    return Pieces(chrom, start, end, np.cumsum(end - start) - (end - start), first, ends(first, len(of)) - 1)


def beginnings(*columns: npt.NDArray[np.integer]) -> Numbers:
    """Say where in columns of equal length, of one row at least, a row is another than the one before it."""
    changes = np.zeros(len(columns[0]), bool)
    changes[0] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes)


def ends(first: Numbers, total: int) -> Numbers:
    """Give where groups end that begin at `first`."""
    return np.append(first[1:], total)


def _cut_off(runs: list[Run], border: int) -> tuple[list[Run], list[Run]]:
    """Split runs at a border on the last one's chromosome."""
    left: list[Run] = []
    chrom = runs[-1].chrom
    while runs and runs[-1].chrom == chrom and runs[-1].end > border:
        run = runs.pop()
        n = max(0, border - run.start)
        left.append(Run(chrom, run.start + n, run.values[n:]))
        if n:
            runs.append(Run(chrom, run.start, run.values[:n]))
    return runs, left[::-1]


def _joined(runs: list[Run], numbers: Mapping[str, int]) -> Stretches:
    chrom = np.array([numbers[run.chrom] for run in runs], np.int64)
    start = np.array([run.start for run in runs], np.int64)
    end = np.array([run.end for run in runs], np.int64)
    same = chrom[1:] == chrom[:-1]
    if (chrom[1:] < chrom[:-1]).any() or (same & (start[1:] < end[:-1])).any():
        raise ValueError("runs aren't in genome order")
    new = np.append(True, ~(same & (start[1:] == end[:-1])))
    first = np.flatnonzero(new)
    values = np.concatenate([run.values for run in runs]).astype("<f4", copy=False)
    return Stretches(chrom[first], start[first], end[ends(first, len(runs)) - 1], values)
