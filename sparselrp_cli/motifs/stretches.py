"""What hits are looked for in: windows one by one, or what overlapping windows cover together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.sequences.windows import Window

OneHot = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]

OVER = ("windows", "stretches")
LONGEST = 1 << 16
"""A longer stretch comes in pieces, so that memory doesn't grow with it."""
_ROWS, _MOST_BASES = 256, 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Bases of the genome in a row, and their relevance.

    Attributes
    ----------
    chrom : str
    start : int
        Of the first base.
    one_hot : ndarray of uint8, shape (4, n)
    contributions : ndarray of float64, shape (n,)
        Means over the windows that cover a base.
    windows : tuple of Window
        Those that cover any of it.
    done : int
        What ends here or before, from `start`, the piece before has.
    """

    chrom: str
    start: int
    one_hot: OneHot
    contributions: Doubles
    windows: tuple[Window, ...]
    done: int = 0

    def window_of(self, start: int, end: int) -> str:
        """Name the window whose centre is nearest to a place in the piece; of equally near ones the first."""
        middle = 2 * self.start + start + end
        return min(self.windows, key=lambda w: (abs(w.start + w.end - middle), w.index)).name


def single_windows(reader: ArchiveReader, target: int) -> Iterator[Piece]:
    """Give every window by itself, in the order of the archive."""
    for rows in reader.chunks(_ROWS):
        one_hot, _ = reader.read(rows, target)
        contributions = reader.contributions(rows, target).astype(np.float64)
        for i, window in enumerate(reader.windows(rows)):
            yield Piece(window.chrom, window.start, one_hot[i], contributions[i], (window,))


def stretches(reader: ArchiveReader, target: int, widest: int) -> Iterator[Piece]:
    """Give what windows that overlap or touch cover together, in genome order, each base once.

    Parameters
    ----------
    reader : ArchiveReader
    target : int
    widest : int
        Of what is looked for, in bp: pieces of one stretch share one base less.

    Raises
    ------
    InputError
        If windows hold different bases at one place, as those of alternative alleles do.
    """
    at = reader.coordinates
    order = np.lexsort((at.start, at.chrom))
    pile: _Pile | None = None
    for first in range(0, len(order), _ROWS):
        rows = order[first : first + _ROWS]
        one_hot, _ = reader.read(rows, target)
        contributions = reader.contributions(rows, target).astype(np.float64)
        for i, window in enumerate(reader.windows(rows)):
            if pile is not None and (window.chrom != pile.chrom or window.start > pile.end):
                yield pile.piece(pile.end)
                pile = None
            pile = pile or _Pile(window.chrom, window.start)
            # No later window begins before this one: what lies in front of it is settled.
            if window.start - pile.start > LONGEST + widest:
                yield pile.piece(window.start)
                pile.forget(window.start, widest - 1)
            pile.add(window, one_hot[i], contributions[i], reader)
    if pile is not None:
        yield pile.piece(pile.end)


def batches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Put pieces together that are searched at once, padded to the longest."""
    waiting: list[Piece] = []
    longest = 0
    for piece in pieces:
        longer = max(longest, piece.one_hot.shape[1])
        if waiting and longer * (len(waiting) + 1) > _MOST_BASES:
            yield waiting
            waiting, longer = [], piece.one_hot.shape[1]
        waiting.append(piece)
        longest = longer
    if waiting:
        yield waiting


def padded(pieces: Sequence[Piece]) -> OneHot:
    """Stack the bases of pieces, unknown ones behind the shorter: shape (N, 4, longest)."""
    stacked = np.zeros((len(pieces), 4, max(p.one_hot.shape[1] for p in pieces)), np.uint8)
    for row, piece in zip(stacked, pieces, strict=True):
        row[:, : piece.one_hot.shape[1]] = piece.one_hot
    return stacked


@dataclass(slots=True, eq=False)
class _Pile:
    """Windows laid over each other, from `start` on."""

    chrom: str
    start: int
    done: int = 0
    windows: list[Window] = field(default_factory=list)
    one_hot: OneHot = field(default_factory=lambda: np.zeros((4, 0), np.uint8))
    total: Doubles = field(default_factory=lambda: np.zeros(0))
    count: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def end(self) -> int:
        return self.start + len(self.total)

    def add(self, window: Window, one_hot: OneHot, contributions: Doubles, reader: ArchiveReader) -> None:
        first, shared = window.start - self.start, self.end - window.start
        same = np.array_equal(self.one_hot[:, first:][:, : one_hot.shape[1]], one_hot[:, :shared])
        if not same:
            raise InputError(
                f"{reader.path}: windows at {window.chrom}:{window.start + 1} hold different bases, as those"
                " of alternative alleles do; look for hits with --hits-over windows"
            )
        new = max(0, window.end - self.end)
        self.one_hot = np.concatenate([self.one_hot, one_hot[:, one_hot.shape[1] - new :]], axis=1)
        self.total, self.count = np.pad(self.total, (0, new)), np.pad(self.count, (0, new))
        self.total[first : first + len(contributions)] += contributions
        self.count[first : first + len(contributions)] += 1
        self.windows.append(window)

    def piece(self, end: int) -> Piece:
        """Give what lies in front of a place."""
        n = end - self.start
        here = tuple(w for w in self.windows if w.start < end)
        return Piece(
            self.chrom, self.start, self.one_hot[:, :n], self.total[:n] / self.count[:n], here, self.done
        )

    def forget(self, end: int, kept: int) -> None:
        """Drop what lies in front of a place but so many bases."""
        n = end - self.start - kept
        self.one_hot, self.total, self.count = self.one_hot[:, n:], self.total[n:], self.count[n:]
        self.start += n
        self.done = kept
        self.windows = [w for w in self.windows if w.end > self.start]
