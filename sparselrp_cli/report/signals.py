"""Values of a bigWig along a stretch."""

from pathlib import Path

import numpy as np
import pyBigWig

from sparselrp_cli.errors import InputError
from sparselrp_cli.report.bases import Doubles


def read_signal(path: Path, chrom: str, start: int, end: int) -> Doubles:
    """Read the values of a bigWig, base by base.

    Parameters
    ----------
    path : Path
    chrom : str
    start, end : int
        0-based half-open; may reach beyond the chromosome.

    Returns
    -------
    ndarray of float64, shape (end - start,)
        NaN where there is none.

    Raises
    ------
    InputError
        If it isn't a bigWig, or has no such chromosome.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        with pyBigWig.open(str(path)) as file:
            if not file.isBigWig():
                raise InputError(f"{path}: a bigBed; give a bigWig")
            size = _size(path, dict(file.chroms()), chrom)
            found = np.full(end - start, np.nan)
            first, last = max(start, 0), min(end, size)
            if first < last:
                found[first - start : last - start] = file.values(chrom, first, last, numpy=True)
    except RuntimeError as error:
        raise InputError(f"{path} isn't a bigWig, or is damaged; get it again") from error
    return found


def _size(path: Path, sizes: dict[str, int], chrom: str) -> int:
    if chrom not in sizes:
        shown = ", ".join(list(sizes)[:5]) + (", ..." if len(sizes) > 5 else "")
        raise InputError(f"{path} has no chromosome '{chrom}'; it has {shown}")
    return sizes[chrom]
