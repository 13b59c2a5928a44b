"""Blocks of regions, such as the exons of a gene: read from BED12, laid over windows."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError, number_of

Stretch = tuple[int, int]
"""A range, 0-based half-open, in bp."""
Marked = npt.NDArray[np.uint8]
"""1 where a base of a window lies in a block: shape (L,)."""

_COLUMNS = 12
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_LIST = re.compile(r"\d+(,\d+)*,?", re.ASCII)
_MOST_DIGITS = 18
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Under:
    """The part of a window that an output's positions lie over, as the model reads it."""

    output: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class BlocksWanted:
    """That windows come with the blocks of their regions, and what these must touch.

    Attributes
    ----------
    under : sequence of Under
        A window whose blocks don't touch each of them is skipped.
    both_strands : bool
        Whether each window is read reverse-complemented, too.
    kept : callable, or None
        Gives the marks of a window by the index of its region or record, where these aren't read from a BED.
    """

    under: Sequence[Under]
    both_strands: bool = False
    kept: Callable[[int], Marked] | None = None

    def obstacle(self, marked: Marked, strand: str) -> str:
        """Say why a window can't be scored; nothing where it can.

        Parameters
        ----------
        marked : ndarray of uint8, shape (L,)
            On the forward strand.
        strand : str
            ``-`` where the model reads the reverse complement.
        """
        for part in self.under:
            if not all(each[part.start : part.end].any() for each in self._read(marked, strand)):
                where = f"output '{part.output}', bases {part.start} to {part.end} of the window"
                return f"no block of its region lies under {where}"
        return ""

    def beyond(self, marked: Marked, strand: str, n_bases: int) -> bool:
        """Whether some of the `n_bases` of the blocks lie under none of the outputs."""
        seen = [min(int(m[p.start : p.end].sum()) for m in self._read(marked, strand)) for p in self.under]
        return min(seen, default=n_bases) < n_bases

    def _read(self, marked: Marked, strand: str) -> list[Marked]:
        """Give the marks as the model reads the window, of both strands where it reads both."""
        read = marked[::-1] if strand == "-" else marked
        return [read, read[::-1]] if self.both_strands else [read]


def read_blocks(fields: Sequence[str], start: int, end: int, where: str) -> tuple[Stretch, ...]:
    """Read the blocks of a BED12 line: columns 10 to 12.

    Lists may end in a comma. Blocks may stand in any order, and a base that lies in two of them counts once.

    Parameters
    ----------
    fields : sequence of str
        The columns of the line.
    start, end : int
        Of the region.
    where : str
        File and line, for messages.

    Returns
    -------
    tuple of (start, end)
        On the chromosome.

    Raises
    ------
    InputError
        If there are none, their number isn't the one that column 10 says, or one isn't in the region.
    """
    if len(fields) < _COLUMNS:
        raise InputError(
            f"{where}: {number_of(len(fields), 'column')}, and a target with @blocks reads the blocks in"
            " columns 10 to 12; give BED12"
        )
    count, sizes, starts = (field.strip() for field in fields[9:12])
    lengths, offsets = _number_list(sizes), _number_list(starts)
    if not _NUMBER.fullmatch(count) or lengths is None or offsets is None:
        shown = " ".join(text[:_SHOWN] for text in (count, sizes, starts))
        raise InputError(
            f"{where}: columns 10 to 12, '{shown}', aren't the number, sizes and starts of the blocks of a"
            " BED12; a target with @blocks reads them"
        )
    if not len(lengths) == len(offsets) == int(count):
        raise InputError(
            f"{where}: column 10 says {number_of(int(count), 'block')}, and behind it stand"
            f" {number_of(len(lengths), 'size')} and {number_of(len(offsets), 'start')}"
        )
    blocks = tuple((start + s, start + s + n) for n, s in zip(lengths, offsets, strict=True))
    for number, (first, last) in enumerate(blocks, 1):
        if first == last:
            raise InputError(f"{where}: block {number} is empty; take it out")
        if last > end:
            raise InputError(
                f"{where}: block {number} ends at {last}, behind its region, which ends at {end}"
            )
    return blocks


def _number_list(text: str) -> list[int] | None:
    if not _LIST.fullmatch(text):
        return None
    numbers = text.rstrip(",").split(",")
    return [int(n) if len(n) <= _MOST_DIGITS else 10**_MOST_DIGITS for n in numbers]


def marks(blocks: Sequence[Stretch], start: int, length: int) -> Marked:
    """Mark the bases of a window that lie in a block.

    Parameters
    ----------
    blocks : sequence of (start, end)
        On the chromosome.
    start : int
        Of the window.
    length : int
    """
    marked = np.zeros(length, np.uint8)
    for first, last in blocks:
        marked[max(first - start, 0) : max(last - start, 0)] = 1
    return marked


def n_bases(blocks: Sequence[Stretch]) -> int:
    """Count the bases that lie in any of the blocks."""
    total, reached = 0, -1
    for first, last in sorted(blocks):
        total += max(last - max(first, reached), 0)
        reached = max(reached, last)
    return total
