"""Windows that all runs have: around the same place, of the same sequence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparselrp_cli.comparison.members import Member
from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive import ArchiveReader

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_BATCH_BYTES = 16 << 20
_KEY = np.dtype([("chrom", "<i8"), ("centre", "<i8"), ("copy", "<i8")])


@dataclass(frozen=True, eq=False)
class Shared:
    """Windows that all runs have, in genome order of the first.

    Attributes
    ----------
    rows : tuple of ndarray of int, shape (n,)
        For each run, which of its windows they are.
    start : tuple of int
        For each run, where the shared part of its windows begins.
    length : int
        Of the shared part, in bp.
    only : tuple of int
        For each run, how many of its windows not all others have.
    other_sequence : int
        Windows at the same place whose sequences differ, and which therefore don't count.
    scale : tuple of float
        For each run, the mean absolute contribution over the shared windows.
    """

    rows: tuple[Indices, ...]
    start: tuple[int, ...]
    length: int
    only: tuple[int, ...]
    other_sequence: int = 0
    scale: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.rows[0])

    def blocks(self) -> Iterator[slice]:
        """Go through the windows in order, as many at a time as take little memory."""
        size = max(1, _BATCH_BYTES // (64 * self.length * len(self.rows)))
        for first in range(0, len(self), size):
            yield slice(first, min(first + size, len(self)))


def match(members: Sequence[Member]) -> Shared:
    """Match the windows of runs by place and sequence, and measure how large contributions are.

    Windows of different lengths match where their centres do; then the shorter one's stretch is compared.
    Where a run has a place several times, its first window there matches the first of the others, and so on.

    Parameters
    ----------
    members : sequence of Member

    Raises
    ------
    InputError
        If no window is shared.
    """
    placed = _match_places([member.reader for member in members])
    total = np.zeros(len(members))
    same = np.zeros(len(placed), bool)
    for block in placed.blocks():
        read = [_read(m, placed, i, block) for i, m in enumerate(members)]
        first = read[0][0]
        same[block] = np.all([(one_hot == first).all(axis=(1, 2)) for one_hot, _ in read], axis=0)
        total += [np.abs(values[same[block]]).sum() for _, values in read]
    if not same.any():
        said = f"; {len(same)} have the same place and another sequence" if len(same) else ""
        raise InputError(f"the runs have no window in common{said}; explain the same regions with both")
    rows = tuple(rows[same] for rows in placed.rows)
    scale = tuple(float(t) for t in total / (same.sum() * placed.length))
    return replace(placed, rows=rows, other_sequence=int((~same).sum()), scale=scale)


def contributions(member: Member, shared: Shared, number: int, block: slice) -> Doubles:
    """Read the contributions of some shared windows of a run, shape (n, length).

    Parameters
    ----------
    member : Member
    shared : Shared
    number : int
        Of the run.
    block : slice
        Which shared windows.
    """
    return _read(member, shared, number, block)[1]


def _read(member: Member, shared: Shared, number: int, block: slice) -> tuple[npt.NDArray[np.uint8], Doubles]:
    """Read the one-hot sequence, shape (n, 4, length), and the contributions of some shared windows."""
    part = slice(shared.start[number], shared.start[number] + shared.length)
    one_hot, hypothetical = member.reader.read(shared.rows[number][block], member.target)
    bases = one_hot[:, :, part]
    values = np.where(bases != 0, hypothetical[:, :, part].astype(np.float64), 0).sum(axis=1)
    return bases, values


def _match_places(readers: Sequence[ArchiveReader]) -> Shared:
    chroms = {name: i for i, name in enumerate(readers[0].chrom_sizes)}
    keys = [_keys(reader, chroms) for reader in readers]
    common, rows = keys[0], [np.arange(len(keys[0]))]
    for other in keys[1:]:
        common, ours, theirs = np.intersect1d(common, other, assume_unique=True, return_indices=True)
        rows = [*(before[ours] for before in rows), theirs]
    length = min(reader.window_length for reader in readers)
    start = tuple(reader.window_length // 2 - length // 2 for reader in readers)
    only = tuple(reader.n_windows - len(common) for reader in readers)
    return Shared(tuple(rows), start, length, only)


def _keys(reader: ArchiveReader, chroms: dict[str, int]) -> npt.NDArray[np.void]:
    """Give chromosome, centre and the how manieth window there it is, for each window; none twice."""
    at = reader.coordinates
    # A chromosome that the first run doesn't have gets a number that none of its windows has.
    numbers = np.array([chroms.get(name, -1 - i) for i, name in enumerate(reader.chrom_sizes)], np.int64)
    keys = np.zeros(reader.n_windows, _KEY)
    if not len(keys):
        return keys
    keys["chrom"] = numbers[at.chrom]
    keys["centre"] = at.start + reader.window_length // 2
    order = np.lexsort((keys["centre"], keys["chrom"]))
    ordered = keys[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = (np.diff(ordered["chrom"]) != 0) | (np.diff(ordered["centre"]) != 0)
    index = np.arange(len(keys))
    keys["copy"][order] = index - np.maximum.accumulate(np.where(is_first, index, 0))
    return keys
