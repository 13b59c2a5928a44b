"""`sparselrp attribute`: relevance for every window."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from sparselrp_cli.cli.explaining import attribute_options, command_line, compute_options, explain_options
from sparselrp_cli.cli.options import (
    ShardOf,
    log_options,
    model_options,
    prefix_option,
    start_log,
    track_options,
)
from sparselrp_cli.cli.values import Finite
from sparselrp_cli.runs.stopping import StopRequest

if TYPE_CHECKING:
    from sparselrp_cli.runs.attribute import AttributeOptions


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
@explain_options
@click.option(
    "--tile-overlap",
    type=click.IntRange(0),
    metavar="BP",
    help="Without -r: overlap of neighbouring windows on records longer than the model's window."
    "  [default: half a window]",
)
@click.option(
    "--max-unknown",
    type=Finite(0, 1),
    default=1.0,
    show_default=True,
    metavar="SHARE",
    help="Skip windows with a larger share of N.",
)
@track_options
@compute_options
@click.option(
    "--shard",
    type=ShardOf(),
    help="Do part I of N; `sparselrp merge` puts the parts together.",
)
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
        from sparselrp_cli.motifs.database import database_at_hand

        # What is wrong with it is said now, and not after the long part.
        given["database"] = context.with_resource(database_at_hand(given["database"]))
    stop = context.find_object(StopRequest) or StopRequest()
    _run(given, stop, quiet=quiet)
    if given["report"]:
        from sparselrp_cli.cli.following import motifs_and_report
        from sparselrp_cli.cli.progress import progress_bar

        motifs_and_report(
            _options(given), command_line(), progress_bar(quiet=quiet), stop,
            database=given["database"], quiet=quiet,
        )  # fmt: skip


def _run(given: dict[str, Any], stop: StopRequest, *, quiet: bool) -> None:
    import logging

    from sparselrp_cli.cli.progress import progress_bar
    from sparselrp_cli.runs.attribute import WARN_ABOVE
    from sparselrp_cli.runs.attribute import attribute as run

    logger = logging.getLogger("sparselrp")
    summary = run(_options(given), command_line(), progress_bar(quiet=quiet), stop)
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


def _options(given: dict[str, Any]) -> "AttributeOptions":
    from sparselrp_cli.runs.shards import Shard

    return attribute_options(
        given,
        regions=given["regions"],
        tile_overlap=given["tile_overlap"],
        max_unknown=given["max_unknown"],
        formats=given["formats"] or (),
        shard=given["shard"] and Shard(*given["shard"]),
    )
