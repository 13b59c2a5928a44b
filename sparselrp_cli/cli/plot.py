"""`sparselrp plot`: a figure of one stretch."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.loading import loading
from sparselrp_cli.cli.models import model_option
from sparselrp_cli.cli.options import log_options, start_log, target_option
from sparselrp_cli.cli.values import FileName, OutputFile
from sparselrp_cli.errors import printable
from sparselrp_cli.model.request import ModelRequest

if TYPE_CHECKING:
    from sparselrp_cli.relevance.windows import KeptLayer
    from sparselrp_cli.report.plotting import PlotRequest

_MOST_PIXELS = 30_000
_NUMBER = r"(\d+\.?\d*|\.\d+)"


class Size(click.ParamType[tuple[float, float]]):
    """Inches, as in ``9x3``."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = re.fullmatch(rf"{_NUMBER}\s*[xX×]\s*{_NUMBER}", str(value), re.ASCII)
        if found is None or not all(0.5 <= float(side) <= 100 for side in found.groups()):
            self.fail(f"'{value}' isn't width x height in inches, from 0.5 to 100, as in 9x3", param, ctx)
        return float(found[1]), float(found[2])


class Limits(click.ParamType[tuple[float, float]]):
    """Two numbers, as in ``-0.1,0.5``."""

    name = "LOW,HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = re.fullmatch(rf"([+-]?{_NUMBER}(e[+-]?\d+)?),([+-]?{_NUMBER}(e[+-]?\d+)?)", str(value))
        low, high = (float(found[1]), float(found[4])) if found is not None else (0.0, 0.0)
        if not low < high or low - low != 0 or high - high != 0:
            self.fail(f"'{value}' isn't two numbers, the smaller first, as in -0.1,0.5", param, ctx)
        return low, high


@click.command(
    cls=Grouped,
    short_help="A figure of one stretch: letters as high as their relevance.",
)
@click.argument("archive", type=click.Path(path_type=Path), metavar="PREFIX.h5")
@click.argument("place", metavar="PLACE")
@click.option(
    "-o", "--output", "path", required=True, type=OutputFile(), metavar="FILE",
    help="What to write: .svg, .png or .pdf.",
)  # fmt: skip
@target_option
@click.option(
    "--with", "others", multiple=True, type=click.Path(path_type=Path), metavar="OTHER.h5",
    help="Another archive of the same stretch, in a row below to the same scale, such as the unpruned one."
    " Repeatable.",
)  # fmt: skip
@click.option(
    "--bigwig", "bigwigs", multiple=True, type=click.Path(path_type=Path), metavar="FILE.bw",
    help="Measured values, such as coverage, in a row below to a scale of its own. Repeatable.",
)  # fmt: skip
@click.option(
    "--genes", type=FileName(), metavar="GTF|BED12",
    help="Genes in a row below: exons, high where coding, strand and name. PLACE may then be one of them.",
)  # fmt: skip
@click.option(
    "--hits", "beds", multiple=True, type=FileName(), metavar="BED",
    help="Hits of motifs, such as PREFIX.hits.bed, or other regions, in a row below. Repeatable.",
)  # fmt: skip
@click.option(
    "--highlight", "highlights", multiple=True, metavar="START-END",
    help="Shade a stretch in all rows; positions as in PLACE. Repeatable.",
)  # fmt: skip
@click.option(
    "--size", type=Size(), metavar="WxH", help="Of the figure, in inches.  [default: 9 x what the rows need]"
)
@click.option(
    "--dpi", type=click.IntRange(30, 1200), default=200, show_default=True, metavar="N",
    help="Pixels an inch of a .png; of all formats the finest step of a stretch too long for letters.",
)  # fmt: skip
@click.option(
    "--limits", type=Limits(), metavar="LOW,HIGH",
    help="Scale of the contributions.  [default: what they need]",
)  # fmt: skip
@partial(
    model_option,
    help="The model that the archives are of: draw, and print, how many neurons of each layer pruning keeps"
    " in the window whose centre is nearest.",
)
@log_options
@click.pass_context
def plot(
    context: click.Context, /, archive: Path, place: str, path: Path, target: str | None,
    others: tuple[Path, ...], bigwigs: tuple[Path, ...], genes: str | None, beds: tuple[str, ...],
    highlights: tuple[str, ...], size: tuple[float, float] | None, dpi: int,
    limits: tuple[float, float] | None, model: ModelRequest | None, quiet: bool,
) -> None:  # fmt: skip
    """Draw the contributions of a stretch of a chromosome, or of a FASTA record.

    PLACE is chrom:start-end, the name of a window, a gene of --genes, or a whole record. Positions are
    counted from 1 and both are included, as genome browsers write them; commas are allowed. Where letters
    couldn't be read, an outline shows the smallest and the largest value of each pixel.

    \b
    Examples:
      sparselrp plot out/suhw.h5 chr2R:15,007,120-15,007,220 -o site.svg --with out/unpruned.h5
      sparselrp plot out/suhw.h5 CG4266 --genes dm3.gtf.gz --hits out/suhw.hits.bed -o gene.png
      sparselrp plot out/p0.h5 chr2R:15,007,120-15,007,220 --with out/p0.25.h5 -m MODEL -o depth.svg
    """
    start_log(context, quiet=quiet)
    if size is not None and max(size) * dpi > _MOST_PIXELS:
        raise click.UsageError(f"--size and --dpi make over {_MOST_PIXELS:,} pixels; lower one of them")
    import logging

    with loading("Matplotlib"):
        from sparselrp_cli.report.plotting import PlotRequest, draw_request, locate, require_ending, save

    require_ending(path)
    located = locate(archive, place, genes)
    archives = (archive, *others)
    request = PlotRequest(archives, located, target, bigwigs, genes, beds, highlights, size, dpi, limits)
    kept = {} if model is None else _kept(request, model)
    save(draw_request(request, {file: _shares(layers) for file, layers in kept.items()}), path, dpi)
    if any(kept.values()):
        click.echo(_table(kept))
    logging.getLogger("sparselrp").info("wrote %s", path)


def _kept(request: "PlotRequest", model: ModelRequest) -> "dict[Path, Sequence[KeptLayer]]":
    """Count the neurons that pruning keeps, with PyTorch, which other figures do without."""
    with loading("PyTorch"):
        from sparselrp_cli.evaluation.kept_layers import kept_layers
        from sparselrp_cli.graph.loaded import load_model
        from sparselrp_cli.outputs.archive import ArchiveReader

    loaded = load_model(model)
    kept: dict[Path, Sequence[KeptLayer]] = {}
    for file in request.archives:
        with ArchiveReader(file) as reader:
            number = reader.target_number(request.target)
            kept[file] = kept_layers(reader, loaded, *request.place, number)
    return kept


def _shares(layers: "Sequence[KeptLayer]") -> list[float]:
    return [layer.kept / layer.neurons for layer in layers]


def _table(kept: "Mapping[Path, Sequence[KeptLayer]]") -> str:
    """Write the kept neurons, a line for each layer, tab-separated."""
    pruned = {file: layers for file, layers in kept.items() if layers}
    lines = [("tensor", "neurons", *(printable(file.stem) for file in pruned))]
    for layers in zip(*pruned.values(), strict=True):
        lines.append((layers[0].tensor, str(layers[0].neurons), *(str(layer.kept) for layer in layers)))
    return "\n".join(map("\t".join, lines))
