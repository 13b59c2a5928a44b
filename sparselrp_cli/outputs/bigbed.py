"""BED as bigBed, by pybigtools.

It takes all columns for those of BED, which would make browsers read ours as blocks: how many are BED's is
put right behind it. It also takes an exception that it meets in the lines for their end, and may swallow a
write that failed, also of its temporary files, whose levels of zoom no reader of lines looks at. So it writes
to memory, where the system has files in memory, and twice; what it made goes to the disk by our own hand.
"""

import itertools
import os
import shutil
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import pybigtools
import pyBigWig

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.interruptions import kept_interruptions
from sparselrp_cli.files.native_words import kept_words

STANDARD_AT = 34
"""Where a bigBed has the number of BED's columns: Kent et al. 2010, Bioinformatics 26:2204, table 5."""

Line = tuple[str, int, int, str]


class DamagedError(OSError):
    """What is in the file isn't what was written to it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"read back, {what}")


def write_bigbed(
    path: Path, bed: Path, chrom_sizes: Mapping[str, int], description: str, standard: int
) -> None:
    """Write the lines of a BED as bigBed.

    Parameters
    ----------
    path : Path
    bed : Path
        Tab-separated, sorted by chromosome and start, without a header; with a line at least.
    chrom_sizes : mapping of str to int
        In bp.
    description : str
        The columns in autoSql.
    standard : int
        How many of the columns are BED's.

    Raises
    ------
    OutputError
        If it can't be written.
    """
    with (
        replacing(path, "tmp.bb") as hidden, kept_words(hidden), kept_interruptions(),
        _file_in_memory(hidden) as place,
    ):  # fmt: skip
        _write(place, _Lines(bed), chrom_sizes, description)
        first = place.read_bytes()
        _write(place, _Lines(bed), chrom_sizes, description)
        if place.read_bytes() != first:
            raise DamagedError("made twice, it isn't the same")
        with place.open("r+b") as file:
            file.seek(STANDARD_AT)
            file.write(struct.pack("<H", standard))
        _require_read_back(place, bed, description)
        if place != hidden:
            shutil.copyfile(place, hidden)


@contextmanager
def _file_in_memory(otherwise: Path) -> Iterator[Path]:
    """Give a path of a new file in memory, which goes with the block; `otherwise` where there are none."""
    make = getattr(os, "memfd_create", None)
    with ExitStack() as stack:
        if make is None or not Path("/proc/self/fd").is_dir():
            yield otherwise
            return
        descriptor = make(otherwise.name)
        stack.callback(os.close, descriptor)
        # The writer goes by the ending of a name, which a descriptor has none of.
        place = Path(stack.enter_context(TemporaryDirectory(prefix="sparselrp-"))) / "memory.bb"
        place.symlink_to(f"/proc/self/fd/{descriptor}")
        yield place


def _write(path: Path, lines: "_Lines", chrom_sizes: Mapping[str, int], description: str) -> None:
    try:
        pybigtools.open(str(path), "w").write(dict(chrom_sizes), iter(lines), description)
    except BaseException as error:
        # It panics where a write fails, which isn't an Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if lines.error is None:
            raise OSError(f"its writer gave up ({' '.join(str(error).split())})") from error
    if lines.error is not None:
        raise lines.error
    if not lines.used_up:
        raise DamagedError("it ends before its lines do")


class _Lines:
    """The lines of a BED.

    Attributes
    ----------
    error : BaseException or None
        What the writer would swallow.
    used_up : bool
        Whether every line was given to the writer.
    """

    def __init__(self, bed: Path) -> None:
        self.error: BaseException | None = None
        self.used_up = False
        self._bed = bed

    def __iter__(self) -> Iterator[Line]:
        try:
            yield from _lines(self._bed)
            self.used_up = True
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - raised by who asked for the file
            self.error = error


def _lines(bed: Path) -> Iterator[Line]:
    with bed.open(encoding="utf-8") as file:
        for line in file:
            chrom, start, end, rest = line.rstrip("\n").split("\t", 3)
            yield chrom, int(start), int(end), rest


def _require_read_back(path: Path, bed: Path, description: str) -> None:
    """Read every line again, chromosome by chromosome; the writer may swallow a write that failed."""
    try:
        with pyBigWig.open(str(path)) as file:
            chroms = file.chroms() if file.isBigBed() else {}
            for chrom, lines in itertools.groupby(_lines(bed), key=itemgetter(0)):
                found = file.entries(chrom, 0, chroms.get(chrom, 0)) or []
                if Counter(found) != Counter((start, end, rest) for _, start, end, rest in lines):
                    raise DamagedError(f"it has other lines on {chrom}")
            if description and file.SQL() != description.encode():
                raise DamagedError("it describes other columns")
    except RuntimeError as error:
        raise DamagedError("no reader opens it") from error
