"""What was run on what: the manifest, equal for equal runs (no times, no host names)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparselrp_cli.files.digest import FileEntry

SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What the manifest says of one model.

    Attributes
    ----------
    name : str
    files : sequence of Path
        What it was made from.
    input : mapping
        The order of bases and axes it takes.
    rules : mapping of node name to rule
    """

    name: str
    files: Sequence[Path]
    input: Mapping[str, str]
    rules: Mapping[str, str]

    def entry(self) -> dict[str, Any]:
        """Give its name, and its files by name, size and sha256."""
        return {"name": self.name, "files": [file_entry(path) for path in self.files]}


def file_entry(path: str | Path) -> dict[str, Any]:
    """Describe a file by name, size in bytes and sha256; a pipe, which is gone, by its name alone."""
    return FileEntry.of(path).to_json()


def build_manifest(
    *,
    version: str,
    inputs: Mapping[str, str],
    models: Sequence[ModelRecord],
    settings: Mapping[str, Any],
    runtime: Mapping[str, str],
) -> dict[str, Any]:
    """Put together what identifies a run: equal manifests mean equal rows.

    One model stands under ``model``, its rules under ``rules`` and its input among the settings; several that
    were explained together stand in the list ``models``, each with its own.

    Parameters
    ----------
    inputs : mapping of role to path
    models : sequence of ModelRecord
    settings : mapping
        Targets, window, pruning and whatever else changes numbers.
    runtime : mapping
        Device, dtype, versions.
    """
    first = models[0]
    if len(models) == 1:
        of_models: dict[str, Any] = {
            "model": first.entry(),
            "settings": {**settings, **first.input},
            "rules": dict(first.rules),
        }
    else:
        of_models = {
            "models": [{**m.entry(), **m.input, "rules": dict(m.rules)} for m in models],
            "settings": dict(settings),
        }
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": "sparselrp",
        "version": version,
        "inputs": {role: file_entry(path) for role, path in inputs.items()},
        **of_models,
        "runtime": dict(runtime),
    }


def difference(before: Any, now: Any, where: str = "") -> str:
    """Say in which entry two manifests differ, the first one; nothing if they don't.

    An entry that a file's content decides is named by the file.
    """
    if before == now:
        return ""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return f"{where} was {json.dumps(before)} and is {json.dumps(now)}"
    if before.get("sha256") != now.get("sha256") and before.get("file") == now.get("file"):
        return f"the content of {now.get('file')} is another"
    found = (
        difference(before.get(key), now.get(key), f"{where}.{key}" if where else key)
        for key in dict.fromkeys([*before, *now])
    )
    return next(filter(None, found))


def with_counts(
    manifest: Mapping[str, Any], counts: Mapping[str, int], accounting: Mapping[str, Any]
) -> dict[str, Any]:
    """Add what is known at the end of a run."""
    return {**manifest, "counts": dict(counts), "accounting": dict(accounting)}


def without_results(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Leave what identifies a run."""
    results = ("counts", "accounting", "command", "outputs")
    return {key: value for key, value in manifest.items() if key not in results}


def with_outputs(
    manifest: Mapping[str, Any], command: Sequence[str], outputs: Sequence[Path]
) -> dict[str, Any]:
    """Add the command line and the hashes of the files that were written."""
    return {**manifest, "command": list(command), "outputs": [file_entry(path) for path in outputs]}


def to_json(manifest: Mapping[str, Any]) -> str:
    """Write a manifest as text."""
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
