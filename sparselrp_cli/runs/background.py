"""The background of a run, made with its archive and its model: shuffled windows, explained alike."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparselrp_cli.errors import InputError, OutputError, Stopped, TargetError
from sparselrp_cli.files.atomic import require_other_file
from sparselrp_cli.model.loading import ModelRequest, load_model
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.runs.attribute import AttributeOptions, Progress
from sparselrp_cli.runs.follow_ups import explain_shuffled
from sparselrp_cli.runs.manifest import file_entry
from sparselrp_cli.runs.run_files import path_of
from sparselrp_cli.runs.stopping import StopRequest


def completed(requests: Sequence[ModelRequest], archive: Path) -> tuple[ModelRequest, ...]:
    """Add to requests of models what the archive knows: window, alphabet and layout.

    Raises
    ------
    InputError
        If the models aren't those of the archive, by their number or by the digests of their files.
    ModelError
        If one can't be loaded.
    """
    with ArchiveReader(archive) as reader:
        manifest = reader.manifest
    recorded = _recorded(manifest)
    if len(recorded) != len(requests):
        raise InputError(
            f"{archive} is of {len(recorded)} models, not of {len(requests)}; give each of them once"
        )
    window = manifest.get("settings", {}).get("window")
    full = []
    for request, record in zip(requests, recorded, strict=True):
        full.append(
            replace(
                request,
                window=request.window or window,
                alphabet=request.alphabet or record.get("alphabet"),
                layout=request.layout or record.get("layout"),
            )
        )
        _require_recorded(full[-1], record, archive)
    return tuple(full)


def explain_background(
    archive: Path, prefix: Path, models: tuple[ModelRequest, ...], command: Sequence[str], progress: Progress,
    stop: StopRequest, *, device: str = "auto", batch_size: int | None = None, seed: int = 0,
) -> Path:  # fmt: skip
    """Explain the windows of an archive, with their dinucleotides shuffled, as the archive was explained.

    Parameters
    ----------
    archive, prefix : Path
    models : tuple of ModelRequest
        As `completed` gives them.
    command : sequence of str
        The command line, for the manifest.
    progress : callable
    stop : StopRequest
    device : str
    batch_size : int, optional
    seed : int
        Of the shuffling.

    Returns
    -------
    Path
        ``PREFIX.background.h5``.

    Raises
    ------
    SparselrpError
    Stopped, KeyboardInterrupt
    """
    path = path_of(prefix, ".background.h5")
    require_other_file(path, archive)
    with ArchiveReader(archive) as reader:
        options = replace(_options(reader, prefix, models), device=device, batch_size=batch_size)
    try:
        return _explained(options, archive, command, progress, stop, seed)
    except KeyboardInterrupt as error:
        # What was explained is few, and made again.
        with suppress(OSError):
            path_of(prefix, ".background.partial").unlink()
        what = "stopped" if isinstance(error, Stopped) else "interrupted"
        said = f"{what} while shuffled windows were explained; run the same command again"
        raise type(error)(said) from error


def _explained(
    options: AttributeOptions, archive: Path, command: Sequence[str], progress: Progress, stop: StopRequest,
    seed: int,
) -> Path:  # fmt: skip
    try:
        return explain_shuffled(options, command, progress, stop, seed, archive)
    except TargetError:
        if len(options.targets) > 1:
            raise
        # A single scalar is explained without being named, and its name isn't always one to ask for.
        return explain_shuffled(replace(options, targets=()), command, progress, stop, seed, archive)


def _options(reader: ArchiveReader, prefix: Path, models: tuple[ModelRequest, ...]) -> AttributeOptions:
    """Read from an archive how it was explained."""
    try:
        settings, runtime = reader.manifest["settings"], reader.manifest["runtime"]
        automatic = settings["prune"] == "auto"
        return AttributeOptions(
            sequences="",
            prefix=prefix,
            models=models,
            targets=tuple(settings["targets"]),
            composite=settings["composite"],
            pruning=Pruning(
                0.0 if automatic else settings["prune"],
                None if automatic else settings["prune_negative"],
                automatic,
                settings["redistribute"],
            ),
            average_strands=settings["reverse_complement"],
            dtype=runtime["dtype"],
            archive_dtype=settings["archive_dtype"],
        )
    except (KeyError, TypeError) as error:
        raise OutputError(
            f"{reader.path} doesn't say how it was explained ({error}); make a background with `sparselrp"
            " shuffle` and `attribute`, and give it with --background"
        ) from error


def _recorded(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give what the manifest says of each model, with the input it takes."""
    if "models" in manifest:
        return list(manifest["models"])
    settings = manifest.get("settings", {})
    return [{**manifest.get("model", {}), **{k: settings.get(k) for k in ("alphabet", "layout")}}]


def _require_recorded(request: ModelRequest, record: Mapping[str, Any], archive: Path) -> None:
    model = load_model(request)
    given = [file_entry(path).get("sha256") for path in model.files]
    if given != [entry.get("sha256") for entry in record.get("files", [])]:
        raise InputError(
            f"{archive} was made with the model '{record.get('name')}' from other files than the given"
            f" '{model.name}'; give the model it is of"
        )
