"""`sparselrp evaluate`: agreement of archives with known sites."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparselrp_cli.cli.options import Device, log_options, model_details, seed_option, start_log
from sparselrp_cli.cli.values import Finite, Prefix
from sparselrp_cli.errors import printable

if TYPE_CHECKING:
    import pandas as pd

    from sparselrp_cli.evaluation.agreement import MaskSource
    from sparselrp_cli.evaluation.evaluate import Evaluation

BASELINES = ("gradient-x-input", "mutagenesis", "deeplift-shap")


@click.command(short_help="Agreement of relevance with known sites, and its sparsity.")
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
@click.option("--sites", metavar="BED", help="Sites are the intervals of this BED.")
@click.option(
    "--min-score",
    type=Finite(),
    metavar="X",
    help="Only windows whose explained score is above X.  [default: all]",
)
@click.option(
    "-m",
    "--model",
    metavar="MODEL",
    help="The model the archives are of; what follows asks it again.",
)
@partial(model_details, several=False)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    type=click.Choice(BASELINES),
    help="Also this method, computed on the spot. Repeatable. deeplift-shap needs tangermeme.",
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
@click.option(
    "--device", type=Device(), default="auto", show_default=True, help="auto, cpu or cuda[:N], for the model."
)
@click.option(
    "-o",
    "--output",
    "prefix",
    type=Prefix(),
    metavar="PREFIX",
    help="Also write PREFIX.evaluation.tsv, .json, .svg and more.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@log_options
@click.pass_context
def evaluate(context: click.Context, /, quiet: bool, as_json: bool, **given: Any) -> None:
    """Compare archives of the same windows: agreement with sites, sparsity, faithfulness to the model.

    \b
    mass_in_sites      share of positive relevance inside sites
    rank_accuracy      share of the highest positions inside sites
    auroc, auprc       ranking of positions inside above those outside
    gini, complexity   concentration of relevance, 0 to 1, and its entropy in nats
    zero_share         share of positions that are exactly zero
    deletion_drop      how far the score falls when the most relevant positions are shuffled first
    insertion_rise     how far it rises when these alone are kept (both: means over the first fifth)
    strand_agreement   rank correlation of the maps of both strands
    agreement_with_first  rank correlation with the first archive's map, such as of another fold

    Mass and gini reward sparsity by construction; read them beside faithfulness.

    \b
    Examples:
      sparselrp evaluate out/lrp.h5 out/plrp.h5 --motif data/suhw-MA0533.1.jaspar --min-score 0
      sparselrp evaluate out/lrp.h5 out/plrp.h5 -m models/suhw-dm3 --faithfulness 5 \\
        --baseline gradient-x-input --baseline mutagenesis -o out/comparison
    """
    start_log(context, quiet=quiet)
    if given["motif"] is not None and given["sites"] is not None:
        raise click.UsageError("give the sites with either --motif or --sites")
    asks = [name for name in ("baselines", "draws", "strands", "randomise") if given[name]]
    if asks and given["model"] is None:
        option = {"baselines": "baseline", "draws": "faithfulness"}.get(asks[0], asks[0])
        raise click.UsageError(f"--{option} asks the model again; name it with --model")
    if len({path.stem for path in given["archives"]}) < len(given["archives"]):
        raise click.UsageError("two archives have the same name; rename one, for the rows of the table")
    from sparselrp_cli.evaluation.summary import differences, means

    found = _evaluated(given)
    table, paired = means(found.per_window), differences(found.per_window)
    if as_json:
        click.echo(table.to_json(orient="records", indent=2))
    else:
        for frame in (table, paired, found.randomisation):
            if len(frame):
                shown = frame.assign(**{c: frame[c].map(printable) for c in ("method", "target")})
                click.echo(shown.to_string(index=False, float_format="%.3f", na_rep="-") + "\n")
    if given["prefix"] is not None:
        _write(given["prefix"], found, table, paired)


def _evaluated(given: dict[str, Any]) -> "Evaluation":
    from sparselrp_cli.evaluation.evaluate import EvaluateOptions
    from sparselrp_cli.evaluation.evaluate import evaluate as run
    from sparselrp_cli.model.loading import ModelRequest

    sites = None
    if given["motif"] is not None:
        sites = _matrix_sites(given["motif"], given["min_bits"])
    elif given["sites"] is not None:
        sites = _bed_sites(given["sites"])
    model = None
    if given["model"] is not None:
        details = ("weights", "window", "alphabet", "layout", "trust_model", "inputs")
        model = ModelRequest(given["model"], *(given[name] for name in details))
    return run(
        EvaluateOptions(
            archives=given["archives"],
            sites=sites,
            min_score=float("-inf") if given["min_score"] is None else given["min_score"],
            model=model,
            baselines=tuple(dict.fromkeys(given["baselines"])),
            draws=given["draws"],
            strands=given["strands"],
            randomise=given["randomise"],
            windows=given["windows"],
            seed=given["seed"],
            device=given["device"],
        )
    )


def _write(prefix: Path, found: "Evaluation", table: "pd.DataFrame", paired: "pd.DataFrame") -> None:
    import json
    import logging

    from sparselrp_cli.evaluation.figures import plot_curves, plot_metrics
    from sparselrp_cli.files.atomic import replacing

    frames = {
        "evaluation.tsv": table,
        "per-window.tsv": found.per_window,
        "differences.tsv": paired,
        "curves.tsv": found.curves,
        "randomisation.tsv": found.randomisation,
    }
    written = []
    for ending, frame in frames.items():
        if len(frame):
            written.append(prefix.with_name(f"{prefix.name}.{ending}"))
            with replacing(written[-1]) as hidden:
                frame.to_csv(hidden, sep="\t", index=False, float_format="%.6g", na_rep="nan")
    written.append(prefix.with_name(f"{prefix.name}.evaluation.json"))
    records = {
        name: json.loads(frame.to_json(orient="records"))
        for name, frame in (
            ("methods", table), ("differences", paired), ("curves", found.curves),
            ("randomisation", found.randomisation),
        )
    }  # fmt: skip
    with replacing(written[-1]) as hidden:
        hidden.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    written.append(prefix.with_name(f"{prefix.name}.evaluation.svg"))
    plot_metrics(found.per_window, written[-1])
    if len(found.curves):
        written.append(prefix.with_name(f"{prefix.name}.curves.svg"))
        plot_curves(found.curves, written[-1])
    logging.getLogger("sparselrp").info("wrote %s", ", ".join(map(str, written)))


def _matrix_sites(motif: Path, min_bits: float) -> "MaskSource":
    from sparselrp_cli.evaluation.sites import matrix_hits, read_matrix

    matrix = read_matrix(motif)
    return lambda reader, rows: matrix_hits(reader.read(rows)[0], matrix, min_bits)


def _bed_sites(path: str) -> "MaskSource":
    import numpy as np

    from sparselrp_cli.evaluation.sites import Intervals
    from sparselrp_cli.sequences.regions import read_regions

    found: dict[str, list[tuple[int, int]]] = {}
    for region in read_regions(path):
        found.setdefault(region.chrom, []).append((region.start, region.end))
    intervals = Intervals(found)

    def masks(reader: object, rows: object) -> object:
        windows = reader.windows(rows)  # type: ignore[attr-defined]
        return np.stack([intervals.mask(w.chrom, w.start, w.end - w.start) for w in windows])

    return masks  # type: ignore[return-value]
