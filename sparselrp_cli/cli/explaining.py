"""Options of the commands that explain, and what they mean to the pipeline."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparselrp_cli.cli.options import BatchSize, Command, Device, Proportion, composite_option, pair_weights
from sparselrp_cli.cli.values import MOST_THREADS, Finite

if TYPE_CHECKING:
    from sparselrp_cli.runs.attribute import AttributeOptions


def explain_options(command: Command) -> Command:
    """Add what is explained, and how."""
    options = [
        click.option(
            "-t",
            "--target",
            "targets",
            multiple=True,
            metavar="TARGET",
            help="What to explain: a task's NAME or INDEX, OUTPUT/TASK, with @POS or @START:END on outputs"
            " with positions (the mean over positions), A-B for a contrast. Repeatable; optional for"
            " one scalar.",
        ),
        click.option(
            "-p",
            "--prune",
            type=Proportion(auto=True),
            default=0.02,
            show_default=True,
            help="Proportion of positive relevance mass pruned in each layer: 0 is plain LRP; the more, the"
            " fewer sites are left, the strongest.",
        ),
        click.option(
            "--prune-negative", type=Proportion(), help="The same for negative relevance.  [default: P/2]"
        ),
        click.option(
            "--redistribute",
            type=click.Choice(["lambda", "m"]),
            default="lambda",
            show_default=True,
            help="Where pruned mass goes: to all survivors of its sign in the layer (lambda), or to the"
            " survivors that feed the same neurons (m).",
        ),
        composite_option,
        click.option(
            "--reverse-complement", is_flag=True, help="Average with the reverse complement of each window."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def compute_options(command: Command) -> Command:
    """Add where and how exactly it is computed, and what makes it fail."""
    options = [
        click.option(
            "-b",
            "--batch-size",
            type=BatchSize(),
            default="auto",
            show_default=True,
            help="Windows at a time; halved when memory runs out.",
        ),
        click.option(
            "--device",
            type=Device(),
            default="auto",
            show_default=True,
            help="auto, cpu or cuda[:N]; a GPU that was asked for and is missing is an error.",
        ),
        click.option(
            "--dtype",
            type=click.Choice(["float32", "tf32", "bfloat16", "float64"]),
            default="float32",
            show_default=True,
            help="Precision of the computation; of tf32 and bfloat16 the distance from float32 is reported.",
        ),
        click.option(
            "--archive-dtype",
            type=click.Choice(["float16", "float32", "float64"]),
            help="Precision of PREFIX.h5.  [default: float32; float64 with --dtype float64]",
        ),
        click.option(
            "--threads",
            type=click.IntRange(1, MOST_THREADS),
            metavar="N",
            help="CPU threads.  [default: torch's choice]",
        ),
        click.option(
            "--max-conservation-error",
            type=Finite(0),
            metavar="X",
            help="Fail if |score - relevance - absorbed - lost| is more than X of the score in any window.",
        ),
        click.option(
            "--resume/--restart",
            default=None,
            help="Go on with what an interrupted run left in PREFIX.partial, or throw that away.",
        ),
        click.option("--strict", is_flag=True, help="Fail on what is otherwise skipped or warned about."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def command_line() -> list[str]:
    """Give the command line; a run that was resumed is the same run."""
    return ["sparselrp", *(a for a in sys.argv[1:] if a not in ("--resume", "--restart"))]


def attribute_options(given: dict[str, Any], **more: Any) -> "AttributeOptions":
    """Turn parsed options into those of the pipeline; `more` are those that not every command has.

    Raises
    ------
    click.UsageError
        If they contradict each other.
    """
    from sparselrp_cli.model.loading import ModelRequest
    from sparselrp_cli.relevance.pruning import Pruning
    from sparselrp_cli.runs.attribute import AttributeOptions

    automatic = given["prune"] == "auto"
    if automatic and given["prune_negative"] is not None:
        raise click.UsageError("--prune-negative goes with a number for --prune, not with auto")
    pruning = Pruning(
        positive=0.0 if automatic else given["prune"],
        negative=given["prune_negative"],
        automatic=automatic,
        redistribute=given["redistribute"],
    )
    models = tuple(
        ModelRequest(
            model,
            weights,
            given["window"],
            given["alphabet"],
            given["layout"],
            given["trust_model"],
            given["inputs"],
        )
        for model, weights in pair_weights(given["models"], given["weights"])
    )
    return AttributeOptions(
        sequences=given["sequences"],
        prefix=Path(given["prefix"]),
        models=models,
        targets=given["targets"],
        composite=given["composite"],
        pruning=pruning,
        average_strands=given["reverse_complement"],
        overlap=given["overlap"],
        batch_size=given["batch_size"],
        device=given["device"],
        dtype=given["dtype"],
        archive_dtype=given["archive_dtype"],
        threads=given["threads"],
        max_conservation_error=given["max_conservation_error"],
        strict=given["strict"],
        resume=given["resume"],
        **more,
    )
