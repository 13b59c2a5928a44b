"""The set of files that a run leaves under its prefix, in place of the set of the run before.

See `files.belonging` for what makes files a set. What another run left under the prefix goes when a run
writes its files, since it would be taken for this run's: the files that its manifest lists, and what
`motifs`, `report` and `browser` made of them under the prefix. Where the run before had the same rows (equal
but for formats and overlap), all of that is still right and stays, and the manifest goes on listing it.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sparselrp_cli.files.atomic import replacing, reported
from sparselrp_cli.files.belonging import listed, manifest_path, read_record, why_not
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.outputs.browser import BROWSER_ENDINGS
from sparselrp_cli.outputs.formats import FORMATS, products
from sparselrp_cli.settings.manifest import to_text, without_results

logger = logging.getLogger("sparselrp")

MOTIF_ENDINGS = (
    "motifs.json", "motifs.h5", "motifs.tsv", "motifs_mqc.tsv", "motifs.meme", "motifs.jaspar",
    "motifs.transfac",
    "seqlets.bed", "seqlets.as", "hits.bed", "hits.as",
    "seqlets.bb", "hits.bb",
)  # fmt: skip
COMPARED = (
    "compare.json", "compare.tsv", "compare.means.tsv", "compare.motifs.tsv", "compare.bw", "compare.html"
)  # fmt: skip
COMPANIONS = (*MOTIF_ENDINGS, "report.html", *COMPARED, *BROWSER_ENDINGS)
"""What other commands make of a run, and name by its prefix, or by its prefix and a target."""
_OF_FORMATS = tuple(f".{ending}" for product in products(FORMATS) for ending in product.endings)
_REMOVED = (
    ".h5", ".windows.tsv", ".skipped.tsv", "_mqc.tsv", ".variants.tsv", *_OF_FORMATS,
    ".variants.motifs.tsv", ".vcf.gz", ".null.tsv", ".null.vcf",
    *(f".{ending}" for ending in COMPANIONS),
)  # fmt: skip


def begin_set(prefix: Path, identity: Mapping[str, Any], names: Iterable[str]) -> list[dict[str, Any]]:
    """Clear the way for the files of a run: what is of another run goes, then the manifest.

    Parameters
    ----------
    prefix : Path
        Whose lock is held.
    identity : mapping
        The manifest of the run, as JSON, without results.
    names : iterable of str
        Of the files that it will write.

    Returns
    -------
    list of dict
        What the manifest shall go on listing, see `end_set`: files of the same rows.

    Raises
    ------
    OutputError
        If a file can't be removed.
    """
    path = manifest_path(prefix)
    before = read_record(path)
    if before is None:
        return []
    planned = set(names)
    same = _rows(before) == _rows(identity)
    kept = [entry for entry in _marked(before) if entry.get("file") not in planned] if same else []
    if not same:
        _remove(
            prefix, [name for name in (*listed(before), *_companions(prefix, before)) if name not in planned]
        )
    with reported(path):
        path.unlink(missing_ok=True)
    return kept


def end_set(
    prefix: Path, document: Mapping[str, Any], command: Sequence[str], files: Sequence[Path],
    kept: Sequence[Mapping[str, Any]] = (),
) -> Path:  # fmt: skip
    """Write the manifest, which says that all files are complete.

    Parameters
    ----------
    document : mapping
        The manifest of the run, as JSON.
    command : sequence of str
        The command line.
    files : sequence of Path
        What it has written.
    kept : sequence of mapping
        What `begin_set` gave.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If it can't be written.
    """
    entries = [*(FileEntry.of(path).to_json() for path in files), *kept]
    path = manifest_path(prefix)
    with replacing(path) as hidden:
        text = to_text({**document, "command": list(command), "outputs": entries})
        hidden.write_text(text, encoding="utf-8")
    return path


def add_to_set(
    prefix: Path, document: Mapping[str, Any], command: Sequence[str], files: Sequence[Path]
) -> None:
    """List files that were made of an archive in the manifest of its prefix, with the command that made them.

    `attribute --resume` doesn't take them for its own: they may have been made with other options.

    Parameters
    ----------
    prefix : Path
        Whose lock is held.
    document : mapping
        The manifest of the archive, as JSON.
    """
    record = read_record(manifest_path(prefix))
    if record is None or not is_of(record, document):
        record = {**document, "command": list(command), "outputs": []}
    added = [{**FileEntry.of(path).to_json(), "command": list(command)} for path in files]
    names = {entry["file"] for entry in added}
    entries = [*(entry for entry in _entries(record) if entry.get("file") not in names), *added]
    with replacing(manifest_path(prefix)) as hidden:
        hidden.write_text(to_text({**record, "outputs": entries}), encoding="utf-8")


def is_of(record: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether the manifest of a prefix, with its list of files, is that of an archive."""
    return bool(listed(record)) and _comparable(record) == _comparable(document)


