"""`sparselrp init`: what the Snakemake workflow reads, for one's own data."""

import shlex
from pathlib import Path

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.models import models_options
from sparselrp_cli.cli.options import log_options, start_log
from sparselrp_cli.cli.values import FileName, database_names
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.settings.workflow import PROFILES, SHARD_WINDOWS


@click.command(
    cls=Grouped, short_help="A configuration of the Snakemake workflow for your data: shards, clusters."
)
@click.argument("genome", type=FileName(), metavar="GENOME")
@models_options
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), default="sparselrp-workflow",
    show_default=True, metavar="DIR", help="Where the files go; nothing in it is overwritten.",
)  # fmt: skip
@click.option(
    "-r", "--regions", "samples", type=FileName(), multiple=True, metavar="BED",
    help="BED or narrowPeak, each a sample. Repeatable; without it the records of GENOME are explained.",
)  # fmt: skip
@click.option(
    "-t", "--target", "targets", multiple=True, metavar="TARGET",
    help="What to explain, as for `attribute`. Repeatable: each gets its motifs and its report.",
)  # fmt: skip
@click.option(
    "--targets", "targets_file", type=FileName(), metavar="FILE",
    help="Targets by name: a name, a tab and what stands behind -t in each line.",
)  # fmt: skip
@click.option(
    "--shards", type=click.IntRange(1), metavar="N",
    help=f"Parts of each sample, each a job.  [default: one for every {SHARD_WINDOWS:,} regions]",
)  # fmt: skip
@click.option("--gpus", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="GPUs a job.")
@click.option(
    "--database", type=FileName(database_names), metavar="FILE|NAME",
    help="Names for the motifs, see `motifs`.",
)  # fmt: skip
@click.option(
    "--genes", type=FileName(), metavar="GTF|BED", help="Genes for the reports, see `report`.",
)  # fmt: skip
@click.option(
    "--profile", type=click.Choice(PROFILES), default=PROFILES[0], show_default=True,
    help="Where jobs run: this machine, or a SLURM cluster, whose partitions you then put in.",
)  # fmt: skip
@log_options
@click.pass_context
def init(
    context: click.Context, /, genome: str, models: tuple[ModelRequest, ...], folder: Path,
    samples: tuple[str, ...], targets: tuple[str, ...], targets_file: str | None, shards: int | None,
    gpus: int, database: str | None, genes: str | None, profile: str, quiet: bool,
) -> None:  # fmt: skip
    """Write config.yaml, samples.tsv and a profile with which the Snakemake workflow explains GENOME.

    Nothing is asked and nothing overwritten. The command that runs it is printed. Call it where snakemake is
    to run, as paths are kept as typed.

    \b
    Examples:
      sparselrp init genome.fa -r a.bed -r b.bed -m mynet.py:build -w weights.pt -t 0 -t 1-0
      sparselrp init genome.fa -r peaks.bed -m packed --gpus 1 --profile slurm -o on-cluster
    """
    start_log(context, quiet=quiet)
    if "-" in (genome, *samples, targets_file, database, genes):
        raise click.UsageError("jobs can't read standard input again; name files")
    from sparselrp_cli.runs.workflow_files import Plan, snakefile, write_workflow_files

    plan = Plan(
        folder=folder, genome=genome, regions=samples, models=models, targets=targets,
        targets_file=targets_file, shards=shards, gpus=gpus, database=database, genes=genes,
        profile=profile,
    )  # fmt: skip
    written = write_workflow_files(plan)
    click.echo(f"wrote {', '.join(map(str, written))}")
    place = snakefile()
    command = [
        "snakemake", "-s", str(place or "PATH-TO-A-CHECKOUT/workflow/Snakefile"), "--configfile",
        str(folder / "config.yaml"), *(["--workflow-profile", str(folder / "profile")] if place else []),
    ]  # fmt: skip
    if place is None:
        click.echo("The workflow isn't beside this installation; a checkout has it.")
    click.echo(f"Look through them. What would run, and then the run itself:\n\n  {shlex.join(command)} -n")
    click.echo(f"  {shlex.join(command)}{'' if place else ' -c all'}")
