"""The chromosome tree of a bigWig: names, numbers and sizes of any number of chromosomes.

The supplement of Kent et al. 2010 (Bioinformatics 26:2204), tables 8 to 11, describes it.
"""

import struct
from collections.abc import Sequence

MAGIC = 0x78CA8C91
HEADER = struct.Struct("<IIIIQQ")
NODE = struct.Struct("<BBH")
# A node counts its items with 16 bits.
MOST_IN_NODE = (1 << 16) - 1
BLOCK = 256
VALUE_BYTES = 8

Item = tuple[bytes, bytes]
"""A name, padded with zeros, and what stands behind it: number and size, or the place of a node."""


def chromosome_tree(chroms: Sequence[tuple[str, int]], at: int) -> bytes:
    """Write the tree.

    As long as a node has room for all, it is one leaf in the order given. Of more chromosomes it has levels
    of nodes of `BLOCK` items, the root first, in which names are sorted so that they can be searched.

    Parameters
    ----------
    chroms : sequence of (name, size)
        In the order of their numbers; size in bp.
    at : int
        Where in the file the tree will stand.

    Returns
    -------
    bytes
    """
    names = [name.encode() for name, _ in chroms]
    longest = max(map(len, names))
    items = [
        (name.ljust(longest, b"\0"), struct.pack("<II", number, size))
        for number, (name, (_, size)) in enumerate(zip(names, chroms, strict=True))
    ]
    block = len(items)
    if block > MOST_IN_NODE:
        block = BLOCK
        items.sort()
    header = HEADER.pack(MAGIC, block, longest, VALUE_BYTES, len(items), 0)
    return header + _nodes(items, block, NODE.size + block * (longest + VALUE_BYTES), at + len(header))


def _nodes(items: list[Item], block: int, node_bytes: int, at: int) -> bytes:
    """Write all nodes, each in as many bytes as a full one has."""
    firsts = [[items[i][0] for i in range(0, len(items), block)]]
    while len(firsts[-1]) > 1:
        firsts.append(firsts[-1][::block])
    written = b""
    for level in range(len(firsts) - 1, 0, -1):
        # The level below begins behind this one, which is the last that is written so far.
        below = at + len(written) + len(firsts[level]) * node_bytes
        children = [
            (name, struct.pack("<Q", below + i * node_bytes)) for i, name in enumerate(firsts[level - 1])
        ]
        written += _level(children, block, node_bytes, is_leaf=False)
    return written + _level(items, block, node_bytes, is_leaf=True)


def _level(items: list[Item], block: int, node_bytes: int, *, is_leaf: bool) -> bytes:
    parts = [items[i : i + block] for i in range(0, len(items), block)]
    nodes = (NODE.pack(is_leaf, 0, len(part)) + b"".join(map(b"".join, part)) for part in parts)
    return b"".join(node.ljust(node_bytes, b"\0") for node in nodes)
