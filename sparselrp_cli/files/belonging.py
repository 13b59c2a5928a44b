"""Which files under a prefix belong together.

A set of files has a record, a JSON file that lists them under ``outputs``, each with its size and SHA-256:
``PREFIX.manifest.json`` of a run, of `export` and of `variants`, ``PREFIX.motifs.json`` of `motifs`,
``PREFIX.compare.json`` of `compare`, ``PREFIX.probe.json`` of `probe`. The record is removed before the
first file of the set is replaced, and written when the last one is. So

* where the record is missing, the set isn't whole: the run is under way, or failed between its files;
* a file that isn't listed, or isn't as it is listed, belongs to another set;
* ``PREFIX.motifs.json`` names the archive it is of by its SHA-256, which the manifest lists, too.

Nothing needs to be written into the files themselves, of whose formats most have no place for it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sparselrp_cli.files.atomic import reported
from sparselrp_cli.files.digest import FileEntry

MANIFEST = ".manifest.json"


def manifest_path(prefix: Path) -> Path:
    """Give the path of the record of a run."""
    return prefix.with_name(prefix.name + MANIFEST)


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a record; None where there is none, or it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def listed(record: Mapping[str, Any] | None, beginning: str = "") -> dict[str, FileEntry]:
    """Give the files that a record lists, by name; none where it doesn't list them as it should.

    Parameters
    ----------
    record : mapping or None
    beginning : str
        Of their names, where the record leaves it out, so that equal searches give equal bytes.
    """
    try:
        entries = [FileEntry.from_json(entry) for entry in (record or {})["outputs"]]
    except (KeyError, TypeError, ValueError):
        return {}
    return {beginning + Path(entry.file).name: entry for entry in entries}


def why_not(path: Path, files: Mapping[str, FileEntry]) -> str:
    """Say why a file isn't the one of its name that is listed; nothing if it is.

    It is read once, for its SHA-256, if it has the size.
    """
    entry = files.get(path.name)
    if entry is None:
        return "isn't among its files"
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != entry.bytes or FileEntry.of(path).sha256 != entry.sha256:
        return "isn't as it was written"
    return ""


def clear_set(record: Path, beginning: str, planned: Iterable[str]) -> list[Path]:
    """Clear the way for a set of files: its record goes, and what it lists that isn't written again.

    Parameters
    ----------
    record : Path
        Whose prefix is held.
    beginning : str
        Of the names of all files of such a set; what a strange record lists besides is left.
    planned : iterable of str
        Names of the files to come.

    Returns
    -------
    list of Path
        What was removed of the set before.

    Raises
    ------
    OutputError
        If a file can't be removed.
    """
    names = set(listed(read_record(record))) - set(planned)
    old = [record.with_name(name) for name in sorted(names) if name.startswith(beginning)]
    gone = [path for path in old if path.is_file()]
    for path in (record, *gone):
        with reported(path):
            path.unlink(missing_ok=True)
    return gone


def is_made_of(record: Mapping[str, Any] | None, sha256: str | None) -> bool:
    """Whether a record is of what was made of an archive of this SHA-256."""
    archive = (record or {}).get("archive")
    return isinstance(archive, dict) and sha256 is not None and archive.get("sha256") == sha256
