"""`sparselrp motifs`: seqlets, motifs, their names and hits."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparselrp_cli.cli.background import WAY, Explaining, make_background, models_of_run
from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.models import models_options
from sparselrp_cli.cli.options import log_options, prefix_option, seed_option, start_log, target_option
from sparselrp_cli.cli.settings import setting_option
from sparselrp_cli.cli.values import FileName, Finite, database_names
from sparselrp_cli.errors import require_extra
from sparselrp_cli.model.request import ModelRequest

if TYPE_CHECKING:
    from sparselrp_cli.motifs.search import MotifOptions

logger = logging.getLogger("sparselrp")


@click.command(
    cls=Grouped,
    short_help="Seqlets, motif matrices, names from a motif database (CPU).",
)
@click.argument("archive", type=click.Path(path_type=Path), metavar="PREFIX.h5")
@prefix_option
@target_option
@click.option(
    "--background",
    type=click.Path(path_type=Path),
    metavar="BG.h5",
    help="Archive of shuffled or other windows without sites, made with the same model and options: the null."
    "  [default: PREFIX.background.h5; where there is none, it is made if the model is known]",
)
@click.option(
    "--null", type=click.Choice(["shuffled", "permuted"]), default="shuffled", show_default=True,
    help="What chance gives: shuffled windows explained by the model, or, without a model, the windows' own"
    " contributions permuted, whose q-values aren't calibrated.",
)  # fmt: skip
@partial(
    models_options,
    required=False,
    help="The model of the archive, to explain shuffled windows with; once for each where it is a mean of"
    " several.  [default: the model folder that PREFIX.manifest.json names]",
)
@setting_option("batch_size", help="Shuffled windows at a time; halved when memory runs out.")
@setting_option("device", help="auto, cpu or cuda[:N], to explain shuffled windows on.")
@click.option(
    "--database",
    type=FileName(database_names),
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
@click.option(
    "--hits-over", type=click.Choice(["windows", "stretches"]), default="windows", show_default=True,
    help="Look for hits in the windows one by one; or in the stretches that overlapping windows cover"
    " together, each base once with its mean relevance, so that no border cuts a hit.",
)  # fmt: skip
@click.option(
    "--bigbed", is_flag=True,
    help="Write seqlets and hits as bigBed, too, which browsers read over the web piece by piece.",
)  # fmt: skip
@setting_option("threads", help="CPU threads.  [default: as many as there are cores]")
@setting_option("no_cache")
@partial(seed_option, of="the shuffling and the permutations")
@log_options
@click.pass_context
def motifs(
    context: click.Context, archive: Path, prefix: Path, target: str | None, background: Path | None,
    null: str, models: tuple[ModelRequest, ...], batch_size: int | None, device: str, database: str | None,
    fdr: float, max_seqlets: int, min_seqlets: int, hits_over: str, bigbed: bool, threads: int | None,
    no_cache: bool, seed: int, quiet: bool,
) -> None:  # fmt: skip
    """Find the motifs in an archive that `attribute` made.

    Seqlets are stretches of more relevance than the null gives (p and q values); TF-MoDISco clusters them to
    motifs; Tomtom names these; hits are matches of their matrices with more relevance than the null gives.
    Writes PREFIX.seqlets.bed, PREFIX.hits.bed (with .as for bigBed) and PREFIX.motifs.meme, .jaspar,
    .transfac, .tsv, .json, .h5.

    The null is the same windows with their dinucleotides shuffled, explained as they were. `attribute
    --report` leaves it in PREFIX.background.h5; otherwise it is made here, with the model.

    \b
    Examples:
      sparselrp motifs out/suhw.h5 -o out/suhw --database jaspar2026:insects
      sparselrp motifs out/run.h5 -o out/run -m mynet.py:build -w weights.safetensors
    """
    start_log(context, quiet=quiet)
    for option, value in (("--background", background), ("--model", models)):
        if null == "permuted" and value:
            raise click.UsageError(f"--null permuted goes without {option}; leave one of the two out")
    if background is not None and models:
        raise click.UsageError("--background is the null already; leave it out, or --model")
    from sparselrp_cli.motifs.background import background_beside
    from sparselrp_cli.motifs.discovery import PACKAGES
    from sparselrp_cli.motifs.search import MotifOptions

    require_extra("motifs", "finding motifs", *PACKAGES)

    options = MotifOptions(
        archive,
        prefix,
        target,
        background,
        database,
        fdr,
        max_seqlets,
        min_seqlets,
        seed,
        bigbed=bigbed,
        threads=threads,
        hits_over=hits_over,
    )
    if background is not None or null == "permuted":
        _search(options)
        return
    if (beside := background_beside(archive, prefix, target)) is not None:
        _search(replace(options, background=beside))
        return
    if not (known := models or models_of_run(archive)):
        _search(replace(options, advice=WAY))
        return
    if database is not None:
        from sparselrp_cli.motifs.database import database_at_hand

        # What is wrong with it is said now, and not after the long part.
        options = replace(options, database=context.with_resource(database_at_hand(database)))
    explaining = Explaining(device, batch_size, seed, no_cache, quiet)
    made = make_background(context, archive, prefix, known, explaining, must=bool(models))
    _search_in_new_process(replace(options, background=made), context, quiet=quiet)


def _search(options: "MotifOptions") -> None:
    from sparselrp_cli.motifs.search import search

    if options.background is not None:
        logger.info("null: %s", options.background)
    files = search(options)
    logger.info("wrote %s", ", ".join(map(str, files)))


def _search_in_new_process(options: "MotifOptions", context: click.Context, *, quiet: bool) -> None:
    """Search where torch hasn't run, see `following`."""
    from sparselrp_cli.cli.following import run_command

    null = ["--null", "permuted"] if options.background is None else ["--background", options.background]
    words: list[str | Path] = ["motifs", options.archive, "-o", options.prefix, *null]
    for name in ("target", "database", "fdr", "max_seqlets", "min_seqlets", "seed", "threads", "hits_over"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--bigbed"] if options.bigbed else []
    run_command([*words, *(["-v"] if context.meta.get("sparselrp.verbose") else [])], quiet=quiet)
