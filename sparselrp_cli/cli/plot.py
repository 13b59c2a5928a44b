"""`sparselrp plot`: a figure of one stretch."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.models import model_option
from sparselrp_cli.cli.options import log_options, say_step, start_log, target_option
from sparselrp_cli.cli.values import OutputFile
from sparselrp_cli.errors import printable
from sparselrp_cli.model.request import ModelRequest

if TYPE_CHECKING:
    from sparselrp_cli.relevance.windows import KeptLayer


@click.command(
    cls=Grouped,
    short_help="A figure of one stretch: letters as high as their relevance.",
)
@click.argument("archive", type=click.Path(path_type=Path), metavar="PREFIX.h5")
@click.argument("place", metavar="CHROM:START-END")
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
@partial(
    model_option,
    help="The model that the archives are of: draw, and print, how many neurons of each layer pruning keeps"
    " in the window whose centre is nearest.",
)
@log_options
@click.pass_context
def plot(
    context: click.Context, /, archive: Path, place: str, path: Path, target: str | None,
    others: tuple[Path, ...], model: ModelRequest | None, quiet: bool,
) -> None:  # fmt: skip
    """Draw the contributions of a stretch of a chromosome, or of a FASTA record.

    Positions are counted from 1 and both are included, as genome browsers write them; commas are allowed.

    \b
    Examples:
      sparselrp plot out/suhw.h5 chr2R:15,007,120-15,007,220 -o site.svg --with out/unpruned.h5
      sparselrp plot out/p0.h5 chr2R:15,007,120-15,007,220 --with out/p0.25.h5 -m MODEL -o depth.svg
    """
    start_log(context, quiet=quiet)
    import logging

    say_step("loading PyTorch and Matplotlib")
    from sparselrp_cli.evaluation.kept_layers import kept_layers
    from sparselrp_cli.graph.loaded import load_model
    from sparselrp_cli.outputs.archive import ArchiveReader
    from sparselrp_cli.outputs.locus import parse_place, read_stretch
    from sparselrp_cli.report.figures import Track, draw_tracks, save

    chrom, start, end = parse_place(place)
    loaded = None if model is None else load_model(model)
    tracks, kept = [], {}
    for file in (archive, *others):
        with ArchiveReader(file) as reader:
            number = reader.target_number(target)
            found = read_stretch(reader, chrom, start, end, number)
            if loaded is not None:
                kept[file] = kept_layers(reader, loaded, chrom, start, end, number)
        shares = [layer.kept / layer.neurons for layer in kept[file]] if file in kept else None
        tracks.append(Track(file.stem if others else "relevance", found.contributions, shares))
    save(draw_tracks(tracks, start + 1, axis=f"position on {chrom}"), path)
    if any(kept.values()):
        click.echo(_table(kept))
    logging.getLogger("sparselrp").info("wrote %s", path)


def _table(kept: "Mapping[Path, Sequence[KeptLayer]]") -> str:
    """Write the kept neurons, a line for each layer, tab-separated."""
    pruned = {file: layers for file, layers in kept.items() if layers}
    lines = [("tensor", "neurons", *(printable(file.stem) for file in pruned))]
    for layers in zip(*pruned.values(), strict=True):
        lines.append((layers[0].tensor, str(layers[0].neurons), *(str(layer.kept) for layer in layers)))
    return "\n".join(map("\t".join, lines))
