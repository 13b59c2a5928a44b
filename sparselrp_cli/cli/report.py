"""`sparselrp report`: the page that biologists read."""

from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.options import log_options, start_log, target_option
from sparselrp_cli.cli.values import FileName, OutputFile
from sparselrp_cli.outputs.choices import TOP_WINDOWS


@click.command(
    cls=Grouped,
    short_help="One self-contained page: logos, motifs, quality.",
)
@click.argument("archive", type=click.Path(path_type=Path), metavar="PREFIX.h5")
@click.option(
    "-o", "--output", "output", required=True, type=OutputFile(), metavar="REPORT.html",
    help="The page, which opens offline.",
)  # fmt: skip
@target_option
@click.option(
    "--motifs", type=click.Path(path_type=Path), metavar="FILE",
    help="What `motifs` found.  [default: PREFIX.motifs.json, if it is there]",
)  # fmt: skip
@click.option(
    "--unpruned", type=click.Path(path_type=Path), metavar="LRP.h5",
    help="Archive of the same windows made with -p 0.  [default: PREFIX.unpruned.h5, if it is there]",
)  # fmt: skip
@click.option(
    "--genes", type=FileName(), metavar="GTF|BED",
    help="Genes below the letters of each window: exons, strand and name. The table names those over a"
    " window, or the nearest.",
)  # fmt: skip
@click.option(
    "--windows", "n_windows", type=click.IntRange(0, 100), default=TOP_WINDOWS, show_default=True,
    metavar="N", help="How many windows to show in letters.",
)  # fmt: skip
@log_options
@click.pass_context
def report(
    context: click.Context, archive: Path, output: Path, target: str | None, motifs: Path | None,
    unpruned: Path | None, genes: str | None, n_windows: int, quiet: bool,
) -> None:  # fmt: skip
    """Write one page about a run: quality, motifs, the best windows in letters, distributions.

    \b
    Examples:
      sparselrp report out/suhw.h5 -o suhw.html
      sparselrp report out/suhw.h5 -o suhw.html --genes dm3.gtf.gz
    """
    start_log(context, quiet=quiet)
    import logging

    with loading("Matplotlib"):
        from sparselrp_cli.report.page import ReportOptions, write_report

    write_report(ReportOptions(archive, output, target, motifs, unpruned, n_windows, genes))
    logging.getLogger("sparselrp").info("wrote %s", output)
