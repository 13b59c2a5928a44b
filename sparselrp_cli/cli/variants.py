"""`sparselrp variants`: reference and alternative allele explained on the same window."""

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
    start_log,
)
from sparselrp_cli.cli.settings import settings_options
from sparselrp_cli.cli.values import FileName
from sparselrp_cli.errors import number_of
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.settings.run import RunSettings


@click.command(
    cls=Grouped, short_help="What a variant changes: both alleles explained, and their difference."
)
@click.argument("variants", type=FileName(), metavar="VCF")
@click.argument("sequences", type=FileName(), metavar="GENOME")
@models_options
@prefix_option
@settings_options("variants", overlap="max-abs")
@resume_option
@log_options
@click.pass_context
def variants(
    context: click.Context, /, variants: str, sequences: str, models: tuple[ModelRequest, ...], prefix: Path,
    settings: RunSettings, resume: bool | None, quiet: bool,
) -> None:  # fmt: skip
    """Explain the reference and the alternative allele of every variant of a VCF on GENOME.

    VCF is plain, gzip or bgzip; of it the first five columns are read, and every alternative allele counts by
    itself. The window is centred on the first base that differs, and the same for both alleles. Symbolic
    alleles, breakends and variants whose REF isn't what the genome has are listed in PREFIX.skipped.tsv.

    \b
    PREFIX.variants.tsv       scores, the model's own values, relevance of the changed bases, and where
                              relevance changed most
    PREFIX.difference.bw      relevance of the alternative less that of the reference, along the genome
    PREFIX.ref.*, PREFIX.alt.*  the two runs

    \b
    Example:
      sparselrp variants calls.vcf.gz genome.fa -m suhw-dm3 -o out/calls
    """
    start_log(context, quiet=quiet)
    import logging

    with loading("PyTorch"):
        from sparselrp_cli.cli.progress import progress_bar
        from sparselrp_cli.runs.request import RunRequest
        from sparselrp_cli.runs.variants import explain_variants

    logger = logging.getLogger("sparselrp")
    request = RunRequest(sequences, prefix, models, settings, variants, resume)
    stop = context.find_object(StopRequest) or StopRequest()
    done = explain_variants(request, command_line(), progress_bar(quiet=quiet), stop)
    alleles = number_of(done.explained, "alternative allele")
    logger.info("%s explained, %d skipped", alleles, done.skipped)
    if done.skipped:
        logger.warning("the first that was skipped: %s", done.first_reason)
    logger.info("wrote %s", ", ".join(str(path) for path in done.files))
