"""`sparselrp probe`: motifs put into backgrounds, alone and in pairs, and hits taken out."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.models import REFERENCE, models_options
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
from sparselrp_cli.errors import number_of, printable
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.probing.choices import (
    BACKGROUNDS,
    FARTHEST,
    FIGURES,
    MOST_BACKGROUNDS,
    MOST_ORDERS,
    MOST_SPACINGS,
    SPACINGS,
)
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.settings.run import RunSettings

if TYPE_CHECKING:
    from sparselrp_cli.evaluation.intervals import Interval
    from sparselrp_cli.probing.probe import Probed

_SHOWN = 10


class Spacings(click.ParamType[tuple[int, ...]]):
    """Distances in bp: ``10``, ``5,10,20``, or ``FIRST:LAST:STEP`` with both ends."""

    name = "BP"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        found: list[int] = []
        for part in str(value).split(","):
            numbers = [int(n) for n in part.split(":")] if _is_range(part) else []
            if not numbers or (len(numbers) == 3 and not numbers[2]) or max(numbers) > FARTHEST:
                self.fail(
                    f"'{value}' isn't a distance in bp, a list as 5,10, or a range as 0:50:5", param, ctx
                )
            first, last, step = (*numbers, numbers[0], 1)[:3] if len(numbers) == 1 else (*numbers, 1)[:3]
            found += range(first, min(last, first + step * MOST_SPACINGS) + 1, step)
        spacings = tuple(dict.fromkeys(found))
        if not 0 < len(spacings) <= MOST_SPACINGS:
            self.fail(f"'{value}' is {len(spacings)} distances; give from 1 to {MOST_SPACINGS}", param, ctx)
        return spacings


def _is_range(part: str) -> bool:
    words = part.split(":")
    return 1 <= len(words) <= 3 and all(w.isascii() and w.isdigit() and len(w) < 9 for w in words)


@click.command(cls=Grouped, short_help="Put motifs into backgrounds, alone and in pairs; take hits out.")
@click.argument("sequences", type=FileName(), metavar="SEQUENCES")
@partial(models_options, help=f"{REFERENCE} Repeatable: the models, such as folds, are averaged.")
@prefix_option
@click.option(
    "-r", "--regions", type=FileName(), metavar="BED",
    help="Windows of the model's length around these are the backgrounds, and what hits are taken out of;"
    " without it the records of SEQUENCES.",
)  # fmt: skip
@click.option(
    "--motifs", "known_motifs", type=FileName(), metavar="FILE",
    help="Motifs to put in by their names: a MEME, JASPAR, TRANSFAC, HOMER, HOCOMOCO or CIS-BP file. The most"
    " frequent base of each position is put in. All of them, unless others are named.",
)  # fmt: skip
@click.option(
    "--insert", "inserts", multiple=True, metavar="NAME|ACGT",
    help="Put this in: a motif's name or second name, letters, or NAME=LETTERS. Repeatable.",
)  # fmt: skip
@click.option(
    "--pair", "pairs", multiple=True, nargs=2, metavar="LEFT RIGHT",
    help="Put these two in together, in all four orientations at each of --spacing. Repeatable.",
)  # fmt: skip
@click.option(
    "--spacing", "spacings", type=Spacings(), default=":".join(map(str, SPACINGS)), show_default=True,
    help="bp between the two of a --pair: 10, 5,10,20 or FIRST:LAST:STEP.",
)  # fmt: skip
@click.option(
    "--at", type=click.IntRange(max=FARTHEST), default=0, show_default=True, metavar="BP",
    help="Where the middle of what is put in lies, from that of the window.",
)  # fmt: skip
@click.option(
    "--backgrounds", "kind_of_background", type=click.Choice(BACKGROUNDS), default=BACKGROUNDS[0],
    show_default=True, help="The windows with their dinucleotides shuffled, or as they are.",
)  # fmt: skip
@click.option(
    "--number", "n_backgrounds", type=click.IntRange(1, MOST_BACKGROUNDS), default=100, show_default=True,
    metavar="N",
    help="How many backgrounds, evenly from all windows; of fewer windows several shuffles each.",
)  # fmt: skip
@click.option(
    "--delete", "deleted", type=FileName(), metavar="HITS.bed",
    help="Take each of these hits out of the windows that hold it, such as PREFIX.hits.bed: its bases are put"
    " in other orders.",
)  # fmt: skip
@click.option(
    "--orders", "n_orders", type=click.IntRange(1, MOST_ORDERS), default=10, show_default=True, metavar="N",
    help="In how many orders the bases of each hit of --delete are put.",
)  # fmt: skip
@click.option(
    "--figures", type=click.Choice(FIGURES), default=FIGURES[0], show_default=True,
    help="Draw the effects, and the interaction of pairs against their spacing.",
)  # fmt: skip
@settings_options("probe")
@partial(seed_option, of="shuffles, orders and intervals")
@partial(resume_option, kept="PREFIX.probe.partial", what="probe")
@log_options
@click.pass_context
def probe(
    context: click.Context, /, sequences: str, models: tuple[ModelRequest, ...], prefix: Path,
    regions: str | None, known_motifs: str | None, inserts: tuple[str, ...],
    pairs: tuple[tuple[str, str], ...], spacings: tuple[int, ...], at: int, kind_of_background: str,
    n_backgrounds: int, deleted: str | None, n_orders: int, figures: str, settings: RunSettings, seed: int,
    resume: bool | None, quiet: bool,
) -> None:  # fmt: skip
    """Ask the model what a motif does, by putting it into sequences without it (marginalisation), what two do
    together beyond the sum of each (epistasis), and what is lost when hits are taken out.

    All effects are paired: the score of a sequence with the change less that of the same sequence without.
    Intervals hold 95 % of bootstrap means over backgrounds or hits. The control is the insert with its
    columns in another order.

    \b
    PREFIX.probe.effects.tsv      each insert: effect, control, relevance of its bases and elsewhere
    PREFIX.probe.backgrounds.tsv  the same for every background
    PREFIX.probe.pairs.tsv        each pair: observed, expected (the sum of both alone), interaction
    PREFIX.probe.deletions.tsv    means over hits by their names; PREFIX.probe.hits.tsv has each hit
    PREFIX.probe.*.svg            figures
    PREFIX.probe.json             what was done to what

    \b
    Examples:
      sparselrp probe windows.fa -m suhw-dm3 -o out/suhw --motifs jaspar.meme --insert "su(Hw)"
      sparselrp probe genome.fa -r peaks.bed -m MODEL -o out/pair --pair GATAA CAGCTG --spacing 0:40:2
      sparselrp probe genome.fa -r peaks.bed -m MODEL -o out/gone --delete out/run.hits.bed
    """
    start_log(context, quiet=quiet)
    import logging

    with loading("PyTorch"):
        from sparselrp_cli.cli.progress import counter
        from sparselrp_cli.probing.probe import ProbeOptions
        from sparselrp_cli.probing.probe import probe as run_probe

    options = ProbeOptions(
        sequences=sequences, prefix=prefix, models=models, settings=settings, regions=regions,
        motifs=known_motifs, inserts=inserts, pairs=pairs, spacings=spacings, at=at,
        background=kind_of_background, backgrounds=n_backgrounds, hits=deleted, draws=n_orders,
        figures=figures, seed=seed, resume=resume,
    )  # fmt: skip
    stop = context.find_object(StopRequest) or StopRequest()
    done = run_probe(options, command_line(), partial(counter, quiet=quiet), stop)
    if done is None:
        logging.getLogger("sparselrp").info("%s.probe.* is complete; nothing to do", prefix)
        return
    click.echo(_summary(done, seed))
    logging.getLogger("sparselrp").info("wrote %s", ", ".join(map(str, done.files)))


def _summary(done: "Probed", seed: int) -> str:
    """Write the largest effects, for a terminal."""
    lines: list[str] = []
    for t, target in enumerate(done.targets):
        lines.append(f"target\t{printable(target)}")
        effects = {effect.insert.name: effect.summary(t, seed) for effect in done.effects}
        for name in sorted(effects, key=lambda n: -abs(effects[n]["effect"].mean))[:_SHOWN]:
            found = effects[name]
            control = f"{_said(found['control'])} with its columns in another order"
            lines.append(f"{printable(name)}\t{_said(found['effect'])}, {control}")
        interactions = [(each, each.summary(t, seed)["interaction"]) for each in done.pairs]
        for each, mean in sorted(interactions, key=lambda pair: -abs(pair[1].mean))[:_SHOWN]:
            what = f"{printable(each.pair.name)} {each.orientation}, {each.spacing} bp apart"
            lines.append(f"{what}\tinteraction {_said(mean)}")
        for name, mean in done.deletions.get(target, {}).items():
            hits = number_of(mean.windows, "hit")
            lines.append(f"without {printable(name)}\t{_said(mean)} of {hits}")
    return "\n".join(lines)


def _said(found: "Interval") -> str:
    return f"{found.mean:.3g} ({found.low:.3g} to {found.high:.3g})"
