"""`sparselrp variants`: reference and alternative allele explained on the same window."""

from functools import partial
from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.models import models_options
from sparselrp_cli.cli.options import (
    command_line,
    log_options,
    prefix_option,
    resume_option,
    seed_option,
    start_log,
)
from sparselrp_cli.cli.settings import settings_options
from sparselrp_cli.cli.values import FileName
from sparselrp_cli.errors import number_of
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.settings.run import RunSettings

MOST_RANDOM = 1_000_000


@click.command(
    cls=Grouped, short_help="What a variant changes: both alleles explained, and their difference."
)
@click.argument("variants", type=FileName(), metavar="VCF")
@click.argument("sequences", type=FileName(), metavar="GENOME")
@models_options
@prefix_option
@settings_options("variants", overlap="max-abs")
@click.option(
    "--null",
    "n_null",
    type=click.IntRange(0, MOST_RANDOM),
    default=0,
    show_default=True,
    metavar="N",
    help="Compare each variant with N random changes of its kind (the same base replaced by any other; as"
    " many bases taken away and put in) at random places of the variants' windows, each in a window centred"
    " on it. Adds p = (1 + how many of these have as large an effect) / (1 + N), and q (Benjamini & Hochberg,"
    " over the variants), of the effect on the score and of the change of relevance. 999 is enough for most.",
)
@partial(seed_option, of="the random changes of --null")
@click.option(
    "--motifs",
    "known_motifs",
    type=FileName(),
    metavar="FILE",
    help="Say which motifs each alternative makes or breaks: a MEME, JASPAR, TRANSFAC, HOMER, HOCOMOCO or"
    " CIS-BP file, or PREFIX.motifs.meme of a run. Compares the best match that covers the change in both"
    " alleles, with p up to 0.0001 in one of them.",
)
@resume_option
@log_options
@click.pass_context
def variants(
    context: click.Context, /, variants: str, sequences: str, models: tuple[ModelRequest, ...], prefix: Path,
    settings: RunSettings, n_null: int, seed: int, known_motifs: str | None, resume: bool | None, quiet: bool,
) -> None:  # fmt: skip
    """Explain the reference and the alternative allele of every variant of a VCF on GENOME.

    VCF is plain, gzip or bgzip, or a BCF where pysam is installed; every alternative allele counts by itself.
    The window is centred on the first base that differs, and the same for both alleles. Symbolic alleles,
    breakends and variants whose REF isn't what the genome has are listed in PREFIX.skipped.tsv.

    \b
    PREFIX.variants.tsv         scores, the model's own values, relevance of the changed bases, and where
                                relevance changed most
    PREFIX.vcf.gz               the VCF as it was given, with the main figures in INFO (keys SLRP_...)
    PREFIX.variants.motifs.tsv  with --motifs: motifs gained, lost, stronger and weaker, in bits
    PREFIX.null.tsv, .null.vcf  with --null: the random changes
    PREFIX.difference.bw        relevance of the alternative less that of the reference, along the genome
    PREFIX.ref.*, PREFIX.alt.*  the two runs

    \b
    Examples:
      sparselrp variants calls.vcf.gz genome.fa -m suhw-dm3 -o out/calls
      sparselrp variants calls.vcf.gz genome.fa -m suhw-dm3 -o out/calls --null 999 --motifs jaspar.meme
    """
    start_log(context, quiet=quiet)
    import logging

    with loading("PyTorch"):
        from sparselrp_cli.cli.progress import progress_bar
        from sparselrp_cli.runs.request import RunRequest
        from sparselrp_cli.runs.variants import VariantOptions, explain_variants

    logger = logging.getLogger("sparselrp")
    request = RunRequest(sequences, prefix, models, settings, variants, resume)
    stop = context.find_object(StopRequest) or StopRequest()
    options = VariantOptions(n_null, seed, known_motifs)
    done = explain_variants(request, command_line(), progress_bar(quiet=quiet), stop, options)
    alleles = number_of(done.explained, "alternative allele")
    logger.info("%s explained, %d skipped", alleles, done.skipped)
    if done.skipped:
        logger.warning("the first that was skipped: %s", done.first_reason)
    logger.info("wrote %s", ", ".join(str(path) for path in done.files))
