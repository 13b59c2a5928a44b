"""Where canonical graphs are kept between runs, so that no model of a named architecture is traced twice.

In a folder of the user's, as numba's compiled loops are: a key of the files' digests, what was asked for, the
versions and the state of our own code names an entry. An entry that can't be written is no error.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from sparselrp_cli import __version__
from sparselrp_cli.errors import ModelError
from sparselrp_cli.files.digest import sha256
from sparselrp_cli.model.folder import read_spec
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.rows import row_files
from sparselrp_cli.model.whole_folders import SPEC

logger = logging.getLogger("sparselrp")
FOLDER = "SPARSELRP_CACHE_DIR"
"""The variable that names another folder, or, where it is empty, none."""
MOST_ENTRIES = 64
_NAMES = ("graph-*", "checked-*", ".graph-*")
_PACKAGE = Path(__file__).parents[1]


def cache_folder() -> Path | None:
    """Give the folder of the cache; None where the user wants none or has no home."""
    if (given := os.environ.get(FOLDER)) is not None:
        return Path(given) / "graphs" if given else None
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(base) / "sparselrp" / "graphs"


def place_of(request: ModelRequest) -> Path | None:
    """Give where the graph of a model is kept; None of a model that isn't of a named architecture."""
    folder, path = cache_folder(), Path(request.reference)
    path = path if path.name == SPEC else path / SPEC
    if folder is None or request.weights is not None or not path.is_file() or row_files(request.inputs):
        return None
    try:
        files = path, path.parent / read_spec(path).weights
        digests = [sha256(file) for file in files]
    except (ModelError, OSError):
        return None  # said where the model is loaded
    asked = [request.window, request.alphabet, request.layout, request.inputs, request.tokens]
    return folder / _key("graph", digests, asked)


def was_checked(graph: Path) -> bool:
    """Whether a packed graph was found to be computable before, by this very code."""
    mark = _mark(graph)
    return mark is not None and mark.is_file()


def mark_checked(graph: Path) -> None:
    """Remember that a packed graph was found to be computable."""
    if (mark := _mark(graph)) is None:
        return
    with quietly():
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        trim(mark.parent)


def _mark(graph: Path) -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / _key("checked", [sha256(graph)], [])


def _key(kind: str, digests: Sequence[str], asked: Sequence[object]) -> str:
    known = json.dumps([digests, asked, __version__, torch.__version__, code_stamp()])
    return f"{kind}-{hashlib.sha256(known.encode()).hexdigest()[:32]}"


@cache
def code_stamp() -> str:
    """Give what changes with the code that traces and checks, as numba does: sizes and times of its files."""
    files = sorted(file for room in ("graph", "model") for file in (_PACKAGE / room).rglob("*.py"))
    stats = [(str(f.relative_to(_PACKAGE)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()


@contextmanager
def quietly() -> Iterator[None]:
    """Go on where the cache can't be written; say so with -v only."""
    try:
        yield
    except OSError:
        logger.debug("the cache of graphs can't be written", exc_info=True)


def trim(folder: Path) -> None:
    """Remove the entries that were used least lately, beyond `MOST_ENTRIES`, and nothing else."""
    ours = [entry for pattern in _NAMES for entry in folder.glob(pattern)]
    entries = sorted(ours, key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
    for entry in entries[MOST_ENTRIES:]:
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
