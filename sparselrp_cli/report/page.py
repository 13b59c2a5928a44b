"""The report: one page that opens offline."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from sparselrp_cli import __version__
from sparselrp_cli.errors import printable
from sparselrp_cli.files.atomic import replacing, require_other_file
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.report import content
from sparselrp_cli.report.beside import motifs_of, skipped_of, unpruned_of
from sparselrp_cli.report.figures import (
    Span,
    Track,
    as_data,
    draw_histogram,
    draw_motif,
    draw_profile,
    draw_tracks,
)
from sparselrp_cli.settings.manifest import read_manifest
from sparselrp_cli.settings.run import WARN_ABOVE


@dataclass(frozen=True)
class ReportOptions:
    """What to report on.

    Attributes
    ----------
    archive, output : Path
    target : str or None
    motifs : Path or None
        ``PREFIX.motifs.json``, hits beside it; None is what lies beside the archive, if it is of it.
    unpruned : Path or None
        Archive of the same windows without pruning; None as for `motifs`.
    n_windows : int
        How many are shown in letters.
    """

    archive: Path
    output: Path
    target: str | None
    motifs: Path | None
    unpruned: Path | None
    n_windows: int


def write_report(options: ReportOptions) -> None:
    """Write the page: self-contained, the same bytes for the same files.

    Raises
    ------
    InputError, OutputError
    """
    require_other_file(options.output, options.archive)
    motifs, hits = motifs_of(options.archive, options.motifs) or (None, {})
    with ArchiveReader(options.archive) as reader, unpruned_of(reader, options.unpruned) as unpruned:
        target = reader.target_number(options.target)
        page = _environment().from_string(_template()).render(
            **_summary(reader, target, options.archive),
            motifs=motifs and [_motif(m) for m in motifs["motifs"]],
            motif_counts=motifs and motifs["counts"],
            nulls=motifs and motifs["null"],
            has_database=bool(motifs and "database" in motifs["settings"]),
            windows=[
                _window(w, hits)
                for w in content.top_windows(reader, unpruned, target, options.n_windows)
            ],
            has_unpruned=unpruned is not None,
            profile=_profile(reader, target, hits),
        )  # fmt: skip
    with replacing(options.output) as hidden:
        hidden.write_text(page, encoding="utf-8", errors="replace", newline="\n")


def _summary(reader: ArchiveReader, target: int, archive: Path) -> dict[str, Any]:
    accounts = content.read_accounts(reader, target)
    manifest = read_manifest(reader)
    worst = float(accounts.conservation_error.max(initial=0.0))
    header, rows, n_skipped = skipped_of(reader)
    histograms = []
    if reader.n_windows:
        histograms = [
            ("How the scores are distributed", as_data(draw_histogram(accounts.score, "score"))),
            (
                "How many bases got exactly zero",
                as_data(draw_histogram(100 * accounts.zero_share, "% of bases exactly zero")),
            ),
            (
                "How well relevance is conserved",
                as_data(
                    draw_histogram(
                        accounts.conservation_error, "log10 of the conservation error", logarithmic=True
                    )
                ),
            ),
        ]
    return {
        "version": __version__,
        "title": archive.stem,
        "target": printable(reader.target_names[target]),
        "n_windows": reader.n_windows,
        "window_length": reader.window_length,
        "model": ", ".join(map(printable, manifest.model_names)),
        "prune": manifest.settings.prune,
        "composite": manifest.settings.composite,
        "zero_share": 100 * float(accounts.zero_share.mean()) if reader.n_windows else 0.0,
        "mean_score": float(accounts.score.mean()) if reader.n_windows else 0.0,
        "worst_error": worst,
        "is_conserved": worst <= WARN_ABOVE,
        "n_skipped": n_skipped,
        "skipped_header": header,
        "skipped": rows,
        "histograms": histograms,
    }


def _motif(record: dict[str, Any]) -> dict[str, Any]:
    figure = draw_motif(np.array(record["pfm"], np.float64), np.array(record["cwm"], np.float64))
    return {**record, "figure": as_data(figure)}


def _window(top: content.TopWindow, hits: dict[str, list[Span]]) -> dict[str, Any]:
    end = top.start + len(top.pruned)
    spans = [
        Span(max(s.start, top.start) + 1, min(s.end, end) + 1, s.label)
        for s in hits.get(top.window.chrom, [])
        if s.start < end and s.end > top.start
    ]
    tracks = [Track("pruned" if top.unpruned is not None else "relevance", top.pruned)]
    if top.unpruned is not None:
        tracks.append(Track("unpruned", top.unpruned))
    figure = draw_tracks(
        tracks, top.start + 1, spans=spans, axis=f"position on {printable(top.window.chrom)}", wide=6.5
    )
    return {
        "name": printable(top.window.name),
        "place": f"{printable(top.window.chrom)}:{top.window.start + 1:,}-{top.window.end:,}",
        "score": top.score,
        "relevance": top.relevance,
        "zero_share": 100 * top.zero_share,
        "hits": [span.label for span in spans],
        "figure": as_data(figure),
    }


def _profile(reader: ArchiveReader, target: int, hits: dict[str, list[Span]]) -> str | None:
    if not reader.n_windows:
        return None
    length = reader.window_length
    distance = (np.arange(length) + 0.5 - length / 2).astype(np.float64)
    distances = content.hit_distances(reader, hits)
    return as_data(draw_profile(distance, content.mean_profile(reader, target), distances))


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["of"] = lambda count, one, several: f"{count:,} {one if count == 1 else several}"
    environment.filters["short"] = lambda value: f"{value:.3g}"
    return environment


def _template() -> str:
    return files("sparselrp_cli.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