def of_another(prefix: Path, document: Mapping[str, Any]) -> bool:
    """Whether a prefix has the files of a run of other rows than those of an archive's manifest."""
    record = read_record(manifest_path(prefix))
    return record is not None and not is_of(record, document) and _rows(record) != _rows(document)


def identity_besides(record: Mapping[str, Any], besides: str) -> dict[str, Any]:
    """Leave of a manifest what tells runs apart, besides one setting."""
    identity = without_results(record)
    return {**identity, "settings": {k: v for k, v in identity.get("settings", {}).items() if k != besides}}


def own_files(record: Mapping[str, Any]) -> dict[str, FileEntry]:
    """Give the files of a record that its run wrote itself, by name.

    What other commands made of the run, and what was kept of a run before, has a command of its own.
    """
    return listed({"outputs": [entry for entry in _entries(record) if "command" not in entry]})


def wrong_files(prefix: Path, record: Mapping[str, Any]) -> dict[str, str]:
    """Say of each of a run's own files that isn't as the run left it why not, by name."""
    files = own_files(record)
    reasons = {name: why_not(prefix.with_name(name), files) for name in files}
    return {name: reason for name, reason in reasons.items() if reason}


def _entries(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    outputs = record.get("outputs")
    return [entry for entry in outputs if isinstance(entry, dict)] if isinstance(outputs, list) else []


def _rows(document: Mapping[str, Any]) -> Any:
    """Leave of a manifest what decides its rows; what equals nothing where an input was a pipe."""
    identity = without_results(document)
    inputs = identity.get("inputs")
    if not isinstance(inputs, Mapping) or not all("sha256" in file for file in inputs.values()):
        return object()
    settings = {k: v for k, v in identity.get("settings", {}).items() if k not in ("formats", "overlap")}
    return {**identity, "settings": settings}


def _comparable(document: Mapping[str, Any]) -> Any:
    """Leave of a manifest what an archive has of it, as JSON gives it back."""
    return json.loads(json.dumps({k: v for k, v in document.items() if k not in ("command", "outputs")}))


def _marked(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the entries of a record, each with the command that made it."""
    return [{"command": record.get("command", []), **entry} for entry in _entries(record)]


def _companions(prefix: Path, record: Mapping[str, Any]) -> list[str]:
    """Name what other commands made of the run of a record, as far as it is there."""
    accounting = record.get("accounting")
    targets = accounting.get("targets", ()) if isinstance(accounting, dict) else ()
    middles = ["", *(f".{name}" for name in target_file_names(list(map(str, targets))))]
    names = [f"{prefix.name}{middle}.{ending}" for middle in middles for ending in COMPANIONS]
    # Of several runs `compare` names the tracks by these.
    tracks = listed(read_record(prefix.with_name(f"{prefix.name}.compare.json")))
    names += [name for name in tracks if name.startswith(f"{prefix.name}.compare.")]
    return [name for name in dict.fromkeys(names) if prefix.with_name(name).is_file()]


def _remove(prefix: Path, names: Sequence[str]) -> None:
    """Remove files of a run before; what a strange manifest names besides is left."""
    gone = []
    for name in names:
        path = prefix.with_name(name)
        is_ours = name.startswith((f"{prefix.name}.", f"{prefix.name}_")) and name.endswith(_REMOVED)
        if not is_ours or not path.is_file():
            continue
        with reported(path):
            path.unlink()
        gone.append(str(path))
    if gone:
        logger.warning("removed, as they are of the run that was here before: %s", ", ".join(gone))
