"""What the Snakemake workflow reads: a configuration and a table of samples, for one's own data."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sparselrp_cli.errors import InputError, OutputError
from sparselrp_cli.files.atomic import replacing, reported
from sparselrp_cli.files.shipped import shipped
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.shipped import place_of_model
from sparselrp_cli.sequences.regions import read_regions
from sparselrp_cli.settings.workflow import PROFILES, SHARD_WINDOWS

CONFIG, SAMPLES, PROFILE = "config.yaml", "samples.tsv", "profile/config.yaml"
# Endings of files of regions and sequences, which say nothing of a sample.
_ENDINGS = re.compile(r"(\.(gz|bgz|bed|narrowpeak|broadpeak|bed12|fa|fasta|fna|txt))+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a workflow is to do.

    Attributes
    ----------
    folder : Path
        Where its files go.
    genome : str
        FASTA.
    regions : tuple of str
        Each a sample; none explains the whole records of the FASTA.
    models : tuple of ModelRequest
        Averaged where there are several.
    targets : tuple of str
        As behind -t.
    targets_file : str or None
        As behind --targets.
    shards : int or None
        Parts of each sample; None goes by the number of regions.
    gpus : int
        Of each job that explains.
    database : str or None
        Names for the motifs.
    genes : str or None
        Genes for the reports.
    """

    folder: Path
    genome: str
    regions: tuple[str, ...] = ()
    models: tuple[ModelRequest, ...] = ()
    targets: tuple[str, ...] = ()
    targets_file: str | None = None
    shards: int | None = None
    gpus: int = 0
    database: str | None = None
    genes: str | None = None
    profile: str = field(default=PROFILES[0])


def snakefile() -> Path | None:
    """Give the workflow that comes with this version, or None where only the package is installed."""
    found = shipped("workflow/Snakefile")
    return found if found.is_file() else None


def write_workflow_files(plan: Plan) -> list[Path]:
    """Write the configuration, the table of samples and, where the workflow is at hand, a profile.

    A file that holds just what would be written is no obstacle: one that was killed left it.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        If files that the plan names aren't there, or regions can't be read.
    OutputError
        If one of the files is there already with something else in it, or can't be written.
    """
    _require_files(plan)
    contents = {CONFIG: config_text(plan), SAMPLES: samples_text(plan)}
    profile = shipped(f"workflow/profiles/{plan.profile}/config.yaml")
    if profile.is_file():
        contents[PROFILE] = profile.read_text(encoding="utf-8")
    paths = {plan.folder / name: text for name, text in contents.items()}
    if there := [path for path, text in paths.items() if path.exists() and not _holds(path, text)]:
        raise OutputError(
            f"{there[0]} is there already, and init overwrites nothing; name another folder with -o"
        )
    for path, text in paths.items():
        with reported(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as hidden:
            hidden.write_text(text, encoding="utf-8", newline="\n")
    return list(paths)


def _holds(path: Path, text: str) -> bool:
    """Whether a file holds a text, byte for byte."""
    if not path.is_file():
        return False
    with reported(path):
        return path.read_bytes() == text.encode()


def samples_text(plan: Plan) -> str:
    """Give the table of samples: a row for each file of regions, or one for the whole FASTA."""
    rows = [("sample", "genome", "regions")]
    places = plan.regions or ("",)
    names = distinct([place or plan.genome for place in places])
    rows += [(name, plan.genome, place) for name, place in zip(names, places, strict=True)]
    return "".join("\t".join(row) + "\n" for row in rows)


def distinct(places: Sequence[str]) -> list[str]:
    """Name files by their own names, with letters, digits, _ and - alone, each once."""
    given: list[str] = []
    for place in places:
        safe = re.sub(r"[^A-Za-z0-9_-]+", "_", _ENDINGS.sub("", Path(place).name)).strip("_") or "sample"
        candidate, number = safe, 1
        while candidate in given:
            number += 1
            candidate = f"{safe}_{number}"
        given.append(candidate)
    return given


def config_text(plan: Plan) -> str:
    """Give the configuration, as the workflow's schema has it.

    Values are JSON, which is YAML: names of files may hold whatever they like.
    """
    lines = [
        "# Made by `sparselrp init`. Paths are relative to the folder in which snakemake runs.",
        f"samples: {_value(str(plan.folder / SAMPLES))}",
        "models:",
        f"  {_model_name(plan.models[0])}:",
        *(f"    {key}: {_value(value)}" for key, value in _model_entry(plan)),
        f"outdir: {_value(str(plan.folder / 'results'))}",
        "# Parts of each sample, each a job; what is stopped goes on where it was.",
        f"shards: {plan.shards or _standard_shards(plan.regions)}",
        "formats: [bigwig]",
        "retries: 2",
        "resources:",
        "  # gpu: of each job; mem_mb grows with each try; runtime in minutes.",
        f"  attribute: {{threads: 4, gpu: {plan.gpus}, mem_mb: 8000, runtime: 240}}",
        "motifs:",
        "  enabled: true",
        f"  database: {_value(plan.database)}",
        f"  genes: {_value(plan.genes)}",
        "multiqc: {enabled: false}",
    ]
    return "\n".join(lines) + "\n"


def _model_entry(plan: Plan) -> Iterator[tuple[str, object]]:
    """Give the entry of the model, key by key."""
    first, references = plan.models[0], [place_of_model(m.reference) for m in plan.models]
    kind = "folders" if all(map(_is_folder, references)) else "model"
    yield kind, references[0] if len(references) == 1 else references
    weights = [str(model.weights) for model in plan.models if model.weights is not None]
    if weights:
        yield "weights", weights[0] if len(weights) == 1 else weights
    if first.tokens is not None:
        yield "tokens", first.tokens
    if len(references) > 1:
        yield "folds", "mean"
    if plan.targets:
        yield "targets", list(plan.targets)
    if plan.targets_file is not None:
        yield "targets_file", plan.targets_file
    if words := _details(first):
        yield "options", words


def _details(model: ModelRequest) -> list[str]:
    """Give what else was said of the model, as words of the command line."""
    said = {
        "--window": model.window, "--alphabet": model.alphabet, "--layout": model.layout,
        "--model-class": model.model_class,
    }  # fmt: skip
    words = [word for option, value in said.items() if value for word in (option, str(value))]
    words += [word for each in model.inputs for word in ("--input", each)]
    return [*words, *(["--trust-model"] if model.trust else [])]


def _model_name(model: ModelRequest) -> str:
    file, _, factory = model.reference.rpartition(":")
    return distinct([f"{Path(file).stem}-{factory}" if file else Path(model.reference).name])[0]


def _is_folder(reference: str) -> bool:
    return Path(reference).is_dir()


def _require_files(plan: Plan) -> None:
    """Stop where files aren't there; all are named at once."""
    named = [plan.genome, *plan.regions, *(f for f in (plan.targets_file, plan.genes) if f)]
    for model in plan.models:
        named += _files_of(model)
    if missing := [name for name in dict.fromkeys(named) if not Path(name).exists()]:
        raise InputError(f"not there: {', '.join(missing)}; paths are relative to the folder you are in")


def _files_of(model: ModelRequest) -> Iterator[str]:
    reference = place_of_model(model.reference)
    file = reference.rpartition(":")[0] or reference
    if file == reference or file.endswith(".py"):
        yield file
    if model.weights is not None:
        yield str(model.weights)


def _standard_shards(regions: Sequence[str]) -> int:
    most = max((sum(1 for _ in read_regions(file)) for file in regions), default=1)
    return max(1, -(-most // SHARD_WINDOWS))


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
