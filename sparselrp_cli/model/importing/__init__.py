"""Published checkpoints as model folders: read as data, no code in them ever runs."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.formats import FORMATS, described
from sparselrp_cli.model.importing.imported import ImportedModel, ImportRequest
from sparselrp_cli.model.importing.writing import write_folders

__all__ = ["ImportRequest", "ImportedModel", "import_model", "reader", "write_folders"]

Reader = Callable[[Path, ImportRequest], list[ImportedModel]]


def import_model(path: Path, kind: str, request: ImportRequest) -> list[ImportedModel]:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
    kind : str
        One of `FORMATS`, or ``auto``.
    request : ImportRequest

    Raises
    ------
    ModelError
        If the file can't be read, or its network can't be expressed.
    """
    chosen = detect_format(path) if kind == "auto" else kind
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    return reader(chosen)(path, request)


def reader(name: str) -> Reader:
    """Give the function that reads checkpoints of a format."""
    module, _, function = FORMATS[name].reader.partition(":")
    return cast(Reader, getattr(importlib.import_module(f"{__name__}.{module}"), function))


def detect_format(path: Path) -> str:
    """Tell the format of a checkpoint from its first bytes.

    Raises
    ------
    ModelError
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror})") from error
    for name, row in FORMATS.items():
        if row.fits(start, path.suffix):
            return name
    raise ModelError(
        f"{path}: not a format that is known by its content; import reads {described()};"
        " name one with --format"
    )
