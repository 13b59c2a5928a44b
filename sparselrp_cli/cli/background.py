"""Where `motifs` takes its background from: beside the run, or made with the run's model."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparselrp_cli.cli.options import pair_weights

if TYPE_CHECKING:
    from sparselrp_cli.model.loading import ModelRequest

logger = logging.getLogger("sparselrp")


WAY = "give the model with --model, or shuffled windows with --background"


@dataclass(frozen=True)
class Explaining:
    """How shuffled windows are explained; see the help of `motifs` for each."""

    device: str
    batch_size: int | None
    seed: int
    quiet: bool


@dataclass(frozen=True)
class GivenModels:
    """The options of a command that say which models are meant; see their help for each."""

    models: Sequence[str]
    weights: Sequence[Path] = ()
    window: int | None = None
    alphabet: str | None = None
    layout: str | None = None
    inputs: Sequence[str] = ()
    trust_model: bool = False

    def details(self) -> list[str]:
        """Name the options that are given besides the models."""
        values = {
            "--weights": self.weights, "--window": self.window, "--alphabet": self.alphabet,
            "--layout": self.layout, "--input": self.inputs, "--trust-model": self.trust_model,
        }  # fmt: skip
        return [option for option, value in values.items() if value]

    def requests(self) -> "tuple[ModelRequest, ...]":
        """Ask for the models, each with its weights.

        Raises
        ------
        click.UsageError
            If the weights don't come out even with the factories.
        """
        from sparselrp_cli.model.loading import ModelRequest

        return tuple(
            ModelRequest(
                model, weights, self.window, self.alphabet, self.layout, self.trust_model, tuple(self.inputs)
            )
            for model, weights in pair_weights(self.models, self.weights)
        )


def find_models(given: GivenModels, archive: Path) -> GivenModels | None:
    """Find the models of an archive: those given, or the model folders that its run names.

    What a manifest names is taken only where loading it can't run code: of a factory or a pickle the user has
    to say that it is meant.

    Returns
    -------
    GivenModels or None
        None where none are known.
    """
    if given.models:
        return given
    from sparselrp_cli.cli.attribute import attribute
    from sparselrp_cli.runs.origin import command_of

    command = command_of(archive)
    if command[1:2] != ["attribute"]:
        return None
    with attribute.make_context("attribute", command[2:], resilient_parsing=True) as context:
        of_run = context.params
    models = of_run.get("models") or ()
    if not models or not all(map(_is_folder, models)):
        return None
    return GivenModels(
        models,
        window=of_run.get("window"),
        alphabet=of_run.get("alphabet"),
        layout=of_run.get("layout"),
        inputs=of_run.get("inputs") or (),
    )


def make_background(
    context: click.Context, archive: Path, prefix: Path, models: GivenModels, explaining: Explaining, *,
    must: bool,
) -> Path | None:  # fmt: skip
    """Explain shuffled windows of an archive: ``PREFIX.background.h5``.

    Returns
    -------
    Path or None
        None where that fails and needn't succeed; the log says why.

    Raises
    ------
    click.UsageError
        If the weights don't come out even with the factories.
    SparselrpError
        If the models aren't those of the archive, or can't be loaded or explained.
    Stopped, KeyboardInterrupt
    """
    from sparselrp_cli.cli.explaining import command_line
    from sparselrp_cli.cli.progress import progress_bar
    from sparselrp_cli.errors import SparselrpError
    from sparselrp_cli.runs.background import completed, explain_background
    from sparselrp_cli.runs.stopping import StopRequest

    stop = context.find_object(StopRequest) or StopRequest()
    try:
        requests = completed(models.requests(), archive)
        logger.info("explaining shuffled windows, for the null of the seqlets; --null permuted does without")
        return explain_background(
            archive, prefix, requests, command_line(), progress_bar(quiet=explaining.quiet), stop,
            device=explaining.device, batch_size=explaining.batch_size, seed=explaining.seed,
        )  # fmt: skip
    except SparselrpError as error:
        if must:
            raise
        logger.warning("no background of shuffled windows can be made: %s; %s", error, WAY)
        return None


def _is_folder(reference: str) -> bool:
    """Whether a model is a model folder, which is data."""
    path = Path(reference)
    return path.is_file() if path.name == "model.json" else (path / "model.json").is_file()
