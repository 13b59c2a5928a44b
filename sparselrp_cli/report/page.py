"""The report: one page that opens offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparselrp_cli import __version__
from sparselrp_cli.errors import printable
from sparselrp_cli.files.atomic import replacing, require_other_file
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Doubles
from sparselrp_cli.outputs.choices import WARN_ABOVE
from sparselrp_cli.report import content
from sparselrp_cli.report.beside import command_of, downloads_of, motifs_of, skipped_of, unpruned_of
from sparselrp_cli.report.drawing import draw_maps
from sparselrp_cli.report.figures import as_data, draw_histogram, draw_profile
from sparselrp_cli.report.frame import render
from sparselrp_cli.report.genes import gene_columns, gene_text, genes_of_windows
from sparselrp_cli.report.hits import Hit, WindowHits, hits_of_windows, nearest_distances
from sparselrp_cli.report.motif_rows import motif_row, pair_row, share_in_hits, shown_names
from sparselrp_cli.report.pairs import PERMUTATIONS, pairs_of
from sparselrp_cli.report.windows import (
    EDGE,
    EDGE_SHARE,
    FAR,
    LEAST_SCORES,
    SHORT,
    Accounts,
    Maps,
    doubtful,
    doubts,
    hit_columns,
    lettered,
    read_accounts,
    read_maps,
    table,
    unpruned_letters,
)
from sparselrp_cli.settings.manifest import Manifest, read_manifest


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
    genes : str or None
        A GTF or BED of genes to show with the windows.
    """

    archive: Path
    output: Path
    target: str | None
    motifs: Path | None
    unpruned: Path | None
    n_windows: int
    genes: str | None = None


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
        accounts = read_accounts(reader, target)
        wanted = lettered(accounts, reader.window_length, 1 if unpruned is None else 2)
        maps = read_maps(reader, target, wanted)
        records = motifs["motifs"] if motifs else []
        found = hits_of_windows(reader, hits, [record["name"] for record in records])
        genes = genes_of_windows(reader, options.genes) if options.genes else None
        data = {
            "windows": table(reader, accounts, maps.edge),
            "hits": hit_columns(found, reader),
            "motifs": shown_names(records, found),
            "doubts": list(SHORT.values()),
            "letters": maps.letters,
            "unpruned": unpruned_letters(reader, unpruned, target, wanted) if unpruned else [],
            "genes": gene_columns(genes, wanted),
            "archive": printable(options.archive.name),
        }
        tops = content.top_windows(reader, unpruned, target, options.n_windows)
        values = {
            **_summary(reader, target, accounts, options.archive),
            **_doubts(reader, accounts, maps),
            **_of_motifs(motifs, found, reader, maps),
            "genes": genes and {"file": printable(genes.file), "number": len(genes.genes)},
            "n_lettered": len(maps.letters),
            "windows": [_window(w, hits, gene_text(genes, w.row)) for w in tops],
            "has_unpruned": unpruned is not None,
            "profile": _profile(reader, maps, hits),
            "downloads": downloads_of(reader.path, options.output, has_motifs=motifs is not None),
        }
        page = render("page.html.jinja", "report.js", data, values)
    with replacing(options.output) as hidden:
        hidden.write_text(page, encoding="utf-8", errors="replace", newline="\n")


def _summary(reader: ArchiveReader, target: int, accounts: Accounts, archive: Path) -> dict[str, Any]:
    manifest = read_manifest(reader)
    worst = float(accounts.conservation_error.max(initial=0.0))
    header, rows, n_skipped = skipped_of(reader)
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
        "mean_explained": 100 * float(accounts.explained.mean()) if reader.n_windows else 0.0,
        "worst_error": worst,
        "warn_above": WARN_ABOVE,
        "is_conserved": worst <= WARN_ABOVE,
        "n_skipped": n_skipped,
        "skipped_header": header,
        "skipped": rows,
        "histograms": _histograms(accounts),
        "inputs": _inputs(manifest),
        "command": command_of(reader),
        "has_genome": manifest.on_genome,
    }


def _histograms(accounts: Accounts) -> list[tuple[str, str]]:
    if not len(accounts.score):
        return []
    errors = draw_histogram(accounts.conservation_error, "log10 of the conservation error", logarithmic=True)
    return [
        ("How the scores are distributed", as_data(draw_histogram(accounts.score, "score"))),
        (
            "How many bases got exactly zero",
            as_data(draw_histogram(100 * accounts.zero_share, "% of bases exactly zero")),
        ),
        ("How well relevance is conserved", as_data(errors)),
    ]


