"""Inputs of a model by window: rows of a `.npz` or `.npy` file, in the order of the regions."""

import re
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import ModelError

_FORM = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<path>.+\.np[yz])", re.DOTALL)
_AT_ONCE = 4096
_DAMAGED = (
    OSError, ValueError, EOFError, LookupError, AttributeError, TypeError, ArithmeticError, RuntimeError,
    MemoryError, SyntaxError, tokenize.TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What numpy and zipfile raise of files made to harm, such as a header that declares terabytes."""
Rows = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class RowsAsked:
    """What ``--input NAME=FILE`` says."""

    name: str
    path: Path


def asked_rows(text: str) -> RowsAsked | None:
    """Read ``NAME=FILE.npz`` or ``NAME=FILE.npy``; None of other texts."""
    match = _FORM.fullmatch(text)
    return None if match is None else RowsAsked(match["name"], Path(match["path"]))


def row_files(texts: Sequence[str]) -> tuple[RowsAsked, ...]:
    """Give those of the texts of ``--input`` that name files."""
    return tuple(asked for asked in map(asked_rows, texts) if asked is not None)


def read_rows(asked: RowsAsked) -> Rows:
    """Read a file of rows: real or whole numbers or truths, finite, the regions along the first axis.

    A `.npz` holds the rows under the input's name, or alone.

    Raises
    ------
    ModelError
        With what is wrong and where.
    """
    rows, path = _array(asked), asked.path
    if rows.dtype.kind not in "fiub":
        raise ModelError(f"{path}: holds {rows.dtype}, not numbers; save an array of numbers")
    if rows.ndim == 0 or not len(rows):
        raise ModelError(f"{path}: holds no rows; the first axis is that of the regions")
    for first in range(0, len(rows) if rows.dtype.kind == "f" else 0, _AT_ONCE):
        finite = np.isfinite(rows[first : first + _AT_ONCE]).reshape(-1, rows[0].size).all(1)
        if not finite.all():
            raise ModelError(f"{path}: row {first + int(np.argmin(finite))} (counted from 0) isn't finite")
    return rows


def _array(asked: RowsAsked) -> Rows:
    path = asked.path
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        if path.suffix == ".npy":
            rows: Rows = np.load(path, mmap_mode="r", allow_pickle=False)
            return rows
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
            chosen = asked.name if asked.name in names else names[0] if len(names) == 1 else None
            if chosen is not None:
                return np.asarray(archive[chosen])
    except _DAMAGED as error:
        raise ModelError(f"{path}: corrupt, or not an array of numbers; save it with numpy") from error
    held = ", ".join(f"'{name}'" for name in names[:5]) or "nothing"
    raise ModelError(f"{path}: holds {held}, not '{asked.name}'; name the array as the input")
