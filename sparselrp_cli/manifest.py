"""What was run on what: the manifest, equal for equal runs (no times, no host names)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1


def file_entry(path: str | Path) -> dict[str, Any]:
    """Describe a file by name, size in bytes and sha256; a pipe, which is gone, by its name alone."""
    if not Path(path).is_file():
        return {"file": str(path)}
    path = Path(path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}


def build_manifest(
    *,
    version: str,
    inputs: Mapping[str, str],
    model_name: str,
    model_files: Sequence[Path],
    settings: Mapping[str, Any],
    rules: Mapping[str, str],
    runtime: Mapping[str, str],
    counts: Mapping[str, int],
    accounting: Mapping[str, Any],
) -> dict[str, Any]:
    """Put the parts of a manifest together.

    Parameters
    ----------
    inputs : mapping of role to path
    settings : mapping
        Targets, window, pruning and whatever else changes numbers.
    rules : mapping of node name to rule
    runtime : mapping
        Device, dtype, versions.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": "sparselrp",
        "version": version,
        "inputs": {role: file_entry(path) for role, path in inputs.items()},
        "model": {"name": model_name, "files": [file_entry(path) for path in model_files]},
        "settings": dict(settings),
        "rules": dict(rules),
        "runtime": dict(runtime),
        "counts": dict(counts),
        "accounting": dict(accounting),
    }


def with_outputs(
    manifest: Mapping[str, Any], command: Sequence[str], outputs: Sequence[Path]
) -> dict[str, Any]:
    """Add the command line and the hashes of the files that were written."""
    return {**manifest, "command": list(command), "outputs": [file_entry(path) for path in outputs]}


def to_json(manifest: Mapping[str, Any]) -> str:
    """Write a manifest as text."""
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
