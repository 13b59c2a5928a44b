"""`sparselrp evaluate`: agreement of archives with known sites."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparselrp_cli.cli.options import log_options, start_log
from sparselrp_cli.errors import printable

if TYPE_CHECKING:
    from sparselrp_cli.evaluation.agreement import MaskSource


@click.command(short_help="Agreement of relevance with known sites, and its sparsity.")
@click.argument("archives", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PREFIX.h5...")
@click.option(
    "--motif",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Sites are matches of this matrix (JASPAR or MEME) on either strand.",
)
@click.option(
    "--min-bits",
    type=float,
    default=10.0,
    show_default=True,
    metavar="BITS",
    help="Matches score more than this.",
)
@click.option("--sites", metavar="BED", help="Sites are the intervals of this BED.")
@click.option(
    "--min-score",
    type=float,
    metavar="X",
    help="Only windows whose explained score is above X.  [default: all]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@log_options
@click.pass_context
def evaluate(
    context: click.Context, archives: tuple[Path, ...], motif: Path | None, min_bits: float,
    sites: str | None, min_score: float | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Compare archives with known sites: means over the windows that hold a site.

    \b
    mass_in_sites  share of positive relevance inside sites
    rank_accuracy  share of the highest positions inside sites
    auroc          probability that a position in a site ranks above one outside
    gini           concentration of relevance, 0 to 1
    zero_share     share of positions that are exactly zero

    \b
    Example:
      sparselrp evaluate out/lrp.h5 out/plrp.h5 --motif data/suhw-MA0533.1.jaspar --min-score 0
    """
    start_log(context, quiet=quiet)
    if (motif is None) == (sites is None):
        raise click.UsageError("give the sites with either --motif or --sites")
    import dataclasses
    import json

    import pandas as pd

    from sparselrp_cli.evaluation.agreement import agreement
    from sparselrp_cli.outputs.archive import ArchiveReader

    source = _matrix_sites(motif, min_bits) if motif is not None else _bed_sites(str(sites))
    rows = []
    for path in archives:
        with ArchiveReader(path) as reader:
            for target, name in enumerate(reader.target_names):
                result = agreement(
                    reader, source, min_score=float("-inf") if min_score is None else min_score, target=target
                )
                rows.append({"archive": path.stem, "target": printable(name), **dataclasses.asdict(result)})
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        click.echo(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))


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

    def masks(reader: object, rows: slice) -> object:
        windows = reader.windows(rows)  # type: ignore[attr-defined]
        return np.stack([intervals.mask(w.chrom, w.start, w.end - w.start) for w in windows])

    return masks  # type: ignore[return-value]
