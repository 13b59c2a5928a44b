"""`sparselrp browser`: files that open the tracks of a run in genome browsers."""

from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.options import log_options, start_log
from sparselrp_cli.cli.values import FileName


@click.command(
    cls=Grouped,
    short_help="Files that open the tracks in IGV, UCSC and WashU.",
)
@click.argument("prefix", type=click.Path(path_type=Path), metavar="PREFIX")
@click.option(
    "--genome", required=True, type=FileName(), metavar="NAME|FASTA",
    help="The browser's name of the assembly, such as hg38 or dm3; for IGV alone also a FASTA file.",
)  # fmt: skip
@click.option(
    "--url", metavar="ADDRESS", help="Where the folder will be on the web; IGV-Web and WashU need it."
)
@click.option("--locus", metavar="CHROM:START-END", help="What IGV shows first.  [default: all]")
@click.option("--email", metavar="ADDRESS", help="Yours, for UCSC's hub, which has to name one.")
@log_options
@click.pass_context
def browser(
    context: click.Context,
    prefix: Path,
    genome: str,
    url: str | None,
    locus: str | None,
    email: str | None,
    quiet: bool,
) -> None:
    """Write PREFIX.igv.xml, PREFIX.hub.txt and, with --url, PREFIX.igv.json and PREFIX.datahub.json.

    Open the first with IGV. Put the folder on the web, and give UCSC the address of the second (track hubs),
    IGV-Web that of the third (session) and WashU that of the fourth (remote tracks): in these each base is a
    letter as high as its contribution.

    \b
    Example:
      sparselrp browser out/suhw --genome dm3 --locus chr2R:15,007,100-15,007,220
    """
    start_log(context, quiet=quiet)
    import logging

    from sparselrp_cli.outputs.browser import NOBODY, write_browser_files

    files = write_browser_files(prefix, genome, url=url, locus=locus, email=email or NOBODY)
    logging.getLogger("sparselrp").info("wrote %s", ", ".join(map(str, files)))
