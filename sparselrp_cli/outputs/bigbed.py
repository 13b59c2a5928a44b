"""BED as bigBed, by the writer of the bigWigs.

It takes all columns for those of BED, which would make browsers read ours as blocks: how many are BED's is
put right behind it. It also takes an exception that it meets in the lines for their end, so that is kept.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import pybigtools
import pyBigWig

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import replacing

STANDARD_AT, DATA_POINTER = 34, 16
"""Where a bigBed has the number of BED's columns, and the place of the number of features (Kent et al. 2010,
Bioinformatics 26:2204, supplement, tables 5 and 13)."""

Line = tuple[str, int, int, str]


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
    with replacing(path, "tmp.bb") as hidden:
        lines = _Lines(bed)
        try:
            pybigtools.open(str(hidden), "w").write(dict(chrom_sizes), iter(lines), description)
        except BaseException as error:
            # It panics where a write fails, which isn't an Exception.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise OutputError(f"{path} can't be written: {' '.join(str(error).split())}") from error
        if lines.error is not None:
            raise lines.error
        with hidden.open("r+b") as file:
            file.seek(STANDARD_AT)
            file.write(struct.pack("<H", standard))
        _require_all(hidden, path, lines.number)


class _Lines:
    """The lines of a BED, counted.

    Attributes
    ----------
    number : int
        Of the lines that were given.
    error : BaseException or None
        What the writer would swallow.
    """

    def __init__(self, bed: Path) -> None:
        self.number = 0
        self.error: BaseException | None = None
        self._bed = bed

    def __iter__(self) -> Iterator[Line]:
        try:
            with self._bed.open(encoding="utf-8") as file:
                for line in file:
                    chrom, start, end, rest = line.rstrip("\n").split("\t", 3)
                    self.number += 1
                    yield chrom, int(start), int(end), rest
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - raised by who asked for the file
            self.error = error


def _require_all(hidden: Path, path: Path, number: int) -> None:
    """Read how many features there are; the writer may swallow a write that failed."""
    found = -1
    try:
        with pyBigWig.open(str(hidden)) as file:
            is_whole = bool(file.isBigBed())
        with hidden.open("rb") as raw:
            raw.seek(DATA_POINTER)
            raw.seek(struct.unpack("<Q", raw.read(8))[0])
            found = struct.unpack("<Q", raw.read(8))[0]
    except (RuntimeError, struct.error):
        is_whole = False
    if not is_whole or found != number:
        raise OutputError(f"{path}: read back, it isn't what was written; check the disk, and try again")
