"""`sparselrp merge`: shards of one run to one result."""

from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.options import command_line, log_options, prefix_option, start_log
from sparselrp_cli.cli.settings import setting_option
from sparselrp_cli.errors import number_of
from sparselrp_cli.outputs.formats import help_on_formats, standard_formats

_OF_RECORDS = ",".join(standard_formats(on_genome=False))
_FORMATS = f"{','.join(standard_formats(on_genome=True))}; of FASTA records {_OF_RECORDS}"


@click.command(
    cls=Grouped,
    short_help="Shards of one run to one result (CPU, no torch).",
)
@click.argument("archives", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SHARD.h5...")
@prefix_option
@setting_option("formats", help=help_on_formats(_FORMATS))
@setting_option("overlap")
@log_options
@click.pass_context
def merge(
    context: click.Context, archives: tuple[Path, ...], prefix: Path, formats: tuple[str, ...],
    overlap: str, quiet: bool,
) -> None:  # fmt: skip
    """Put the shards that `attribute --shard I/N` made together, in any order.

    The files are those of the run without --shard, byte for byte, but for the command line in the manifest.
    Missing, doubled and foreign shards are named. Each SHARD.skipped.tsv is read, too.

    \b
    Example:
      sparselrp attribute genome.fa -r peaks.bed -m MODEL -o out/part1 --shard 1/2
      sparselrp attribute genome.fa -r peaks.bed -m MODEL -o out/part2 --shard 2/2
      sparselrp merge out/part1.h5 out/part2.h5 -o out/peaks
    """
    start_log(context, quiet=quiet)
    import logging

    from sparselrp_cli.runs.merge import merge as run

    summary = run(archives, prefix, formats, overlap, command_line())
    logger = logging.getLogger("sparselrp")
    logger.info("%s, %d skipped", number_of(summary.totals.windows, "window"), summary.totals.skipped)
    for warning in summary.totals.warnings():
        logger.warning("%s", warning)
    logger.info("wrote %s", ", ".join(map(str, summary.files)))
