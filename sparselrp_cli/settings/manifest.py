"""What was run on what, with what result: the manifest, equal for equal runs (no times, no host names)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from sparselrp_cli import __version__
from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.settings.reading import (
    WrongValueError,
    a_count,
    a_list,
    a_number,
    a_text,
    an_object,
    numbers,
)
from sparselrp_cli.settings.run import RunSettings, run_settings

if TYPE_CHECKING:
    from sparselrp_cli.outputs.archive import ArchiveReader

SCHEMA_VERSION = 4
SKIPPED = "skipped"
OF_MODEL = ("alphabet", "layout")
"""What the manifest says of a model's input; of a single model it stands among the settings."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """What the manifest says of one model.

    Attributes
    ----------
    name : str
    files : tuple of FileEntry
        What it was made from.
    alphabet, layout : str
        The order of bases and axes it takes.
    rules : mapping of node name to rule
    ends : tuple of str
        A sentence for each final sigmoid, softmax, exp, log or softplus on how it is explained.
    """

    name: str
    files: tuple[FileEntry, ...]
    alphabet: str
    layout: str
    rules: Mapping[str, str]
    ends: tuple[str, ...] = ()

    @property
    def digests(self) -> list[str | None]:
        """The SHA-256 of each of its files."""
        return [file.sha256 for file in self.files]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes
    ----------
    windows, skipped, ambiguous_bases : int
        Windows explained, regions that weren't, and letters that were read as N.
    means : mapping of target name to mapping of str to float
        Means over windows of the accounting columns, ``mean_score`` and so on.
    largest_error : float
        The largest conservation error.
    agreement : mapping of str to float, or None
        With float32, of a run in reduced precision.
    skipped_sha256 : str or None
        Of the table of skipped regions, which so belongs to the archive; None of earlier versions.
    """

    windows: int
    skipped: int
    ambiguous_bases: int
    means: Mapping[str, Mapping[str, float]]
    largest_error: float
    agreement: Mapping[str, float] | None = None
    skipped_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the sections that hold it."""
        reduced = {} if self.agreement is None else {"agreement_with_float32": dict(self.agreement)}
        means = {target: dict(of_target) for target, of_target in self.means.items()}
        counts = {"windows": self.windows, "skipped": self.skipped, "ambiguous_bases": self.ambiguous_bases}
        tables = {} if self.skipped_sha256 is None else {"tables": {SKIPPED: self.skipped_sha256}}
        return {
            **tables,
            "counts": counts,
            "accounting": {**reduced, "targets": means, "largest_conservation_error": self.largest_error},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises
        ------
        WrongValueError
        """
        counts, accounting = an_object(document, "counts"), an_object(document, "accounting")
        targets = an_object(accounting, "targets")
        reduced = "agreement_with_float32" in accounting
        return cls(
            windows=a_count(counts, "windows"),
            skipped=a_count(counts, "skipped"),
            ambiguous_bases=a_count(counts, "ambiguous_bases"),
            means={target: numbers(targets, target) for target in targets},
            largest_error=a_number(accounting, "largest_conservation_error"),
            agreement=numbers(accounting, "agreement_with_float32") if reduced else None,
            skipped_sha256=a_text(an_object(document, "tables"), SKIPPED) if "tables" in document else None,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What identifies a run, and, once it is done, its outcome: equal manifests mean equal rows.

    Attributes
    ----------
    inputs : mapping of role to FileEntry
        ``sequences`` and, where there are any, ``regions``.
    models : tuple of ModelEntry
        Those that were explained together.
    settings : RunSettings
    torch : str
        Its version.
    version : str
        Of this tool.
    outcome : Outcome or None
    """

    inputs: Mapping[str, FileEntry]
    models: tuple[ModelEntry, ...]
    settings: RunSettings
    torch: str
    version: str = __version__
    outcome: Outcome | None = field(default=None)

    @property
    def on_genome(self) -> bool:
        """Whether regions of a genome were explained, and not the records of a FASTA file."""
        return "regions" in self.inputs

    @property
    def model_names(self) -> list[str]:
        return [model.name for model in self.models]

    def to_json(self) -> dict[str, Any]:
        """Give it as a JSON object.

        One model stands under ``model``, its rules under ``rules`` and its input among the settings; several
        that were explained together stand in the list ``models``, each with its own.
        """
        sections = self.settings.to_manifest()
        entries = [
            {"name": m.name, "files": [file.to_json() for file in m.files], "ends": list(m.ends)}
            for m in self.models
        ]
        inputs = [{"alphabet": m.alphabet, "layout": m.layout} for m in self.models]
        if len(self.models) == 1:
            of_models: dict[str, Any] = {
                "model": entries[0],
                "settings": {**sections["settings"], **inputs[0]},
                "rules": dict(self.models[0].rules),
            }
        else:
            rules = [{"rules": dict(m.rules)} for m in self.models]
            of_models = {
                "models": [{**e, **i, **r} for e, i, r in zip(entries, inputs, rules, strict=True)],
                "settings": sections["settings"],
            }
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": "sparselrp",
            "version": self.version,
            "inputs": {role: file.to_json() for role, file in self.inputs.items()},
            **of_models,
            "runtime": {**sections["runtime"], "torch": self.torch},
            **(self.outcome.to_json() if self.outcome is not None else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave; the command line and the list of files, if there, are left out.

        Raises
        ------
        WrongValueError
            If something is missing or isn't what it should be; the message says what.
        """
        settings, runtime = dict(an_object(document, "settings")), dict(an_object(document, "runtime"))
        if "model" in document:
            own = {name: settings.pop(name, None) for name in OF_MODEL}
            entries: list[Any] = [{**an_object(document, "model"), **own, "rules": document.get("rules")}]
        else:
            entries = a_list(document, "models")
        if not entries:
            raise WrongValueError("models: an empty list")
        torch = a_text(runtime, "torch")
        del runtime["torch"]
        return cls(
            inputs={role: _file(entry) for role, entry in an_object(document, "inputs").items()},
            models=tuple(map(_model, entries)),
            settings=RunSettings.from_manifest({"settings": settings, "runtime": runtime}),
            torch=torch,
            version=a_text(document, "version"),
            outcome=Outcome.from_json(document) if "counts" in document else None,
        )


def read_manifest(reader: "ArchiveReader") -> Manifest:
    """Read the manifest of an archive.

    Raises
    ------
    OutputError
        If it is damaged.
    """
    try:
        return Manifest.from_json(reader.manifest)
    except WrongValueError as error:
        raise OutputError(
            f"{reader.path}: its manifest is damaged ({error}); copy it again, or make it again with"
            " `sparselrp attribute`"
        ) from error


def difference(before: Any, now: Any, where: str = "") -> str:
    """Say in which entry two manifests differ as JSON, the first one; nothing if they don't.

    An entry that a file's content decides is named by the file.
    """
    if before == now:
        return ""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return f"{where} was {json.dumps(before)} and is {json.dumps(now)}"
    if before.get("sha256") != now.get("sha256") and before.get("file") == now.get("file"):
        return f"the content of {now.get('file')} is another"
    entries = (
        difference(before.get(key), now.get(key), f"{where}.{key}" if where else key)
        for key in dict.fromkeys([*before, *now])
    )
    return next(filter(None, entries))


def other_explanation(ours: Manifest, theirs: Manifest) -> str:
    """Say with what else another run was made, so that its contributions don't compare with ours.

    Returns
    -------
    str
        Such as ``another model`` or ``prune 0.25 and not 0.02``; empty where they compare.
    """
    if [replace(m, rules={}, ends=()) for m in ours.models] != [
        replace(m, rules={}, ends=()) for m in theirs.models
    ]:
        return "another model"
    if ours.models != theirs.models:
        return "other rules"
    for each, declared in run_settings():
        mine, other = (declared.write(getattr(m.settings, each.name)) for m in (ours, theirs))
        if declared.explains and mine != other:
            return f"{each.name} {other} and not {mine}"
    return ""


def without_results(document: Mapping[str, Any]) -> dict[str, Any]:
    """Leave of a manifest as JSON what identifies the run."""
    results = ("counts", "accounting", "tables", "command", "outputs")
    return {key: value for key, value in document.items() if key not in results}


def to_text(document: Mapping[str, Any]) -> str:
    """Write a manifest as text."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _model(entry: Any) -> ModelEntry:
    if not isinstance(entry, dict):
        raise WrongValueError("a model isn't described by an object")
    rules = an_object(entry, "rules")
    return ModelEntry(
        name=a_text(entry, "name"),
        files=tuple(map(_file, a_list(entry, "files"))),
        alphabet=a_text(entry, "alphabet"),
        layout=a_text(entry, "layout"),
        rules={node: a_text(rules, node) for node in rules},
        ends=tuple(map(_sentence, a_list(entry, "ends"))),
    )


def _sentence(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError("ends: one isn't text")
    return value


def _file(entry: object) -> FileEntry:
    try:
        return FileEntry.from_json(entry)
    except ValueError as error:
        raise WrongValueError(str(error)) from error
