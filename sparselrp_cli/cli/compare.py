"""`sparselrp compare`: what differs between runs on the same windows."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.options import log_options, prefix_option, seed_option, start_log
from sparselrp_cli.cli.settings import setting_option
from sparselrp_cli.cli.values import FileName
from sparselrp_cli.errors import printable

if TYPE_CHECKING:
    from sparselrp_cli.comparison.found import Comparison, Pair
    from sparselrp_cli.evaluation.intervals import Interval

_SHOWN = 5


@click.command(cls=Grouped, short_help="What differs between runs: models, targets, conditions.")
@click.argument("runs", nargs=-1, required=True, type=FileName(), metavar="A.h5[@TARGET] B.h5[@TARGET]...")
@prefix_option
@click.option(
    "-t", "--target", metavar="NAME",
    help="Target of the archives that name none of their own; optional where they have one.",
)  # fmt: skip
@click.option(
    "--normalise", type=click.Choice(["mean", "none"]), default="mean", show_default=True,
    help="Divide contributions by their mean magnitude in the shared windows of their run, so that runs"
    " compare; or leave them as they are.",
)  # fmt: skip
@click.option(
    "--span", type=click.IntRange(1, 10_000), default=20, show_default=True, metavar="BP",
    help="Length of the stretch with the largest difference that is looked for in each window.",
)  # fmt: skip
@click.option(
    "--hits", "beds", multiple=True, type=FileName(), metavar="BED",
    help="Hits of motifs, once for each run, in their order.  [default: PREFIX.hits.bed beside each archive]",
)  # fmt: skip
@setting_option("overlap")
@partial(seed_option, of="the intervals")
@log_options
@click.pass_context
def compare(
    context: click.Context, runs: tuple[str, ...], prefix: Path, target: str | None, normalise: str,
    span: int, beds: tuple[str, ...], overlap: str, seed: int, quiet: bool,
) -> None:  # fmt: skip
    """Compare runs on the windows that they share: each with the first.

    Windows match by place and sequence. Contributions are divided by their mean magnitude; scores stay as
    they are.

    \b
    PREFIX.compare.html        one page: what changes, both maps of each window one above the other
    PREFIX.compare.tsv         a line for each window: scores, correlation, the stretch that differs most
    PREFIX.compare.means.tsv   means over the windows with 95 % intervals
    PREFIX.compare.motifs.tsv  hits and contributions of each motif, where `motifs` has found hits
    PREFIX.compare.bw          differences along the genome; of several runs PREFIX.compare.RUN.bw

    \b
    Examples:
      sparselrp compare out/old.h5 out/new.h5 -o out/change
      sparselrp compare out/run.h5@liver out/run.h5@brain -o out/tissues
    """
    start_log(context, quiet=quiet)
    if len(runs) < 2:
        raise click.UsageError("a comparison takes two runs or more, such as A.h5 B.h5 or A.h5@x A.h5@y")
    if beds and len(beds) != len(runs):
        raise click.UsageError("--hits is given once for each run, or not at all")
    import logging

    from sparselrp_cli.comparison.compare import CompareOptions
    from sparselrp_cli.comparison.compare import compare as compare_runs

    done = compare_runs(CompareOptions(runs, prefix, target, normalise, span, beds, overlap, seed))
    # Of runs in units of their own relevance the means are equal by definition.
    click.echo(_summary(done, but=("mass_difference",) if normalise != "none" else ()))
    logging.getLogger("sparselrp").info("wrote %s", ", ".join(map(str, done.files)))


def _summary(done: "Comparison", but: Sequence[str]) -> str:
    """Write what was found, for a terminal, but for some means."""
    lines = [f"windows\t{done.windows} in all of {', '.join(map(printable, done.labels))}"]
    for pair in done.pairs:
        lines += ["", f"{printable(pair.b)} compared with {printable(pair.a)}", *_lines(pair, but)]
    return "\n".join(lines)


def _lines(pair: "Pair", but: Sequence[str]) -> list[str]:
    lines = [
        f"{name.replace('_', ' ')}\t{_said(found)}" for name, found in pair.means.items() if name not in but
    ]
    for window in pair.changed[:_SHOWN]:
        place = f"{printable(window.place)} ({printable(window.name)})"
        lines.append(f"differs most\t{place}: {window.differing_share:.3g} of its mass")
    for motif in pair.motifs[:_SHOWN]:
        known = ((pair.a, motif.hits_a), (pair.b, motif.hits_b))
        hits = ", ".join(f"{n} hits in {printable(run)}" for run, n in known if n is not None)
        lines.append(f"{printable(motif.motif)}\t{_said(motif.difference)}, {hits}")
    return lines


def _said(found: "Interval") -> str:
    return f"{found.mean:.3g} ({found.low:.3g} to {found.high:.3g})"
