"""What the writer of bigWigs leaves to its caller: room on the disk, errors, and chromosomes without a value.

pybigtools writes in constant memory; pyBigWig, which would take any chromosome, holds zoom levels of about 13
bytes a covered base in memory until it closes the file. pybigtools takes an exception that it meets in the
values for their end, and may swallow a write that failed: so exceptions are kept, signals held back, what it
prints is taken for the error that it is, and the file is read before it gets its name.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.free_space import require_room
from sparselrp_cli.files.interruptions import Interruptions, kept_interruptions
from sparselrp_cli.files.native_words import kept_words
from sparselrp_cli.outputs.bigwig_reading import (
    FILE_MAGIC,
    INTERVAL,
    DamagedError,
    Digest,
    Intervals,
    require_read_back,
)
from sparselrp_cli.outputs.chromosome_tree import chromosome_tree
from sparselrp_cli.outputs.track_runs import Run

LONGEST_CHROM = (1 << 32) - 1
ROOM = 16 << 20
# What a value takes at most in its block, with the zoom levels, and a run in the index.
VALUE_BYTES, RUN_BYTES = 24, 128
END = struct.pack("<I", FILE_MAGIC)
TREE_POINTER, SUMMARY_POINTER, SUMMARY_COVERED = 8, 44, 8

Value = tuple[str, int, int, float]


def write_runs(path: Path, chrom_sizes: Mapping[str, int], runs: Iterable[Run]) -> None:
    """Write runs as bigWig, with zoom levels and every chromosome: those with values first, in genome order.

    Parameters
    ----------
    path : Path
        An existing file, whose name ends with ``.bw``.
    chrom_sizes : mapping of str to int
        In bp, in genome order.
    runs : iterable of Run
        In genome order.

    Raises
    ------
    OSError
        If the disk is full, or what is read back isn't what was written, see `require_read_back`.
    OutputError
        If a chromosome is too long for the format, or there is none.
    """
    _refuse_what_does_not_fit(path, chrom_sizes)
    require_room(path, 64 * len(chrom_sizes) + sum(len(chrom) for chrom in chrom_sizes))
    with kept_words(path), kept_interruptions() as interruptions:
        values = _Values(path, runs, interruptions)
        if values.none:
            _write_empty(path, chrom_sizes)
        else:
            _write_values(path, chrom_sizes, values)
            _name_all_chroms(path, chrom_sizes, values.chroms)
        ordered = {chrom: chrom_sizes[chrom] for chrom in (*values.chroms, *chrom_sizes)}
        require_read_back(path, ordered, values.digest)


def _write_values(path: Path, chrom_sizes: Mapping[str, int], values: "_Values") -> None:
    try:
        pybigtools.open(str(path), "w").write(dict(chrom_sizes), iter(values))
    except BaseException as error:
        # It panics where a write fails, which isn't an Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if values.error is None:
            raise OSError(f"its writer gave up ({' '.join(str(error).split())})") from error
    if values.error is not None:
        raise values.error
    if not values.used_up:
        raise DamagedError("it ends before its values do")


class _Values:
    """Runs as intervals of equal values, and what is known once they are used up.

    Attributes
    ----------
    chroms : list of str
        That have values, in the order in which they came.
    digest : Digest
        Of the intervals.
    error : BaseException or None
        What went wrong, which the writer would swallow.
    used_up : bool
        Whether every value was given to the writer.
    """

    def __init__(self, path: Path, runs: Iterable[Run], interruptions: Interruptions) -> None:
        self.path = path
        self.chroms: list[str] = []
        self.digest = Digest()
        self.error: BaseException | None = None
        self.used_up = False
        self._interruptions = interruptions
        self._runs = iter(runs)
        self._first = next(self._runs, None)
        self._room = 0

    @property
    def none(self) -> bool:
        return self._first is None

    def __iter__(self) -> Iterator[Value]:
        # From C: a step through Python for each of millions of values would take as long as compressing them.
        return chain.from_iterable(self._of_each_run())

    def _of_each_run(self) -> Iterator[Iterator[Value]]:
        try:
            if self._first is not None:
                yield self._intervals(self._first)
            for run in self._runs:
                yield self._intervals(run)
            self.used_up = True
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - raised by who asked for the file
            self.error = error

    def _intervals(self, run: Run) -> Iterator[Value]:
        self._interruptions.deliver()
        self._reserve(RUN_BYTES + VALUE_BYTES * len(run.values))
        if run.chrom not in self.chroms[-1:]:
            self.chroms.append(run.chrom)
        intervals = _of_equal_values(run)
        self.digest.add(len(self.chroms) - 1, intervals)
        return _one_by_one(run, intervals)

    def _reserve(self, n_bytes: int) -> None:
        if n_bytes > self._room:
            self._room = max(ROOM, n_bytes)
            require_room(self.path, self._room)
        self._room -= n_bytes


def _of_equal_values(run: Run) -> Intervals:
    """Cut a run where the value changes."""
    bounds = np.flatnonzero(run.values[1:] != run.values[:-1]) + 1
    intervals = np.empty(len(bounds) + 1, INTERVAL)
    intervals["start"][0], intervals["start"][1:] = run.start, bounds + run.start
    intervals["end"][:-1], intervals["end"][-1] = intervals["start"][1:], run.end
    intervals["value"] = run.values[intervals["start"] - np.uint32(run.start)]
    return intervals


def _one_by_one(run: Run, intervals: Intervals) -> Iterator[Value]:
    """Give intervals as the writer takes them, the numbers made as they are asked for: lists cost as much."""
    columns: tuple[Iterable[int], Iterable[int]]
    if len(intervals) == len(run.values):
        columns = range(run.start, run.end), range(run.start + 1, run.end + 1)
    else:
        columns = array("I", intervals["start"].tobytes()), array("I", intervals["end"].tobytes())
    values = array("f", intervals["value"].tobytes())
    return zip(repeat(run.chrom, len(intervals)), *columns, values, strict=True)


def _refuse_what_does_not_fit(path: Path, chrom_sizes: Mapping[str, int]) -> None:
    if not chrom_sizes:
        raise OutputError("a bigWig needs at least one chromosome; the archive names none")
    for chrom, size in chrom_sizes.items():
        if size > LONGEST_CHROM:
            raise OutputError(
                f"chromosome '{chrom}' of {size} bp is too long for a bigWig; write bedgraph instead"
            )


def _write_empty(path: Path, chrom_sizes: Mapping[str, int]) -> None:
    file = pyBigWig.open(str(path), "w")
    file.addHeader(list(chrom_sizes.items()))
    file.close()
    with path.open("r+b") as written:
        # Its extremes would be the largest and the smallest number there is.
        written.seek(SUMMARY_POINTER)
        (summary,) = struct.unpack("<Q", written.read(8))
        written.seek(summary + SUMMARY_COVERED)
        written.write(struct.pack("<dd", 0, 0))


def _name_all_chroms(path: Path, chrom_sizes: Mapping[str, int], with_values: list[str]) -> None:
    """Put a chromosome tree that names all behind the file, in place of the writer's own.

    That leaves out chromosomes without a value, and miscounts more than 65,535, which no reader can open.
    Chromosomes with values keep their numbers, 0, 1, ... in the order in which they came.
    """
    chroms = dict.fromkeys([*with_values, *chrom_sizes])
    with path.open("r+b") as file:
        at = file.seek(0, 2)
        file.seek(max(0, at - len(END)))
        if file.read() != END:
            raise DamagedError("it has no end")
        tree = chromosome_tree([(chrom, chrom_sizes[chrom]) for chrom in chroms], at)
        file.write(tree + END)
        file.seek(TREE_POINTER)
        file.write(struct.pack("<Q", at))
