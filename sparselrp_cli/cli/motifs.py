"""`sparselrp motifs`: seqlets, motifs, their names and hits."""

from functools import partial
from pathlib import Path

import click

from sparselrp_cli.cli.options import log_options, prefix_option, seed_option, start_log, target_option
from sparselrp_cli.cli.values import Finite


@click.command(short_help="Seqlets, motif matrices, names from a motif database (CPU, no torch).")
@click.argument("archive", type=click.Path(path_type=Path), metavar="PREFIX.h5")
@prefix_option
@target_option
@click.option(
    "--background",
    type=click.Path(path_type=Path),
    metavar="BG.h5",
    help="Archive of shuffled or other windows without sites, made with the same model and options: the null."
    "  [default: the windows' own contributions, permuted]",
)
@click.option(
    "--database",
    metavar="FILE|NAME",
    help="Names for the motifs: a MEME, JASPAR, TRANSFAC, HOMER, HOCOMOCO or CIS-BP file; or"
    " jaspar2026[:GROUP], such as jaspar2026:insects, from the package pyjaspar.",
)
@click.option(
    "--fdr",
    type=Finite(0, 1, min_open=True),
    default=0.05,
    show_default=True,
    metavar="Q",
    help="Largest q-value of seqlets and hits.",
)
@click.option(
    "--max-seqlets", type=click.IntRange(1), default=5000, show_default=True, metavar="N",
    help="Motifs come from the N best seqlets of each sign.",
)  # fmt: skip
@click.option(
    "--min-seqlets", type=click.IntRange(3), default=20, show_default=True, metavar="N",
    help="Motifs have at least N seqlets.",
)  # fmt: skip
@partial(seed_option, of="the permutations")
@log_options
@click.pass_context
def motifs(
    context: click.Context, archive: Path, prefix: Path, target: str | None, background: Path | None,
    database: str | None, fdr: float, max_seqlets: int, min_seqlets: int, seed: int, quiet: bool,
) -> None:  # fmt: skip
    """Find the motifs in an archive that `attribute` made.

    Seqlets are stretches of more relevance than the null gives (p and q values); TF-MoDISco clusters them to
    motifs; Tomtom names these; hits are matches of their matrices with more relevance than the null gives.
    Writes PREFIX.seqlets.bed, PREFIX.hits.bed and PREFIX.motifs.meme, .jaspar, .transfac, .tsv, .json, .h5.

    \b
    Example:
      sparselrp motifs out/suhw.h5 -o out/suhw --database jaspar2026:insects
    """
    start_log(context, quiet=quiet)
    import logging

    from sparselrp_cli.motifs.search import MotifOptions, search

    options = MotifOptions(archive, prefix, target, background, database, fdr, max_seqlets, min_seqlets, seed)
    files = search(options)
    logging.getLogger("sparselrp").info("wrote %s", ", ".join(map(str, files)))
