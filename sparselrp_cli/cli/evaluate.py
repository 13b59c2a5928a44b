"""`sparselrp evaluate`: faithfulness of archives, their agreement with known sites, their sparsity."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.models import model_option
from sparselrp_cli.cli.options import log_options, prefix_option, seed_option, start_log
from sparselrp_cli.cli.progress import counter
from sparselrp_cli.cli.settings import setting_option
from sparselrp_cli.cli.values import FileName, Finite
from sparselrp_cli.errors import printable
from sparselrp_cli.model.request import ModelRequest

if TYPE_CHECKING:
    import pandas as pd

    from sparselrp_cli.evaluation.evaluate import Evaluation
    from sparselrp_cli.evaluation.sites import SiteSource

OUTPUTS = (
    "evaluation.json", "evaluation.tsv", "per-window.tsv", "differences.tsv", "curves.tsv",
    "randomisation.tsv", "evaluation.svg", "curves.svg",
)  # fmt: skip
BASELINES = ("gradient-x-input", "mutagenesis", "deeplift-shap")


@click.command(
    cls=Grouped, short_help="Faithfulness of relevance, its agreement with known sites, its sparsity."
)
@click.argument("archives", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PREFIX.h5...")
@click.option(
    "--motif",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Sites are matches of this matrix on either strand: a motif file, as for `motifs --database`.",
)
@click.option(
    "--min-bits",
    type=Finite(),
    default=10.0,
    show_default=True,
    metavar="BITS",
    help="Matches score more than this.",
)
@click.option("--sites", type=FileName(), metavar="BED", help="Sites are the intervals of this BED.")
@click.option(
    "--min-score",
    type=Finite(),
    metavar="X",
    help="Only windows whose explained score is above X.  [default: all]",
)
@partial(model_option, help="The model the archives are of; what follows asks it again.")
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    type=click.Choice(BASELINES),
    help="Also this method, computed on the spot. Repeatable. deeplift-shap needs tangermeme.",
)
@click.option(
    "--mutagenesis/--no-mutagenesis",
    default=None,
    help="Score every single change of every window, for ism_r and var_r.  [default: with --model]",
)
@click.option(
    "--faithfulness",
    "draws",
    type=click.IntRange(0),
    default=0,
    metavar="DRAWS",
    help="Deletion and insertion curves against this many shuffles of each window, and a random order.",
)
@click.option("--strands", is_flag=True, help="Correlation with the map of the opposite strand.")
@click.option("--randomise", is_flag=True, help="Correlation with maps of the model with shuffled weights.")
@click.option(
    "--windows",
    type=click.IntRange(1),
    metavar="N",
    help="At most N windows, evenly from all.  [default: all]",
)
@partial(seed_option, of="all that is drawn")
@setting_option("device", help="auto, cpu or cuda[:N], for the model.")
@partial(prefix_option, help="Also write PREFIX.evaluation.tsv, .json, .svg and more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@log_options
@click.pass_context
def evaluate(
    context: click.Context, /, archives: tuple[Path, ...], motif: Path | None, min_bits: float,
    sites: str | None, min_score: float | None, model: ModelRequest | None, baselines: tuple[str, ...],
    mutagenesis: bool | None, draws: int, strands: bool, randomise: bool, windows: int | None, seed: int,
    device: str, prefix: Path | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Compare archives of the same windows: agreement with sites, sparsity, faithfulness to the model.

    \b
    Is it faithful to the model? Needs --model; decide by these:
    ism_r                 correlation with mutagenesis at the observed bases
    var_r                 correlation of c_alt - c_obs with the effects of all single changes
    deletion_share        share of (score - background) lost when the most relevant go first
    insertion_share       share of it that is there when these alone are kept
    deletion_drop         how far the score falls likewise, in its own units
    insertion_rise        how far it rises above that of the background likewise
    abpc                  deletion of the least relevant first above the most relevant first
    background_score      score of the shuffled windows, beside the drops
    strand_agreement      rank correlation of the maps of both strands
    agreement_with_first  rank correlation with the first archive's map, such as of another fold

    \b
    Does it point at known sites? Needs --motif or --sites:
    site_ap               average precision of windows as wide as a site, by summed relevance
    auprc_informative     average precision of the matched bases that the motif cares for (--motif)
    mass_in_sites         share of positive relevance inside sites
    rank_accuracy         share of the highest positions inside sites
    auroc, auprc          ranking by position: bases a site doesn't care for count as missed

    \b
    How sparse is it?
    gini, complexity      concentration of relevance, 0 to 1, and its entropy in nats
    zero_share            share of positions that are exactly zero

    Deletion and insertion are means over the first fifth of the positions; shares lie within -1 and 1 at each
    point, and are left open where a window doesn't score more than its background. Mass, gini and zeros
    reward sparsity by construction; never decide by them alone. With --model the row of mutagenesis is
    printed too: what it reaches is the ceiling.

    \b
    Examples:
      sparselrp evaluate out/lrp.h5 out/plrp.h5 --motif data/suhw-MA0533.1.jaspar --min-score 0
      sparselrp evaluate out/lrp.h5 out/plrp.h5 -m suhw-dm3 --faithfulness 5 \\
        --baseline gradient-x-input --baseline mutagenesis -o out/comparison
    """
    start_log(context, quiet=quiet)
    if motif is not None and sites is not None:
        raise click.UsageError("give the sites with either --motif or --sites")
    asks = {
        "baseline": baselines,
        "mutagenesis": mutagenesis,
        "faithfulness": draws,
        "strands": strands,
        "randomise": randomise,
    }
    if model is None and (asked := [option for option, value in asks.items() if value]):
        raise click.UsageError(f"--{asked[0]} asks the model again; name it with --model")
    if mutagenesis is False and "mutagenesis" in baselines:
        raise click.UsageError("--no-mutagenesis and --baseline mutagenesis contradict each other")
    if len({path.stem for path in archives}) < len(archives):
        raise click.UsageError("two archives have the same name; rename one, for the rows of the table")
    import logging

    with loading("PyTorch" if model is not None else "pandas"):
        from sparselrp_cli.evaluation.evaluate import EvaluateOptions
        from sparselrp_cli.evaluation.evaluate import evaluate as run
        from sparselrp_cli.evaluation.summary import differences, means, undefined

    evaluation = run(
        EvaluateOptions(
            archives=archives,
            sites=_sites(motif, min_bits, sites),
            min_score=min_score,
            model=model,
            baselines=tuple(dict.fromkeys(baselines)),
            mutagenesis=model is not None and mutagenesis is not False,
            draws=draws,
            strands=strands,
            randomise=randomise,
            windows=windows,
            seed=seed,
            device=device,
            progress=lambda total: counter(total, "change", quiet=quiet),
        )
    )
    for line in undefined(evaluation.per_window):
        logging.getLogger("sparselrp").warning("%s", line)
    table, paired = means(evaluation.per_window), differences(evaluation.per_window)
    _print(evaluation, table, paired, as_json=as_json)
    if prefix is not None:
        from sparselrp_cli.files.lock import locked

        with locked(prefix):
            _write(prefix, evaluation, table, paired)


