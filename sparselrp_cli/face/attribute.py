"""`sparselrp.attribute`: the job of the command of this name, from Python."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import torch

from sparselrp_cli.errors import SettingError
from sparselrp_cli.face.calling import undisturbed
from sparselrp_cli.face.models import AnyModel
from sparselrp_cli.face.requests import (
    Targets,
    device_of,
    dtype_of,
    models_of,
    path_text,
    request_of,
    targets_of,
)
from sparselrp_cli.face.run import COMMAND, Folder, Run
from sparselrp_cli.face.settings import DEFAULTS, Centre, settings_of
from sparselrp_cli.face.wording import in_python_words
from sparselrp_cli.outputs.choices import ArchiveDtype
from sparselrp_cli.relevance.batching import choose_device
from sparselrp_cli.relevance.choices import Ends, Redistribution
from sparselrp_cli.runs.attribute import attribute as run
from sparselrp_cli.runs.request import RunRequest
from sparselrp_cli.runs.run_files import path_of
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.sequences.source import Batch
from sparselrp_cli.settings.run import RunSettings


def attribute(
    sequences: str | Path,
    regions: str | Path | None,
    model: AnyModel | Sequence[AnyModel],
    *,
    target: Targets = None,
    prefix: str | Path | None = None,
    resume: bool | None = None,
    weights: str | Path | None = None,
    trust: bool = False,
    window: int | None = None,
    layout: str | None = None,
    alphabet: str | None = None,
    bins: str | None = None,
    prune: float | Literal["auto"] = DEFAULTS.prune,
    prune_negative: float | Literal["auto"] | None = DEFAULTS.prune_negative,
    redistribute: Redistribution = DEFAULTS.redistribute,
    composite: str | Path = DEFAULTS.composite,
    select: str | None = DEFAULTS.select,
    centre: Centre = DEFAULTS.centre,
    ends: Ends = DEFAULTS.ends,
    reverse_complement: bool = DEFAULTS.reverse_complement,
    tile_overlap: int | None = DEFAULTS.tile_overlap,
    max_unknown: float = DEFAULTS.max_unknown,
    formats: Sequence[str] = DEFAULTS.formats,
    overlap: str = DEFAULTS.overlap,
    batch_size: int | None = DEFAULTS.batch_size,
    device: str | torch.device = DEFAULTS.device,
    dtype: str | None = None,
    archive_dtype: ArchiveDtype | None = DEFAULTS.archive_dtype,
    threads: int | None = DEFAULTS.threads,
    no_cache: bool = DEFAULTS.no_cache,
    max_conservation_error: float | None = DEFAULTS.max_conservation_error,
    strict: bool = DEFAULTS.strict,
) -> Run:
    """Explain every window of a genome's regions, or every record of a FASTA file.

    Settings are those of ``sparselrp attribute``, by the names of its options, with its defaults.

    Parameters
    ----------
    sequences : str or Path
        FASTA: plain, gzip or bgzip.
    regions : str, Path or None
        BED or narrowPeak; None explains every record of `sequences`.
    model : nn.Module, LoadedModel, str, Path, or a sequence of these
        A module, or what the command takes with ``-m``; several are averaged.
    target : str, int, sequence of these, or dict, optional
        What is explained, as behind ``-t``, or the number of a task; a dict gives targets names.
    prefix : str or Path, optional
        Where the files of the run are written, as the command's ``-o``. By default they lie in a temporary
        folder, which goes with the run; `Run.save` writes them.
    resume : bool, optional
        Go on with what an interrupted run left under `prefix`, or, if False, throw that away. A run that is
        complete is opened.
    weights : str or Path, optional
        Of a factory.
    trust : bool
        Whether a model's file may be loaded that can run code.
    window, layout, alphabet
        How a module takes its sequences, as for `PLRP`, and their length in bp where it doesn't say it.
    device : str or torch.device
        By default that of a module, or a GPU if there is one.
    dtype : str, optional
        By default float64 for a module in float64, else float32.

    Returns
    -------
    Run

    Raises
    ------
    SparselrpError
        With what is wrong, where, and what to do.
    """
    with in_python_words(), ExitStack() as stack:
        models = models_of(model, weights)
        settings = settings_of(
            targets=targets_of(target), bins=bins, prune=prune, prune_negative=prune_negative,
            redistribute=redistribute, composite=composite, select=select, centre=centre, ends=ends,
            reverse_complement=reverse_complement, tile_overlap=tile_overlap, max_unknown=max_unknown,
            formats=formats, overlap=overlap, batch_size=batch_size, device=device_of(device, models),
            dtype=dtype_of(dtype, models), archive_dtype=archive_dtype, threads=threads, no_cache=no_cache,
            max_conservation_error=max_conservation_error, strict=strict,
        )  # fmt: skip
        _refuse_contradictions(settings, regions, prefix)
        requests = [
            request_of(each, stack, weights, trust=trust, window=window, layout=layout, alphabet=alphabet)
            for each in models
        ]
        folder = Folder() if prefix is None else None
        place = Path(prefix or "") if folder is None else folder.path / "run"
        request = RunRequest(
            path_text("sequences", sequences), place, tuple(requests), settings,
            None if regions is None else path_text("regions", regions), resume=resume,
            archive_only=folder is not None,
        )  # fmt: skip
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        with undisturbed(choose_device(settings.device)):
            run(request, COMMAND, _without_progress, StopRequest())
        return Run.of_archive(path_of(place, ".h5"), folder)


def _refuse_contradictions(
    settings: RunSettings, regions: str | Path | None, prefix: str | Path | None
) -> None:
    if regions is not None and settings.tile_overlap is not None:
        raise SettingError("tile_overlap= goes without regions")
    if prefix is not None and settings.formats and "h5" not in settings.formats:
        raise SettingError("formats= without 'h5' leaves no archive to read the run from; add it")


def _without_progress(batches: Iterator[Batch], _: int | None) -> Iterator[Batch]:
    return batches
