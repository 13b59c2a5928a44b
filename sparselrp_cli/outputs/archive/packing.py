"""Chunks of an archive, packed as HDF5's filters do it: byte shuffle, then gzip.

The shuffle puts the first bytes of all numbers before the second ones, and so on. The sign and the exponent
of real maps repeat, and their mantissas don't: apart, the former shrink. The bytes of a packed chunk depend
on its numbers alone, not on the threads.
"""

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.outputs.archive.layout import GZIP_LEVEL, Column

Values = npt.NDArray[Any]

WINDOW_BITS, MEMORY_LEVEL = 15, 8
# More threads than this have nothing to do while one thread hands the rows on.
MOST_THREADS = 8


def pieces(column: Column, rows: Values) -> Iterator[Values]:
    """Cut the rows of a column into chunks, target by target; the last is filled up with zeros, as by HDF5.

    Parameters
    ----------
    column : Column
    rows : ndarray, shape (T, n, ...) if the column is kept per target, else (n, ...)
    """
    for of_target in rows if column.per_target else rows[np.newaxis]:
        for start in range(0, len(of_target), column.chunk):
            piece = of_target[start : start + column.chunk]
            missing = column.chunk - len(piece)
            if missing:
                piece = np.concatenate([piece, np.zeros((missing, *column.tail), piece.dtype)])
            yield np.ascontiguousarray(piece, column.dtype)


def packed(chunks: Sequence[Values], threads: int) -> list[bytes]:
    """Pack chunks, in their order, on so many threads."""
    threads = min(threads, len(chunks), MOST_THREADS)
    if threads < 2:
        return list(map(pack, chunks))
    bounds = [len(chunks) * i // threads for i in range(threads + 1)]
    shares = [chunks[start:stop] for start, stop in pairwise(bounds)]
    with ThreadPoolExecutor(threads, thread_name_prefix="packer") as pool:
        return [chunk for share in pool.map(_each_packed, shares) for chunk in share]


def pack(values: Values) -> bytes:
    """Pack the numbers of a chunk."""
    # What repeats in shuffled reals are runs of one byte: a search for more takes half as long again.
    strategy = zlib.Z_RLE if values.dtype.kind == "f" else zlib.Z_DEFAULT_STRATEGY
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL, strategy)
    return packer.compress(_shuffled(values)) + packer.flush()


def unpack(column: Column, chunk: bytes) -> Values:
    """Give the numbers of a packed chunk: shape (chunk, ...).

    Raises
    ------
    zlib.error, ValueError
        If it is damaged.
    """
    raw = zlib.decompress(chunk)
    if column.shuffled:
        size = np.dtype(column.dtype).itemsize
        raw = np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(size, -1).T).tobytes()
    return np.frombuffer(raw, column.dtype).reshape(column.chunk, *column.tail)


def _each_packed(chunks: Sequence[Values]) -> list[bytes]:
    return list(map(pack, chunks))


def _shuffled(values: Values) -> bytes:
    size = values.dtype.itemsize
    if size == 1:
        return values.tobytes()
    return np.ascontiguousarray(values.reshape(-1).view(np.uint8).reshape(-1, size).T).tobytes()