def _print(evaluation: "Evaluation", table: "pd.DataFrame", paired: "pd.DataFrame", *, as_json: bool) -> None:
    if as_json:
        click.echo(table.to_json(orient="records", indent=2))
    else:
        for frame in (table, paired, evaluation.randomisation):
            if len(frame):
                shown = frame.assign(**{c: frame[c].map(printable) for c in ("method", "target")})
                click.echo(shown.to_string(index=False, float_format="%.3f", na_rep="-") + "\n")


def _sites(motif: Path | None, min_bits: float, bed: str | None) -> "SiteSource | None":
    """Give what finds the sites in windows, if any are known."""
    from sparselrp_cli.evaluation.sites import bed_sites, matrix_sites

    if motif is not None:
        return matrix_sites(motif, min_bits)
    return None if bed is None else bed_sites(bed)


def _write(prefix: Path, evaluation: "Evaluation", table: "pd.DataFrame", paired: "pd.DataFrame") -> None:
    import json
    import logging

    from sparselrp_cli.evaluation.figures import plot_curves, plot_metrics
    from sparselrp_cli.files.atomic import replacing, reported

    def path(ending: str) -> Path:
        return prefix.with_name(f"{prefix.name}.{ending}")

    # What an evaluation before wrote goes, for this one may not write as many files; the record comes last.
    for ending in OUTPUTS:
        with reported(path(ending)):
            path(ending).unlink(missing_ok=True)
    frames = {
        "evaluation.tsv": table,
        "per-window.tsv": evaluation.per_window,
        "differences.tsv": paired,
        "curves.tsv": evaluation.curves,
        "randomisation.tsv": evaluation.randomisation,
    }
    written = []
    for ending, frame in frames.items():
        if len(frame):
            written.append(path(ending))
            with replacing(written[-1]) as hidden:
                frame.to_csv(hidden, sep="\t", index=False, float_format="%.6g", na_rep="nan")
    written.append(path("evaluation.svg"))
    plot_metrics(evaluation.per_window, written[-1])
    if len(evaluation.curves):
        written.append(path("curves.svg"))
        plot_curves(evaluation.curves, written[-1])
    records = {
        name: json.loads(frame.to_json(orient="records"))
        for name, frame in (
            ("methods", table), ("differences", paired), ("curves", evaluation.curves),
            ("randomisation", evaluation.randomisation),
        )
    }  # fmt: skip
    written.append(path("evaluation.json"))
    with replacing(written[-1]) as hidden:
        hidden.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    logging.getLogger("sparselrp").info("wrote %s", ", ".join(map(str, written)))
