"""The background of a run, made with its archive and its model: shuffled windows, explained alike."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sparselrp_cli.errors import InputError, Stopped, TargetError, number_of
from sparselrp_cli.files.atomic import require_other_file
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.graph.loaded import load_model
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.runs.attribute import Progress
from sparselrp_cli.runs.follow_ups import explain_shuffled
from sparselrp_cli.runs.request import RunRequest
from sparselrp_cli.runs.run_files import path_of
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.settings.manifest import ModelEntry, read_manifest


def completed(requests: Sequence[ModelRequest], archive: Path) -> tuple[ModelRequest, ...]:
    """Add to requests of models what the archive knows: window, alphabet and layout.

    Raises
    ------
    InputError
        If the models aren't those of the archive, by their number or by the digests of their files.
    ModelError
        If one can't be loaded.
    OutputError
        If the archive can't be read.
    """
    with ArchiveReader(archive) as reader:
        manifest = read_manifest(reader)
    made_with = manifest.models
    if len(made_with) != len(requests):
        raise InputError(
            f"{archive} is of {number_of(len(made_with), 'model')}, not of {len(requests)}; give each of them"
            " once"
        )
    full = tuple(
        replace(
            request,
            window=request.window or manifest.settings.window,
            alphabet=request.alphabet or entry.alphabet,
            layout=request.layout or entry.layout,
        )
        for request, entry in zip(requests, made_with, strict=True)
    )
    for request, entry in zip(full, made_with, strict=True):
        _require_made_with(request, entry, archive)
    return full


def explain_background(
    archive: Path, prefix: Path, models: tuple[ModelRequest, ...], command: Sequence[str], progress: Progress,
    stop: StopRequest, *, device: str = "auto", batch_size: int | None = None, seed: int = 0,
    no_cache: bool = False,
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
    no_cache : bool
        Whether the models are traced and checked again.

    Returns
    -------
    Path
        ``PREFIX.background.h5``.

    Raises
    ------
    SparselrpError
    Stopped, KeyboardInterrupt
    """
    require_other_file(path_of(prefix, ".background.h5"), archive)
    with ArchiveReader(archive) as reader:
        of_run = read_manifest(reader).settings
    settings = replace(
        of_run.without_shard(),
        device=device,
        batch_size=batch_size,
        no_cache=no_cache,
        # Of the run's own windows.
        tile_overlap=None,
        allele=None,
        max_conservation_error=None,
        strict=False,
    )
    request = RunRequest("", prefix, models, settings)
    try:
        return _explained(request, archive, command, progress, stop, seed)
    except KeyboardInterrupt as error:
        # What was explained is few, and made again.
        with suppress(OSError):
            path_of(prefix, ".background.partial").unlink()
        what = "stopped" if isinstance(error, Stopped) else "interrupted"
        said = f"{what} while shuffled windows were explained; run the same command again"
        raise type(error)(said) from error


def _explained(
    request: RunRequest,
    archive: Path,
    command: Sequence[str],
    progress: Progress,
    stop: StopRequest,
    seed: int,
) -> Path:
    try:
        return explain_shuffled(request, command, progress, stop, seed, archive)
    except TargetError:
        if len(request.settings.targets) > 1:
            raise
        # A single scalar is explained without being named, and its name isn't always one to ask for.
        unnamed = replace(request, settings=replace(request.settings, targets=()))
        return explain_shuffled(unnamed, command, progress, stop, seed, archive)


def _require_made_with(request: ModelRequest, entry: ModelEntry, archive: Path) -> None:
    model = load_model(request)
    if [FileEntry.of(path).sha256 for path in model.files] != entry.digests:
        raise InputError(
            f"{archive} was made with the model '{entry.name}' from other files than the given"
            f" '{model.name}'; give the model it is of"
        )
