"""What `sparselrp plot` does: a place is found, everything that lies there is read and drawn."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sparselrp_cli.errors import number_of, printable
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.locus import find_place, parse_span, read_stretch
from sparselrp_cli.report.figures import Track, require_ending, save
from sparselrp_cli.report.signals import read_signal
from sparselrp_cli.report.stretch import WIDE, Annotation, Rows, Shape, Signal, draw_stretch
from sparselrp_cli.sequences.features import read_features
from sparselrp_cli.sequences.text import display_name

__all__ = ["PlotRequest", "draw_request", "locate", "require_ending", "save"]

logger = logging.getLogger("sparselrp")

Place = tuple[str, int, int]


@dataclass(frozen=True)
class PlotRequest:
    """What to draw.

    Attributes
    ----------
    archives : tuple of Path
        A row each, from above.
    place : (str, int, int)
        Chromosome, start and end, 0-based half-open.
    target : str or None
    bigwigs : tuple of Path
    genes : str or None
        A GTF or BED12.
    beds : tuple of str
    highlights : tuple of str
        As they are typed.
    size : (float, float) or None
        Inches.
    dpi : int
    limits : (float, float) or None
        Of the contributions.
    """

    archives: tuple[Path, ...]
    place: Place
    target: str | None = None
    bigwigs: tuple[Path, ...] = ()
    genes: str | None = None
    beds: tuple[str, ...] = ()
    highlights: tuple[str, ...] = ()
    size: tuple[float, float] | None = None
    dpi: int = 200
    limits: tuple[float, float] | None = None


def locate(archive: Path, text: str, genes: str | None) -> Place:
    """Find a place of an archive, see `find_place`.

    Raises
    ------
    InputError, OutputError
    """
    with ArchiveReader(archive) as reader:
        return find_place(reader, text, genes)


def draw_request(request: PlotRequest, kept: Mapping[Path, Sequence[float]]) -> Figure:
    """Read what lies at a place, and draw it.

    Parameters
    ----------
    request : PlotRequest
    kept : mapping
        Of archives whose kept neurons are drawn: the share of each layer.

    Raises
    ------
    InputError, OutputError
    """
    chrom, start, end = request.place
    wide, high = request.size or (WIDE, None)
    spans = tuple(parse_span(text, chrom) for text in request.highlights)
    rows = Rows(
        [_track(request, file, kept.get(file)) for file in request.archives],
        [Signal(printable(f.stem), read_signal(f, chrom, start, end)) for f in request.bigwigs],
        [_annotation(request, file) for file in (*filter(None, [request.genes]), *request.beds)],
    )
    _say_what_is_cut(rows.tracks, request.limits)
    shape = Shape(wide, high, request.dpi, request.limits, spans)
    figure, unnamed = draw_stretch(rows, printable(chrom), start, shape)
    if unnamed:
        names = number_of(unnamed, "name has", "names have")
        logger.warning("%s no room; draw a shorter stretch, or a wider figure", names)
    return figure


def _track(request: PlotRequest, file: Path, kept: Sequence[float] | None) -> Track:
    with ArchiveReader(file) as reader:
        found = read_stretch(reader, *request.place, reader.target_number(request.target))
    return Track(printable(file.stem), found.contributions, kept)


def _annotation(request: PlotRequest, file: str) -> Annotation:
    features = read_features(file, *request.place)
    name = printable(display_name(file))
    if not features:
        chrom, start, end = request.place
        logger.warning("%s has nothing at %s:%d-%d", name, chrom, start + 1, end)
    return Annotation(name, features)


def _say_what_is_cut(tracks: Sequence[Track], limits: tuple[float, float] | None) -> None:
    """Say how many bases are higher or lower than the scale that was asked for."""
    if limits is None:
        return
    for track in tracks:
        values = np.nan_to_num(track.contributions).sum(axis=1)
        beyond = int(((values < limits[0]) | (values > limits[1])).sum())
        if beyond:
            bases = number_of(beyond, "base lies", "bases lie")
            logger.warning("%s: %s beyond --limits", track.label, bases)
