"""`sparselrp attribute`: relevance for every window."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from sparselrp_cli.cli.options import (
    BatchSize,
    Device,
    Proportion,
    ShardOf,
    composite_option,
    log_options,
    model_options,
    pair_weights,
    prefix_option,
    start_log,
    track_options,
)
from sparselrp_cli.stopping import StopRequest


@click.command(short_help="Relevance for every window (the GPU step).")
@click.argument("sequences", metavar="SEQUENCES")
@partial(model_options, several=True)
@prefix_option
@click.option(
    "-r",
    "--regions",
    metavar="BED",
    help="BED or narrowPeak, plain or gzip, - for standard input: windows of the model's length around their"
    " summits or midpoints. Strand '-' is explained reverse-complemented.",
)
@click.option(
    "-t",
    "--target",
    "targets",
    multiple=True,
    metavar="TARGET",
    help="What to explain: a task's NAME or INDEX, OUTPUT/TASK, with @POS or @START:END on outputs"
    " with positions (the mean over positions), A-B for a contrast. Repeatable; optional for one scalar.",
)
@click.option(
    "-p",
    "--prune",
    type=Proportion(auto=True),
    default=0.25,
    show_default=True,
    help="Proportion of positive relevance mass pruned in each layer; 0 is plain LRP.",
)
@click.option("--prune-negative", type=Proportion(), help="The same for negative relevance.  [default: P/2]")
@click.option(
    "--redistribute",
    type=click.Choice(["lambda", "m"]),
    default="lambda",
    show_default=True,
    help="Where pruned mass goes: to all survivors of its sign in the layer (lambda), or to the survivors"
    " that feed the same neurons (m).",
)
@composite_option
@click.option(
    "--reverse-complement", is_flag=True, help="Average with the reverse complement of each window."
)
@click.option(
    "--tile-overlap",
    type=click.IntRange(0),
    metavar="BP",
    help="Without -r: overlap of neighbouring windows on records longer than the model's window."
    "  [default: half a window]",
)
@click.option(
    "--max-unknown",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    metavar="SHARE",
    help="Skip windows with a larger share of N.",
)
@track_options
@click.option(
    "-b",
    "--batch-size",
    type=BatchSize(),
    default="auto",
    show_default=True,
    help="Windows at a time; halved when memory runs out.",
)
@click.option(
    "--device",
    type=Device(),
    default="auto",
    show_default=True,
    help="auto, cpu or cuda[:N]; a GPU that was asked for and is missing is an error.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "tf32", "bfloat16", "float64"]),
    default="float32",
    show_default=True,
    help="Precision of the computation; of tf32 and bfloat16 the distance from float32 is reported.",
)
@click.option(
    "--archive-dtype",
    type=click.Choice(["float16", "float32", "float64"]),
    help="Precision of PREFIX.h5.  [default: float32; float64 with --dtype float64]",
)
@click.option(
    "--threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: torch's choice]"
)
@click.option(
    "--max-conservation-error",
    type=click.FloatRange(0),
    metavar="X",
    help="Fail if |score - relevance - absorbed - lost| is more than X of the score in any window.",
)
@click.option(
    "--resume/--restart",
    default=None,
    help="Go on with what an interrupted run left in PREFIX.partial, or throw that away.",
)
@click.option(
    "--shard",
    type=ShardOf(),
    help="Do part I of N; `sparselrp merge` puts the parts together.",
)
@click.option("--strict", is_flag=True, help="Fail on what is otherwise skipped or warned about.")
@click.option(
    "--report",
    is_flag=True,
    help="Go on to motifs and PREFIX.report.html, with a null from shuffled windows.",
)
@click.option("--database", metavar="FILE|NAME", help="With --report: names for the motifs, see `motifs`.")
@log_options
@click.pass_context
def attribute(context: click.Context, /, quiet: bool, **given: Any) -> None:  # fmt: skip
    """Explain every window of SEQUENCES and write tracks, tables and motif-ready files.

    SEQUENCES is FASTA: plain, gzip or bgzip, or - for standard input. With -r it is a genome; alone, every
    record is explained, tiled if it is longer than the model's window and padded with N if it is shorter.

    \b
    Examples:
      sparselrp attribute genome.fa -r peaks.narrowPeak -m models/suhw-dm3 -o out/suhw
      sparselrp attribute promoters.fa -m models/suhw-dm3 -o out/promoters -p 0
      sparselrp attribute genome.fa -r peaks.bed -m MODEL -o out/suhw --report --database jaspar2026:insects
      sparselrp attribute genome.fa -r peaks.bed -m fold0 -m fold1 -m fold2 -o out/mean-of-folds
    """
    start_log(context, quiet=quiet)
    if given["sequences"] == "-" and given["regions"] == "-":
        raise click.UsageError("SEQUENCES and --regions can't both come from standard input")
    if given["regions"] is not None and given["tile_overlap"] is not None:
        raise click.UsageError("--tile-overlap goes without --regions")
    if given["report"] and given["shard"] is not None:
        raise click.UsageError("--report is of a whole run; merge the shards, then use motifs and report")
    if given["database"] is not None and not given["report"]:
        raise click.UsageError("--database goes with --report")
    if given["sequences"] == "-" and given["regions"] is not None:
        raise click.UsageError(
            "with --regions SEQUENCES is read at random places and can't be standard input"
        )
    if given["database"] is not None:
        from sparselrp_cli.motifs.database import read_database

        # Said now, and not after the long part.
        read_database(given["database"])
    stop = context.find_object(StopRequest) or StopRequest()
    _run(given, stop, quiet=quiet)
    if given["report"]:
        from sparselrp_cli.cli.following import motifs_and_report
        from sparselrp_cli.cli.progress import progress_bar

        motifs_and_report(
            _options(given), _command(), progress_bar(quiet=quiet), stop,
            database=given["database"], quiet=quiet,
        )  # fmt: skip


def _run(given: dict[str, Any], stop: StopRequest, *, quiet: bool) -> None:
    import logging

    from sparselrp_cli.cli.progress import progress_bar
    from sparselrp_cli.pipeline import WARN_ABOVE
    from sparselrp_cli.pipeline import attribute as run

    logger = logging.getLogger("sparselrp")
    summary = run(_options(given), _command(), progress_bar(quiet=quiet), stop)
    if summary is None:
        logger.info("%s.* is complete; nothing to do", given["prefix"])
        return
    totals = summary.totals
    accounts = totals.summary()
    for target, means in accounts["targets"].items() if totals.windows else ():
        logger.info(
            "%s: mean score %.4g, relevance %.4g, absorbed %.4g, lost %.4g; %.1f %% of bases exactly zero",
            target, means["mean_score"], means["mean_relevance"], means["mean_absorbed"], means["mean_lost"],
            100 * means["mean_zero_share"],
        )  # fmt: skip
    logger.info("%d windows explained, %d skipped", totals.windows, totals.skipped)
    if totals.largest_error > WARN_ABOVE:
        logger.warning("conservation error up to %.2g (window %s)", totals.largest_error, totals.worst_window)
    logger.info("wrote %s", ", ".join(str(path) for path in summary.files))


def _command() -> list[str]:
    """The command line; a run that was resumed is the same run."""
    import sys

    return ["sparselrp", *(a for a in sys.argv[1:] if a not in ("--resume", "--restart"))]


def _options(given: dict[str, Any]) -> Any:
    from sparselrp_cli.model.loading import ModelRequest
    from sparselrp_cli.pipeline import AttributeOptions
    from sparselrp_cli.relevance.pruning import Pruning
    from sparselrp_cli.sharding import Shard

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
        regions=given["regions"],
        targets=given["targets"],
        composite=given["composite"],
        pruning=pruning,
        average_strands=given["reverse_complement"],
        overlap=given["overlap"],
        tile_overlap=given["tile_overlap"],
        batch_size=given["batch_size"],
        device=given["device"],
        dtype=given["dtype"],
        archive_dtype=given["archive_dtype"],
        threads=given["threads"],
        formats=given["formats"] or (),
        max_unknown=given["max_unknown"],
        max_conservation_error=given["max_conservation_error"],
        strict=given["strict"],
        shard=given["shard"] and Shard(*given["shard"]),
        resume=given["resume"],
    )
