"""Where `motifs` takes its background from: beside the run, or made with the run's model."""

import logging
from dataclasses import dataclass
from pathlib import Path

import click

from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.options import command_line
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.shipped import place_of_model

logger = logging.getLogger("sparselrp")

WAY = "give the model with --model, or shuffled windows with --background"


@dataclass(frozen=True)
class Explaining:
    """How shuffled windows are explained; see the help of `motifs` for each."""

    device: str
    batch_size: int | None
    seed: int
    no_cache: bool
    quiet: bool


def models_of_run(archive: Path) -> tuple[ModelRequest, ...]:
    """Find the model folders that the run of an archive names in its manifest.

    Only these are taken, as loading one can't run code: of a factory or a pickle the user has to say that it
    is meant.

    Returns
    -------
    tuple of ModelRequest
        Empty where it names none.
    """
    from sparselrp_cli.cli.attribute import attribute
    from sparselrp_cli.runs.origin import command_of

    command = command_of(archive)
    if command[1:2] != ["attribute"]:
        return ()
    with attribute.make_context("attribute", command[2:], resilient_parsing=True) as context:
        of_run = context.params
    models = of_run.get("models") or ()
    if not all(map(_is_folder, models)):
        return ()
    fed = of_run.get("window"), of_run.get("alphabet"), of_run.get("layout")
    return tuple(
        ModelRequest(model, None, *fed, inputs=tuple(of_run.get("inputs") or ()), tokens=of_run.get("tokens"))
        for model in models
    )


def make_background(
    context: click.Context, archive: Path, prefix: Path, models: tuple[ModelRequest, ...],
    explaining: Explaining, *, must: bool,
) -> Path | None:  # fmt: skip
    """Explain shuffled windows of an archive: ``PREFIX.background.h5``.

    Returns
    -------
    Path or None
        None where that fails and needn't succeed; the log says why.

    Raises
    ------
    SparselrpError
        If the models aren't those of the archive, or can't be loaded or explained.
    Stopped, KeyboardInterrupt
    """
    with loading("PyTorch"):
        from sparselrp_cli.cli.progress import progress_bar
        from sparselrp_cli.errors import SparselrpError
        from sparselrp_cli.runs.background import completed, explain_background
        from sparselrp_cli.runs.stopping import StopRequest

    stop = context.find_object(StopRequest) or StopRequest()
    try:
        full = completed(models, archive)
        logger.info("explaining shuffled windows, for the null of the seqlets; --null permuted does without")
        return explain_background(
            archive, prefix, full, command_line(), progress_bar(quiet=explaining.quiet), stop,
            device=explaining.device, batch_size=explaining.batch_size, seed=explaining.seed,
            no_cache=explaining.no_cache,
        )  # fmt: skip
    except SparselrpError as error:
        if must:
            raise
        logger.warning("no background of shuffled windows can be made: %s; %s", error, WAY)
        return None


def _is_folder(reference: str) -> bool:
    """Whether a model is a model folder, which is data."""
    path = Path(place_of_model(reference))
    return path.is_file() if path.name == "model.json" else (path / "model.json").is_file()
