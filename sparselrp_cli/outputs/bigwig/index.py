"""The index of a bigWig: where in the file the values of a part of the genome are.

It is an R tree, and the supplement of Kent et al. 2010 (Bioinformatics 26:2204), tables 14 to 17, describes
it. Blocks come in genome order and share no base, so that nodes are made of blocks as they come.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = 0x2468ACE0
HEADER = struct.Struct("<IIQIIIIQII")
NODE = struct.Struct("<BBH")
IN_NODE = 256

_SPAN = [("chrom", "<u4"), ("start", "<u4"), ("last_chrom", "<u4"), ("end", "<u4")]
PLACE = np.dtype([*_SPAN, ("size", "<u4")])
"""A block: its first base and the one behind its last, each with its chromosome's number; its bytes."""
LEAF = np.dtype([*_SPAN, ("at", "<u8"), ("size", "<u8")])
BRANCH = np.dtype([*_SPAN, ("at", "<u8")])

Places = npt.NDArray[Any]


def index_of(places: Places, first: int, at: int, per_block: int) -> Iterator[bytes]:
    """Write the index of blocks that stand one behind the other.

    Parameters
    ----------
    places : ndarray of PLACE
        In genome order.
    first : int
        Where in the file the first block stands.
    at : int
        Where the index will stand.
    per_block : int
        How many items a block has at most.

    Yields
    ------
    bytes
        The header, then a node at a time, the root first.
    """
    leaves = np.empty(len(places), LEAF)
    for name in ("chrom", "start", "last_chrom", "end", "size"):
        leaves[name] = places[name]
    leaves["at"] = first + np.cumsum(places["size"], dtype=np.uint64) - places["size"]
    levels = [leaves]
    while len(levels[0]) > IN_NODE:
        levels.insert(0, _above(levels[0]))
    span = [*leaves[0].item()[:2], *leaves[-1].item()[2:4]] if len(leaves) else [0] * 4
    yield HEADER.pack(MAGIC, IN_NODE, len(leaves), *span, at, per_block, 0)
    at += HEADER.size
    for level, below in pairwise(levels):
        # A level stands behind the one above it, and of its nodes only the last may be less than full.
        at += -(-len(level) // IN_NODE) * NODE.size + level.nbytes
        node = NODE.size + IN_NODE * below.itemsize
        level["at"] = at + node * np.arange(len(level), dtype=np.uint64)
        yield from _nodes(level, is_leaf=False)
    yield from _nodes(leaves, is_leaf=True)


def _above(items: Places) -> Places:
    """Give the items of the level above, one for each node, which don't say yet where that stands."""
    first = np.arange(0, len(items), IN_NODE)
    last = np.append(first[1:], len(items)) - 1
    above = np.zeros(len(first), BRANCH)
    for name, of in (("chrom", first), ("start", first), ("last_chrom", last), ("end", last)):
        above[name] = items[name][of]
    return above


def _nodes(level: Places, *, is_leaf: bool) -> Iterator[bytes]:
    for i in range(0, max(1, len(level)), IN_NODE):
        items = level[i : i + IN_NODE]
        yield NODE.pack(is_leaf, 0, len(items)) + items.tobytes()
