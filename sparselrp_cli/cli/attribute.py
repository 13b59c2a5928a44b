"""`sparselrp attribute`: relevance for every window."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.models import models_options
from sparselrp_cli.cli.options import (
    command_line,
    log_options,
    prefix_option,
    resume_option,
    start_log,
)
from sparselrp_cli.cli.settings import settings_options
from sparselrp_cli.cli.values import FileName, database_names
from sparselrp_cli.errors import number_of, require_extra
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.settings.run import RunSettings

if TYPE_CHECKING:
    from sparselrp_cli.runs.run_files import RunSummary


@click.command(
    cls=Grouped,
    short_help="Relevance for every window (the GPU step).",
)
@click.argument("sequences", type=FileName(), metavar="SEQUENCES")
@models_options
@prefix_option
@click.option(
    "-r",
    "--regions",
    type=FileName(),
    metavar="BED",
    help="BED or narrowPeak, plain or gzip, - for standard input: windows of the model's length around their"
    " summits or midpoints. Strand '-' is explained reverse-complemented.",
)
@settings_options("attribute")
@resume_option
@click.option(
    "--report",
    is_flag=True,
    help="Go on to motifs and PREFIX.report.html, with a null from shuffled windows; needs the extra"
    " sparselrp[motifs].",
)
@click.option(
    "--database",
    type=FileName(database_names),
    metavar="FILE|NAME",
    help="With --report: names for the motifs, see `motifs`.",
)
@click.option(
    "--genes",
    type=FileName(),
    metavar="GTF|BED",
    help="With --report: genes below the letters of the windows, see `report`.",
)
@log_options
@click.pass_context
def attribute(
    context: click.Context, /, sequences: str, models: tuple[ModelRequest, ...], prefix: Path,
    regions: str | None, settings: RunSettings, resume: bool | None, report: bool, database: str | None,
    genes: str | None, quiet: bool,
) -> None:  # fmt: skip
    """Explain every window of SEQUENCES and write tracks, tables and motif-ready files.

    SEQUENCES is FASTA: plain, gzip or bgzip, or - for standard input. With -r it is a genome; alone, every
    record is explained, tiled if it is longer than the model's window and padded with N if it is shorter.

    \b
    Examples:
      sparselrp attribute genome.fa -r peaks.narrowPeak -m suhw-dm3 -o out/suhw
      sparselrp attribute promoters.fa -m suhw-dm3 -o out/promoters -p 0
      sparselrp attribute genome.fa -r peaks.bed -m MODEL -o out/suhw --report --database jaspar2026:insects
      sparselrp attribute genome.fa -r peaks.bed -m fold0 -m fold1 -m fold2 -o out/mean-of-folds
    """
    start_log(context, quiet=quiet)
    _refuse_contradictions(sequences, regions, settings, report=report)
    _refuse_without_report(report=report, given={"--database": database, "--genes": genes})
    if report:
        from sparselrp_cli.motifs.discovery import PACKAGES

        require_extra("motifs", "--report", *PACKAGES)
        _refuse_rows(models)
    if database is not None:
        from sparselrp_cli.motifs.database import database_at_hand

        # What is wrong with it is said now, and not after the long part.
        database = context.with_resource(database_at_hand(database))
    if genes is not None:
        from sparselrp_cli.sequences.genes import require_genes

        require_genes(genes)
    if report:
        from sparselrp_cli.files.lock import locked

        # `motifs` and `report`, in processes of their own, lock the prefix by themselves.
        context.with_resource(locked(prefix.with_name(f"{prefix.name}.report")))
    import logging

    with loading("PyTorch"):
        from sparselrp_cli.cli.progress import progress_bar
        from sparselrp_cli.runs.attribute import attribute as run
        from sparselrp_cli.runs.request import RunRequest

    request = RunRequest(sequences, prefix, models, settings, regions, resume)
    stop = context.find_object(StopRequest) or StopRequest()
    progress = progress_bar(quiet=quiet)
    summary = run(request, command_line(), progress, stop)
    if summary is None:
        logging.getLogger("sparselrp").info("%s.* is complete; nothing to do", prefix)
    else:
        _say(summary)
    if report:
        from sparselrp_cli.cli.following import motifs_and_report

        motifs_and_report(
            request, command_line(), progress, stop, database=database, genes=genes, quiet=quiet
        )


def _refuse_contradictions(
    sequences: str, regions: str | None, settings: RunSettings, *, report: bool
) -> None:
    if sequences == "-" and regions == "-":
        raise click.UsageError("SEQUENCES and --regions can't both come from standard input")
    if regions is not None and settings.tile_overlap is not None:
        raise click.UsageError("--tile-overlap goes without --regions")
    if report and settings.shard is not None:
        raise click.UsageError("--report is of a whole run; merge the shards, then use motifs and report")
    if sequences == "-" and regions is not None:
        raise click.UsageError(
            "with --regions SEQUENCES is read at random places and can't be standard input"
        )


def _refuse_without_report(*, report: bool, given: Mapping[str, str | None]) -> None:
    for option, value in given.items():
        if value is not None and not report:
            raise click.UsageError(f"{option} goes with --report")


def _refuse_rows(models: tuple[ModelRequest, ...]) -> None:
    """Refuse a report of models that get a row for each region: its null is explained on other windows."""
    from sparselrp_cli.model.rows import row_files

    for asked in row_files(models[0].inputs):
        raise click.UsageError(
            f"--report explains shuffled windows, too, which have no rows in {asked.path}; leave it out, and"
            " call `motifs --null permuted` and `report`"
        )


def _say(summary: "RunSummary") -> None:
    """Log what a run came to."""
    import logging

    logger = logging.getLogger("sparselrp")
    outcome = summary.totals.outcome()
    for target, means in outcome.means.items() if outcome.windows else ():
        logger.info(
            "%s: mean score %.4g%s, relevance %.4g, background %.4g, absorbed %.4g (stabilisers %.2g%s),"
            " lost %.4g; %.1f %% of bases exactly zero",
            target, means["mean_score"], _beside(means), means["mean_relevance"], means["mean_background"],
            means["mean_absorbed"], means["mean_stabilised"], _special(means), means["mean_lost"],
            100 * means["mean_zero_share"],
        )  # fmt: skip
    logger.info("%s explained, %d skipped", number_of(outcome.windows, "window"), outcome.skipped)
    for warning in summary.totals.warnings():
        logger.warning("%s", warning)
    logger.info("wrote %s", ", ".join(str(path) for path in summary.files))


def _special(means: Mapping[str, float]) -> str:
    """Say what tokens without a base hold, where there are any."""
    held = means["mean_special"]
    return f", special tokens {held:.4g}" if held else ""


def _beside(means: Mapping[str, float]) -> str:
    """Name the model's own value where it isn't the score that is explained."""
    score, prediction = f"{means['mean_score']:.4g}", f"{means['mean_prediction']:.4g}"
    return "" if score == prediction else f" (the model gives {prediction})"
