"""Windows of the model's length: around regions, or laid over whole records."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

Allele = Literal["ref", "alt"]
ALLELES: tuple[Allele, ...] = get_args(Allele)
"""What a window around a variant holds."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a chromosome that is scored, 0-based half-open; it may hang over the chromosome's ends.

    Attributes
    ----------
    chrom : str
    start, end : int
        In bp; `start` may be negative and `end` beyond the chromosome.
    name : str
    strand : str
        ``+``, ``-`` or ``.``.
    index : int
        Which region or record of the input it comes from, counted from 0.
    """

    chrom: str
    start: int
    end: int
    name: str
    strand: str
    index: int


@dataclass(frozen=True, slots=True)
class Skipped(Window):
    """A region, or a part of a record, that isn't scored, and why; its place is as the input gives it."""

    reason: str


def around(centre: int, length: int) -> tuple[int, int]:
    """Give the window around a centre: it begins `length // 2` before it."""
    start = centre - length // 2
    return start, start + length


def tiles(size: int, length: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Lay windows over a record.

    One window, centred, if the record isn't longer than it; else windows that overlap by at least `overlap`,
    the last flush with the record's end.
    """
    if size <= length:
        start = -((length - size) // 2)
        yield start, start + length
        return
    step = length - overlap
    for start in range(0, size - length, step):
        yield start, start + length
    yield size - length, size


def count_tiles(size: int, length: int, overlap: int) -> int:
    """Count the windows that `tiles` gives."""
    return 1 if size <= length else -(-(size - length) // (length - overlap)) + 1
