"""Model folders on disk: complete or not there at all."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from sparselrp_cli.errors import ModelError
from sparselrp_cli.files.atomic import hidden_name
from sparselrp_cli.files.interruptions import cleaned_up, kept_interruptions
from sparselrp_cli.files.lock import locked
from sparselrp_cli.files.native_words import os_error_in

SPEC, GRAPH, WEIGHTS = "model.json", "graph.json", "weights.safetensors"
_OWN_FILES = (SPEC, GRAPH, WEIGHTS)


@contextmanager
def whole_folder(folder: Path, *, force: bool, maker: str) -> Iterator[Path]:
    """Write a folder under a hidden name beside it, and give it its name when the block ends well.

    Parameters
    ----------
    folder : Path
    force : bool
        Replace a model folder that is there.
    maker : str
        The command that writes it, for messages.

    Yields
    ------
    Path
        Not there yet.

    Raises
    ------
    ModelError
        If the folder may not be replaced.
    OutputError
        If another process writes it, or the disk says at the end that it can't.
    """
    place = folder.absolute()
    with locked(place):
        hidden, old = hidden_name(place, "part"), hidden_name(place, "old")
        _clear(hidden, old, folder)
        refuse_existing(folder, force=force, maker=maker)
        with cleaned_up(lambda: shutil.rmtree(hidden, ignore_errors=True)):
            yield hidden
            _sync(hidden)
            _exchange(hidden, old, folder)


def refuse_existing(folder: Path, *, force: bool, maker: str) -> None:
    """Refuse a folder that may not be replaced.

    Raises
    ------
    ModelError
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not force:
        raise ModelError(f"{folder}: exists already; name another folder, or replace it with --force")
    if folder.is_symlink() or not folder.is_dir():
        raise ModelError(f"{folder}: not a folder, so --force doesn't replace it; remove it yourself")
    foreign = (p for p in folder.rglob("*") if p.is_symlink() or (p.is_file() and p.name not in _OWN_FILES))
    for path in foreign:
        raise ModelError(
            f"{folder}: holds '{path.relative_to(folder)}', which no {maker} wrote, so --force doesn't"
            " replace it; name another folder"
        )


def save_weights(tensors: Mapping[str, Tensor], folder: Path) -> Path:
    """Write the weights of a folder, for whoever may read the rest of it; give the file.

    safetensors leaves a file to its owner alone, and a folder is to be handed on.

    Raises
    ------
    OSError
        If it can't be written.
    """
    path, like = folder / WEIGHTS, folder / f".{WEIGHTS}"
    like.touch()
    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:
        if (failure := os_error_in(str(error).encode())) is None:
            raise
        raise failure from error
    path.chmod(like.stat().st_mode)
    like.unlink()
    return path


def _clear(hidden: Path, old: Path, folder: Path) -> None:
    """Remove what a killed writer left; what it had just put aside gets its name back."""
    shutil.rmtree(hidden, ignore_errors=True)
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _sync(hidden: Path) -> None:
    """Wait until all is on the disk; some file systems say only now that it is full."""
    for path in filter(Path.is_file, hidden.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exchange(hidden: Path, old: Path, folder: Path) -> None:
    """Give the complete folder its name; the one it replaces, if any, goes last.

    Signals wait: between the two renames there is no folder of the name.
    """
    with kept_interruptions():
        if folder.exists():
            folder.rename(old)
        try:
            hidden.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