def _inputs(manifest: Manifest) -> list[dict[str, Any]]:
    """Say which files went in; the manifest has no dates, by which equal runs would differ."""
    listed = [(role, entry) for role, entry in manifest.inputs.items()]
    listed += [("model", entry) for model in manifest.models for entry in model.files]
    return [
        {"role": role, "file": printable(entry.file), "bytes": entry.bytes, "sha256": entry.sha256}
        for role, entry in listed
    ]


def _doubts(reader: ArchiveReader, accounts: Accounts, maps: Maps) -> dict[str, Any]:
    """Give the windows that can't be trusted as the page lists them, and how many there are."""
    shown = []
    for doubt in doubts(accounts, maps.edge):
        windows = [
            {
                "row": int(row),
                "name": printable(window.name),
                "place": _place(window.chrom, window.start, window.end),
                "score": float(accounts.score[row]),
                "error": float(accounts.conservation_error[row]),
                "unknown": 100 * float(accounts.unknown[row]),
                "edge": 100 * float(maps.edge[row]),
            }
            for row, window in zip(doubt.rows.tolist(), reader.windows(doubt.rows), strict=True)
        ]
        shown.append(
            {"kind": doubt.kind, "count": doubt.count, "windows": windows, "short": SHORT[doubt.kind]}
        )
    return {
        "doubts": shown,
        "n_doubtful": int(doubtful(accounts, maps.edge).any(axis=0).sum()),
        "median_score": float(np.median(accounts.score)) if reader.n_windows else 0.0,
        "far": FAR,
        "least_scores": LEAST_SCORES,
        "edge_share": EDGE_SHARE,
        "edge_bp": max(1, round(EDGE * reader.window_length)),
    }


def _of_motifs(
    motifs: Mapping[str, Any] | None, found: WindowHits, reader: ArchiveReader, maps: Maps
) -> dict[str, Any]:
    """Give what the page says of the motifs and of their pairs."""
    records: Sequence[dict[str, Any]] = motifs["motifs"] if motifs else []
    names = shown_names(records, found)
    pairs = pairs_of(found, reader.n_windows)
    return {
        "motifs": motifs and [
            motif_row(record, names[number], found, number, reader.window_length)
            for number, record in enumerate(records)
        ],
        "shares": [
            share_in_hits(found, number, maps.mass[record["sign"] == "negative"])
            for number, record in enumerate(records)
        ],
        "n_without_hits": reader.n_windows - len(np.unique(found.row)),
        "motif_counts": motifs and motifs["counts"],
        "nulls": motifs and motifs["null"],
        "has_database": bool(motifs and "database" in motifs["settings"]),
        "pairs": [pair_row(pair, names, reader.window_length) for pair in pairs],
        "permutations": PERMUTATIONS,
    }  # fmt: skip


def _window(top: content.TopWindow, hits: dict[str, list[Hit]], genes: str) -> dict[str, Any]:
    end = top.start + len(top.pruned)
    spans = [
        hit.span(1, top.start, end)
        for hit in hits.get(top.window.chrom, [])
        if hit.start < end and hit.end > top.start
    ]
    tracks = [("pruned" if top.unpruned is not None else "relevance", top.pruned)]
    if top.unpruned is not None:
        tracks.append(("unpruned", top.unpruned))
    label = f"Relevance of each base of {printable(top.window.name)}"
    return {
        "name": printable(top.window.name),
        "place": _place(top.window.chrom, top.window.start, top.window.end),
        "score": top.score,
        "relevance": top.relevance,
        "zero_share": 100 * top.zero_share,
        "hits": [span.label for span in spans],
        "genes": genes,
        "figure": draw_maps(tracks, top.start + 1, label, spans),
    }


def _place(chrom: str, start: int, end: int) -> str:
    """Write a place as browsers do, counted from one."""
    return f"{printable(chrom)}:{start + 1:,}-{end:,}"


def _profile(reader: ArchiveReader, maps: Maps, hits: dict[str, list[Hit]]) -> str | None:
    if not reader.n_windows:
        return None
    length = reader.window_length
    distance: Doubles = (np.arange(length) + 0.5 - length / 2).astype(np.float64)
    return as_data(draw_profile(distance, maps.profile, nearest_distances(reader, hits)))
