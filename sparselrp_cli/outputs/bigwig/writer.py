"""bigWig, written from arrays in constant memory.

The supplement of Kent et al. 2010 (Bioinformatics 26:2204), tables 5 to 19, describes the format. What stands
in a file: header, places of the zoom levels, summary, chromosomes, blocks of values and their index, and each
zoom level with its own. The first three are written last.

Every write is ours and raises where it fails, so that no room is asked for before and nothing read back.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.bigwig.blocks import CELL
from sparselrp_cli.outputs.bigwig.chromosome_tree import chromosome_tree
from sparselrp_cli.outputs.bigwig.index import PLACE, Places, index_of
from sparselrp_cli.outputs.bigwig.packing import Packed, pack
from sparselrp_cli.outputs.bigwig.stretches import stretches
from sparselrp_cli.outputs.bigwig.zoom import MOST_LEVELS, PER_BLOCK, ZoomLevel, ZoomLevels
from sparselrp_cli.outputs.track_runs import Run

LONGEST_CHROM = (1 << 32) - 1
MOST_THREADS = 8

MAGIC, VERSION = 0x888FFC26, 4
HEADER = struct.Struct("<IHHQQQHHQQIQ")
ZOOM_HEADER = struct.Struct("<IIQQ")
SUMMARY = struct.Struct("<Qdddd")
SUMMARY_AT = HEADER.size + MOST_LEVELS * ZOOM_HEADER.size
TREE_AT = SUMMARY_AT + SUMMARY.size
COUNT, ZOOM_COUNT, END = struct.Struct("<Q"), struct.Struct("<I"), struct.pack("<I", MAGIC)


def write_runs(path: Path, chrom_sizes: Mapping[str, int], runs: Iterable[Run], threads: int = 1) -> None:
    """Write runs as bigWig, with zoom levels and every chromosome in genome order.

    The bytes depend on the values of bases alone: not on where runs are cut, nor on the threads.

    Parameters
    ----------
    path : Path
    chrom_sizes : mapping of str to int
        In bp, in genome order.
    runs : iterable of Run
        In genome order, with finite values.
    threads : int
        That pack blocks, beside the one that calls.

    Raises
    ------
    OSError
        If the file can't be written.
    OutputError
        If a chromosome is too long for the format, or there is none.
    """
    makes = (partial(pack, batch) for batch in stretches(runs, chrom_sizes, CELL))
    write_batches(path, chrom_sizes, makes, threads)


def write_batches(
    path: Path, chrom_sizes: Mapping[str, int], makes: Iterable[Callable[[], Packed]], threads: int
) -> None:
    """Write batches as bigWig.

    Parameters
    ----------
    makes : iterable of callable
        Each gives a batch of whole cells, the one behind the other; they are called on other threads.

    Other parameters and errors as for `write_runs`.
    """
    _refuse_what_does_not_fit(chrom_sizes)
    with (
        path.open("wb") as file,
        ZoomLevels(path.parent, max(chrom_sizes.values())) as zoom,
        ThreadPoolExecutor(min(threads, MOST_THREADS), thread_name_prefix="bigwig") as pool,
    ):
        file.seek(TREE_AT)
        file.write(chromosome_tree(list(chrom_sizes.items()), TREE_AT))
        data = file.tell()
        file.write(COUNT.pack(0))
        places, largest = [np.empty(0, PLACE)], 0
        for batch in _in_order(pool, makes):
            file.writelines(batch.blocks)
            places.append(batch.places)
            largest = max(largest, batch.largest)
            zoom.add(batch.bins)
        index = _write_index(file, np.concatenate(places), data + COUNT.size, 1)
        summary = zoom.finish()
        levels = [_write_level(file, level) for level in zoom.kept()]
        file.write(END)
        file.seek(data)
        file.write(COUNT.pack(sum(map(len, places))))
        file.seek(SUMMARY_AT)
        file.write(SUMMARY.pack(*summary))
        largest = max(largest, zoom.largest)
        head = MAGIC, VERSION, len(levels), TREE_AT, data, index, 0, 0, 0, SUMMARY_AT, largest, 0
        file.seek(0)
        file.write(HEADER.pack(*head) + b"".join(levels))


def _in_order(pool: ThreadPoolExecutor, makes: Iterable[Callable[[], Packed]]) -> Iterator[Packed]:
    """Make batches, and give them in their order."""
    waiting: deque[Future[Packed]] = deque()
    for make in makes:
        waiting.append(pool.submit(make))
        if len(waiting) > MOST_THREADS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _write_index(file: IO[bytes], places: Places, first: int, per_block: int) -> int:
    """Write the index of the blocks that stand from `first` on; give where it stands."""
    at = file.tell()
    file.writelines(index_of(places, first, at, per_block))
    return at


def _write_level(file: IO[bytes], level: ZoomLevel) -> bytes:
    """Write a zoom level and its index; give what the header says of it."""
    at = file.tell()
    file.write(ZOOM_COUNT.pack(level.n_bins))
    level.copy_to(file)
    index = _write_index(file, level.places, at + ZOOM_COUNT.size, PER_BLOCK)
    return ZOOM_HEADER.pack(level.size, 0, at, index)


def _refuse_what_does_not_fit(chrom_sizes: Mapping[str, int]) -> None:
    if not chrom_sizes:
        raise OutputError("a bigWig needs at least one chromosome; the archive names none")
    for chrom, size in chrom_sizes.items():
        if size > LONGEST_CHROM:
            raise OutputError(
                f"chromosome '{chrom}' of {size} bp is too long for a bigWig; write bedgraph instead"
            )
