"""Weights in several files, with an index of which name lies in which."""

from collections.abc import Mapping
from pathlib import Path

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.json_files import read_json

INDEX = ".index.json"
_MOST_MIB = 64


def read_index(path: Path) -> dict[Path, list[str]]:
    """Give the files of an index, which lie beside it, and the names that each holds.

    Raises
    ------
    ModelError
        If it isn't such an index, or names a file elsewhere.
    """
    document = read_json(path, _MOST_MIB, "an index of weights")
    places = document.get("weight_map") if isinstance(document, Mapping) else None
    if not isinstance(places, Mapping) or not places:
        raise ModelError(f"{path}: no index of weights: its 'weight_map' of names to files is missing")
    files: dict[Path, list[str]] = {}
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file or file.endswith(INDEX):
            raise ModelError(f"{path}: '{name}' lies in {file!r}, which isn't the name of a file beside it")
        files.setdefault(path.parent / file, []).append(name)
    return files
