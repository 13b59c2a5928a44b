"""The blocks of a bigWig that `writer` wrote: as they are packed, and the values in them."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np

from sparselrp_cli.outputs.bigwig.blocks import BEDGRAPH, CELL, INTERVAL, SECTION
from sparselrp_cli.outputs.bigwig.index import HEADER as INDEX
from sparselrp_cli.outputs.bigwig.index import IN_NODE, LEAF, NODE, PLACE, Places
from sparselrp_cli.outputs.bigwig.packing import Packed
from sparselrp_cli.outputs.bigwig.stretches import Numbers, Stretches
from sparselrp_cli.outputs.bigwig.writer import HEADER, MAGIC
from sparselrp_cli.outputs.bigwig.zoom import bins_of
from sparselrp_cli.outputs.track_runs import Singles

_CHILD = struct.Struct("<16xQ")


class ForeignTrackError(ValueError):
    """A file isn't a bigWig of the writer's making."""


class PackedTrack:
    """A track whose blocks are copied; it is open until it is closed.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    places : ndarray of LEAF
        Of the blocks, in genome order.

    Raises
    ------
    OSError
        If it can't be read.
    ForeignTrackError
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            self.places = self._leaves()
            inside = self.places["start"] // CELL == (self.places["end"] - 1) // CELL
            if not inside.all():
                raise ForeignTrackError(f"{path}: its blocks are of another grid")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "PackedTrack":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def copied(self, first: int, last: int) -> Packed:
        """Give blocks as they are, from `first` to before `last`: those of whole cells, at least one."""
        places = self.places[first:last]
        at = (places["at"] - places["at"][0]).tolist()
        content = self._read(int(places["at"][0]), at[-1] + int(places["size"][-1]))
        blocks = [content[i : i + n] for i, n in zip(at, places["size"].tolist(), strict=True)]
        try:
            unpacked = [zlib.decompress(block) for block in blocks]
            bins = bins_of(_values_of(unpacked))
        except (zlib.error, struct.error) as error:
            raise OSError(f"{self.path} is damaged") from error
        kept = np.empty(len(places), PLACE)
        for name in PLACE.names or ():
            kept[name] = places[name]
        return Packed(blocks, kept, max(map(len, unpacked)), bins)

    def _leaves(self) -> Places:
        """Read the index: its leaves stand one behind the other."""
        magic, _, _, _, _, index, *_ = HEADER.unpack(self._read(0, HEADER.size))
        if magic != MAGIC:
            raise ForeignTrackError(f"{self.path} isn't a bigWig")
        n = INDEX.unpack(self._read(index, INDEX.size))[2]
        at = index + INDEX.size
        while not NODE.unpack(self._read(at, NODE.size))[0]:
            below = _CHILD.unpack(self._read(at + NODE.size, _CHILD.size))[0]
            if below <= at:
                raise ForeignTrackError(f"{self.path}: its index has no end")
            at = below
        content = self._read(at, n * LEAF.itemsize + -(-n // IN_NODE) * NODE.size)
        whole = NODE.size + IN_NODE * LEAF.itemsize
        nodes = (content[i + NODE.size : i + whole] for i in range(0, len(content), whole))
        return np.frombuffer(b"".join(nodes), LEAF)

    def _read(self, at: int, n: int) -> bytes:
        parts = []
        while n:
            part = os.pread(self._descriptor, n, at)
            if not part:
                raise ForeignTrackError(f"{self.path} is cut off")
            parts.append(part)
            at, n = at + len(part), n - len(part)
        return b"".join(parts)


def _values_of(blocks: list[bytes]) -> Stretches:
    """Read unpacked blocks."""
    chrom, start, end, values = zip(*map(_of_block, blocks), strict=True)
    return Stretches(*map(np.concatenate, (chrom, start, end, values)))


def _of_block(block: bytes) -> tuple[Numbers, Numbers, Numbers, Singles]:
    chrom, start, end, _, _, kind, count = SECTION.unpack_from(block)
    if kind != BEDGRAPH:
        span = np.array([[chrom], [start], [end]], np.int64)
        return *span, np.frombuffer(block, "<f4", count, SECTION.size)
    intervals = np.frombuffer(block, INTERVAL, count, SECTION.size)
    starts, ends = intervals["start"].astype(np.int64), intervals["end"].astype(np.int64)
    return np.full(count, chrom, np.int64), starts, ends, np.repeat(intervals["value"], ends - starts)
