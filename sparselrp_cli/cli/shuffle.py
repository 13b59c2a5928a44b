"""`sparselrp shuffle`: windows without sites, for the null of the motifs."""

from functools import partial
from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.options import log_options, seed_option, start_log
from sparselrp_cli.cli.values import OutputFile
from sparselrp_cli.errors import number_of


@click.command(
    cls=Grouped,
    short_help="Windows with their dinucleotides shuffled, for the null of `motifs` (CPU, no torch).",
)
@click.argument("archive", type=click.Path(path_type=Path), metavar="PREFIX.h5")
@click.option(
    "-o", "--output", "output", required=True, type=OutputFile(), metavar="BACKGROUND.fa",
    help="The FASTA to write, plain text.",
)  # fmt: skip
@click.option(
    "--windows", "n_windows", type=click.IntRange(1), default=2000, show_default=True, metavar="N",
    help="Shuffle at most N of the archive's windows, evenly from all; fewer than 300 several times each.",
)  # fmt: skip
@partial(seed_option, of="the shuffling")
@log_options
@click.pass_context
def shuffle(
    context: click.Context, archive: Path, output: Path, n_windows: int, seed: int, quiet: bool
) -> None:
    """Write the windows of an archive that `attribute` made, with their dinucleotides shuffled.

    Each sequence keeps its ends and the count of every dinucleotide, and loses its sites. Explained with the
    model and the options of the archive, they are the null of `motifs`.

    \b
    Example:
      sparselrp shuffle out/suhw.h5 -o out/bg.fa
      sparselrp attribute out/bg.fa -m suhw-dm3 -o out/bg --formats h5
      sparselrp motifs out/suhw.h5 -o out/suhw --background out/bg.h5
    """
    start_log(context, quiet=quiet)
    import logging

    from sparselrp_cli.motifs.shuffled import write_shuffled

    written = write_shuffled(archive, output, n_windows, seed)
    logging.getLogger("sparselrp").info("wrote %s, %s", output, number_of(written, "sequence"))
