"""A bigWig read by its numbers, as the supplement of Kent et al. 2010 (Bioinformatics 26:2204) describes it.

What the format asks for is asserted on the way: counts, sizes, order, and places of blocks.
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


class Numbers:
    """Takes numbers from bytes, one behind the other."""

    def __init__(self, content: bytes, at: int = 0) -> None:
        self.content, self.at = content, at

    def take(self, letters: str) -> tuple:
        found = struct.unpack_from("<" + letters, self.content, self.at)
        self.at += struct.calcsize("<" + letters)
        return found

    def one(self, letter: str) -> int:
        return self.take(letter)[0]


@dataclass
class Block:
    """What an index says of a block, and its content; a place is (number of chromosome, base)."""

    first: tuple[int, int]
    behind: tuple[int, int]
    at: int
    size: int
    content: bytes


@dataclass
class Section:
    """A block of values: intervals (start, end, value)."""

    chrom: int
    kind: str
    intervals: list[tuple[int, int, float]]


@dataclass
class Bin:
    """A record of a zoom level."""

    chrom: int
    start: int
    end: int
    count: int
    minimum: float
    maximum: float
    sum: float
    squares: float


class BigWig:
    """A bigWig, all of it read."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        header = Numbers(self.content)
        magic, self.version, n_levels, tree, data, index = header.take("IHHQQQ")
        assert magic == 0x888FFC26
        assert header.take("HHQ") == (0, 0, 0)  # columns and their description, which only a bigBed has
        summary, self.largest, extension = header.take("QIQ")
        assert extension == 0
        assert Numbers(self.content, len(self.content) - 4).one("I") == magic
        levels = [header.take("IIQQ") for _ in range(n_levels)]
        self.n_bases, self.minimum, self.maximum, self.sum, self.squares = Numbers(
            self.content, summary
        ).take("Qdddd")
        self.chroms = self._chroms(tree)
        self.blocks = blocks_of(self.content, index, data + 8)
        assert Numbers(self.content, data).one("Q") == len(self.blocks)
        self.sections = [_section(block) for block in self.blocks]
        self.levels: dict[int, list[Bin]] = {}
        all_blocks = list(self.blocks)
        for size, reserved, at, place in levels:
            assert reserved == 0
            blocks = blocks_of(self.content, place, at + 4)
            self.levels[size] = [record for block in blocks for record in _bins(block)]
            assert Numbers(self.content, at).one("I") == len(self.levels[size])
            all_blocks += blocks
        assert self.largest == max((len(block.content) for block in all_blocks), default=0)

    def values(self) -> dict[tuple[str, int], float]:
        """Give {(chromosome, base): value}; no base has two."""
        names = {number: name for name, (number, _) in self.chroms.items()}
        found = {}
        for section in self.sections:
            for start, end, value in section.intervals:
                for base in range(start, end):
                    assert (names[section.chrom], base) not in found
                    found[names[section.chrom], base] = value
        return found

    def _chroms(self, at: int) -> dict[str, tuple[int, int]]:
        """Read a tree that is one leaf: {name: (number, size)}."""
        tree = Numbers(self.content, at)
        magic, _, key, value, count, _ = tree.take("IIIIQQ")
        assert (magic, value) == (0x78CA8C91, 8)
        assert tree.take("BBH") == (1, 0, count)
        items = [tree.take(f"{key}sII") for _ in range(count)]
        return {name.rstrip(b"\0").decode(): (number, size) for name, number, size in items}


def blocks_of(content: bytes, at: int, first: int) -> list[Block]:
    """Read an index and the blocks that it names, which stand one behind the other from `first` on."""
    index = Numbers(content, at)
    magic, most, count, chrom, start, last_chrom, end, end_of_data, _, _ = index.take("IIQIIIIQII")
    assert magic == 0x2468ACE0
    assert end_of_data == at
    blocks = _below(content, index.at, most)
    assert len(blocks) == count
    for block in blocks:
        assert block.at == first
        first += block.size
    assert first == at
    if blocks:
        assert [(chrom, start), (last_chrom, end)] == [blocks[0].first, blocks[-1].behind]
    for one, two in pairwise(blocks):
        assert one.first < one.behind <= two.first < two.behind
    return blocks


def _below(content: bytes, at: int, most: int) -> list[Block]:
    node = Numbers(content, at)
    is_leaf, _, count = node.take("BBH")
    assert count <= most
    found = []
    for _ in range(count):
        chrom, start, last_chrom, end = node.take("IIII")
        if is_leaf:
            place, size = node.take("QQ")
            unpacked = zlib.decompress(content[place : place + size])
            below = [Block((chrom, start), (last_chrom, end), place, size, unpacked)]
        else:
            below = _below(content, node.one("Q"), most)
        assert [below[0].first, below[-1].behind] == [(chrom, start), (last_chrom, end)]
        found += below
    return found


def _section(block: Block) -> Section:
    content = Numbers(block.content)
    chrom, start, end, step, span, kind, _, count = content.take("IIIIIBBH")
    assert [(chrom, start), (chrom, end)] == [block.first, block.behind]
    if kind == 1:
        assert (step, span) == (0, 0)
        intervals = [content.take("IIf") for _ in range(count)]
    elif kind == 2:
        places = [content.take("If") for _ in range(count)]
        intervals = [(place, place + span, value) for place, value in places]
    else:
        assert kind == 3
        starts = [start + i * step for i in range(count)]
        values = content.take(f"{count}f")
        intervals = [(at, at + span, value) for at, value in zip(starts, values, strict=True)]
    assert content.at == len(block.content)
    assert [intervals[0][0], intervals[-1][1]] == [start, end]
    for one, two in pairwise(intervals):
        assert one[0] < one[1] <= two[0]
    return Section(chrom, ("", "bedgraph", "variable step", "fixed step")[kind], intervals)


def _bins(block: Block) -> list[Bin]:
    content = Numbers(block.content)
    bins = []
    while content.at < len(block.content):
        bins.append(Bin(*content.take("IIIIffff")))
    assert [(bins[0].chrom, bins[0].start), (bins[-1].chrom, bins[-1].end)] == [block.first, block.behind]
    return bins
