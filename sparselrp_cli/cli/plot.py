"""`sparselrp plot`: a figure of one stretch."""

from pathlib import Path

import click

from sparselrp_cli.cli.options import log_options, start_log, target_option
from sparselrp_cli.cli.values import OutputFile


@click.command(short_help="A figure of one stretch: letters as high as their relevance.")
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
@log_options
@click.pass_context
def plot(
    context: click.Context, archive: Path, place: str, path: Path, target: str | None,
    others: tuple[Path, ...], quiet: bool,
) -> None:  # fmt: skip
    """Draw the contributions of a stretch of a chromosome, or of a FASTA record.

    Positions are counted from 1 and both are included, as genome browsers write them; commas are allowed.

    \b
    Example:
      sparselrp plot out/suhw.h5 chr2R:15,007,120-15,007,220 -o site.svg --with out/unpruned.h5
    """
    start_log(context, quiet=quiet)
    import logging

    from sparselrp_cli.outputs.archive import ArchiveReader
    from sparselrp_cli.outputs.locus import parse_place, read_stretch
    from sparselrp_cli.report.figures import Track, draw_tracks, save

    chrom, start, end = parse_place(place)
    tracks = []
    for file in (archive, *others):
        with ArchiveReader(file) as reader:
            found = read_stretch(reader, chrom, start, end, reader.target_number(target))
        tracks.append(Track(file.stem if others else "relevance", found.contributions))
    save(draw_tracks(tracks, start + 1, axis=f"position on {chrom}"), path)
    logging.getLogger("sparselrp").info("wrote %s", path)
