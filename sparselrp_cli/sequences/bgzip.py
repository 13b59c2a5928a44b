"""Any place of a bgzip file, by where its blocks lie: a .gzi index."""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

_HEADER = 18
_LARGEST_BLOCK = 1 << 16
# Unpacked they take 64 MiB: windows in no order come back to the same blocks of a small genome.
_MOST_BLOCKS = 1 << 10
# Between the beginnings of two blocks that hold something lie one block and perhaps empty ones.
_LARGEST_STEP = 1 << 20
Block = tuple[int, int]
"""Where a block begins, in the packed and in the unpacked file, in bytes."""


def find_blocks(path: Path) -> list[Block]:
    """Find the blocks that hold something, going from header to header (SAM specification, 4.1).

    Raises
    ------
    ValueError
        If a block isn't as bgzip writes them.
    """
    blocks, packed, unpacked = [], 0, 0
    with path.open("rb") as stream:
        while header := stream.read(_HEADER):
            if header[:4] != b"\x1f\x8b\x08\x04" or header[12:16] != b"BC\2\0":
                raise ValueError(f"no block of bgzip begins at byte {packed}")
            size = int.from_bytes(header[16:18], "little") + 1
            stream.seek(packed + size - 4)
            holds = int.from_bytes(stream.read(4), "little")
            if holds:
                blocks.append((packed, unpacked))
            packed, unpacked = packed + size, unpacked + holds
            stream.seek(packed)
    return blocks


def parse_gzi(content: bytes) -> list[Block]:
    """Read an index; the first block, of which bgzip doesn't write, is put in front.

    Raises
    ------
    ValueError
        If it is none.
    """
    (n,) = struct.unpack("<Q", content[:8])
    if len(content) != 8 + 16 * n:
        raise ValueError(f"{n} blocks don't fit into {len(content)} bytes")
    listed = [(packed, unpacked) for packed, unpacked in struct.iter_unpack("<QQ", content[8:])]
    blocks = listed if listed[:1] == [(0, 0)] else [(0, 0), *listed]
    for (packed, unpacked), (next_packed, next_unpacked) in pairwise(blocks):
        if not (
            0 < next_packed - packed <= _LARGEST_STEP and 0 <= next_unpacked - unpacked <= _LARGEST_BLOCK
        ):
            raise ValueError(f"no block lies between bytes {packed} and {next_packed}")
    return blocks


def format_gzi(blocks: Sequence[Block]) -> bytes:
    """Write an index as bgzip does."""
    listed = [block for block in blocks if block != (0, 0)]
    return struct.pack("<Q", len(listed)) + b"".join(struct.pack("<QQ", *block) for block in listed)


class PlainFile:
    """A file at any place."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes; fewer where the file ends."""
        self._file.seek(offset)
        return self._file.read(length)

    def close(self) -> None:
        self._file.close()


class BgzipFile:
    """What a bgzip file holds, at any place; the blocks that were read last are kept."""

    def __init__(self, path: Path, blocks: Sequence[Block]) -> None:
        self._file = path.open("rb")
        self._packed = [packed for packed, _ in blocks]
        self._unpacked = [unpacked for _, unpacked in blocks]
        self._at = lru_cache(_MOST_BLOCKS)(self._unpack)

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes of the unpacked file; fewer where it ends.

        Raises
        ------
        ValueError, zlib.error
            If the blocks aren't where they should be, or are damaged.
        """
        pieces = []
        number = bisect_right(self._unpacked, offset) - 1
        while length > 0 and number < len(self._unpacked):
            first = offset - self._unpacked[number]
            piece = self._at(number)[first : first + length]
            pieces.append(piece)
            number, offset, length = number + 1, offset + len(piece), length - len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        self._file.close()
        self._at.cache_clear()

    def _unpack(self, number: int) -> bytes:
        self._file.seek(self._packed[number])
        unpacker = zlib.decompressobj(wbits=31)
        block = unpacker.decompress(self._file.read(_LARGEST_BLOCK), _LARGEST_BLOCK + 1)
        holds = [
            b - a
            for a, b in zip(self._unpacked[number:], self._unpacked[number + 1 : number + 2], strict=False)
        ]
        if not unpacker.eof or (holds and holds != [len(block)]):
            raise ValueError(f"the block at byte {self._packed[number]} is cut off or of another length")
        return block
