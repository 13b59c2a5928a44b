"""The page of a comparison: what differs between runs, with each pair's maps one above the other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from sparselrp_cli import __version__
from sparselrp_cli.comparison.found import Measured, OfMotif, Pair
from sparselrp_cli.comparison.matching import Doubles, Indices, Shared, contributions
from sparselrp_cli.comparison.members import Member
from sparselrp_cli.comparison.sites import Sites
from sparselrp_cli.errors import printable
from sparselrp_cli.evaluation.intervals import Interval
from sparselrp_cli.outputs.archive.rows import Bases
from sparselrp_cli.report.drawing import Span, draw_maps
from sparselrp_cli.report.embedding import codes, packed, packed_bytes, quantised, rounded
from sparselrp_cli.report.frame import render
from sparselrp_cli.report.windows import (
    KINDS,
    LETTER_BYTES,
    SHORT,
    doubtful,
    places,
    read_accounts,
    read_ends,
)
from sparselrp_cli.settings.manifest import other_explanation, read_manifest

MOST_DRAWN, MOST_MOTIFS = 4, 50
"""Windows in letters for each pair without a script, and motifs in its table."""
STRETCH, MUCH = 60, 0.5
"""Of a window: bases that are drawn, and the share beyond which the page says that it differs much."""
_LONGEST_LABEL = 14
COLUMNS = (
    "score_a", "score_b", "score_difference", "correlation", "differing_share", "span_start",
    "span_difference",
)  # fmt: skip
"""What the table has of each window, for each pair."""
SAID_OF = {
    "correlation": "Correlation of the maps",
    "differing_share": "Share of relevance that differs",
    "score_difference": "Score, difference",
    "mass_difference": "Relevance in all, difference",
}

UNITS = ("mass_difference",)
"""What is 0 by its definition where each run has its own unit."""


@dataclass(frozen=True, eq=False)
class Compared:
    """All that the page is of.

    Attributes
    ----------
    members : sequence of Member
    shared : Shared
    units : sequence of float
        What the contributions of each run are divided by.
    sites : Sites or None
    measured : Measured
    pairs : sequence of Pair
    files : sequence of Path
        Beside the page.
    """

    members: Sequence[Member]
    shared: Shared
    units: Sequence[float]
    sites: Sites | None
    measured: Measured
    pairs: Sequence[Pair]
    files: Sequence[Path]

    def read(self, block: slice) -> tuple[Bases, Doubles]:
        """Read some shared windows: bases, (n, 4, L), and contributions by the units, (runs, n, L)."""
        first, start = self.members[0], self.shared.start[0]
        one_hot, _ = first.reader.read(self.shared.rows[0][block], first.target)
        read = [contributions(m, self.shared, i, block) for i, m in enumerate(self.members)]
        maps: Doubles = np.stack(read) / np.asarray(self.units)[:, np.newaxis, np.newaxis]
        return one_hot[:, :, start : start + self.shared.length], maps


def page_of(compared: Compared, output: Path, title: str, normalise: str, span: int) -> str:
    """Write the page of a comparison.

    Parameters
    ----------
    compared : Compared
    output : Path
        Where it will be.
    title : str
    normalise : str
        As it was asked for.
    span : int
        In bp: how long the stretch is whose difference was looked for.
    """
    span = min(span, compared.shared.length)
    labels = [printable(member.label) for member in compared.members]
    most = _most_different(compared)
    wanted = np.sort(most[: LETTER_BYTES // (len(labels) * packed_bytes(compared.shared.length))])
    doubt = _doubts(compared)
    data = {
        "windows": {
            **places(compared.members[0].reader, compared.shared.rows[0], compared.shared.start[0]),
            "length": compared.shared.length,
            "doubt": doubt.tolist(),
        },
        "labels": labels,
        "doubts": [SHORT[kind] for kind in KINDS],
        "pairs": [{name: rounded(c[name]) for name in COLUMNS} for c in compared.measured.columns],
        "span": span,
        "sites": _site_columns(compared),
        "letters": _letters(compared, wanted),
        "archives": [printable(member.reader.path.name) for member in compared.members],
    }
    values = {
        "version": __version__,
        "title": printable(title),
        "labels": labels,
        "n_windows": len(compared.shared),
        "length": compared.shared.length,
        "n_lettered": len(wanted),
        "other_sequence": compared.shared.other_sequence,
        "normalise": normalise,
        "span": span,
        "n_doubtful": int((doubt > 0).sum()),
        "has_sites": compared.sites is not None,
        "runs": [_run(compared, i) for i in range(len(labels))],
        "pairs": [_pair(compared, i, span) for i in range(len(labels) - 1)],
        "said_of": {name: said for name, said in SAID_OF.items() if normalise == "none" or name not in UNITS},
        "files": [_address(file, output) for file in compared.files],
    }
    return render("compare.html.jinja", "compare.js", data, values)


def _most_different(compared: Compared) -> Indices:
    """Give the windows by the largest share that differs in any pair, the most different first."""
    share = np.max([np.nan_to_num(c["differing_share"], nan=-1.0) for c in compared.measured.columns], axis=0)
    return np.argsort(-share, kind="stable")


def _doubts(compared: Compared) -> Indices:
    """Give the reasons to doubt a window in any run, as bits by `KINDS`; ends are of its own windows."""
    bits = np.zeros(len(compared.shared), np.int64)
    for number, member in enumerate(compared.members):
        rows = compared.shared.rows[number]
        accounts = read_accounts(member.reader, member.target)
        edge = read_ends(member.reader, member.target, rows)
        bits |= (2 ** np.arange(len(KINDS)) @ doubtful(accounts, edge))[rows]
    return bits


def _site_columns(compared: Compared) -> dict[str, Any] | None:
    if compared.sites is None:
        return None
    names = sorted(set(compared.sites.motif))
    number = {name: i for i, name in enumerate(names)}
    return {
        "names": [printable(name) for name in names],
        "motif": [number[name] for name in compared.sites.motif],
        "row": compared.sites.window.tolist(),
        "start": compared.sites.start.tolist(),
        "end": compared.sites.end.tolist(),
        "sums": [rounded(values) for values in compared.measured.at_sites],
    }


def _letters(compared: Compared, wanted: Indices) -> list[list[Any]]:
    """Give row, bases, and a step and values for each run, of the wanted windows; see `embedding`."""
    letters: list[list[Any]] = []
    for block in compared.shared.blocks():
        rows = wanted[(wanted >= block.start) & (wanted < block.stop)]
        if not len(rows):
            continue
        bases, maps = compared.read(block)
        for row in rows.tolist():
            i = row - block.start
            values = [list(quantised(run)) for run in maps[:, i]]
            letters.append([row, packed(codes(bases[i])), *values])
    return letters


def _run(compared: Compared, number: int) -> dict[str, Any]:
    """Say what a run is, and how it was explained."""
    member = compared.members[number]
    manifest = read_manifest(member.reader)
    first = read_manifest(compared.members[0].reader)
    return {
        "label": printable(member.label),
        "file": printable(member.reader.path.name),
        "model": ", ".join(map(printable, manifest.model_names)),
        "target": printable(member.target_name),
        "composite": manifest.settings.composite,
        "prune": manifest.settings.prune,
        "inputs": ", ".join(printable(entry.file) for entry in manifest.inputs.values()),
        "windows": member.reader.n_windows,
        "only": compared.shared.only[number],
        "scale": compared.shared.scale[number],
        "unlike": printable(other_explanation(first, manifest)) if number else "",
    }


def _pair(compared: Compared, number: int, span: int) -> dict[str, Any]:
    """Say what differs between the first run and another."""
    said, columns = compared.pairs[number], compared.measured.columns[number]
    share = columns["differing_share"]
    unlike = other_explanation(*(read_manifest(compared.members[i].reader) for i in (0, number + 1)))
    order = np.argsort(-np.nan_to_num(share, nan=-1.0), kind="stable")[:MOST_DRAWN]
    return {
        "a": printable(compared.members[0].label),
        "b": printable(compared.members[number + 1].label),
        "means": {name: _said(found) for name, found in said.means.items()},
        "motifs": [_motif(motif) for motif in said.motifs[:MOST_MOTIFS]],
        "n_motifs": len(said.motifs),
        "n_differing": int((share > MUCH).sum()),
        "is_other_model": unlike == "another model",
        "figures": [_figure(compared, number, int(row), span) for row in order],
    }


def _said(found: Interval) -> dict[str, Any]:
    """Give a mean with its interval, and which way it can be told to go: 1, -1, or 0 where it can't."""
    way = 1 if found.low > 0 else -1 if found.high < 0 else 0
    return {"mean": found.mean, "low": found.low, "high": found.high, "windows": found.windows, "way": way}


def _motif(motif: OfMotif) -> dict[str, Any]:
    return {
        "name": printable(motif.motif),
        "hits_a": motif.hits_a,
        "hits_b": motif.hits_b,
        "places": motif.places,
        "mean_a": motif.mean_a,
        "mean_b": motif.mean_b,
        "difference": _said(motif.difference),
    }


def _figure(compared: Compared, number: int, row: int, span: int) -> dict[str, Any]:
    """Draw the stretch that differs most of a window: the first run, the other, and their difference."""
    columns, length = compared.measured.columns[number], compared.shared.length
    (window,) = compared.members[0].reader.windows(compared.shared.rows[0][row : row + 1])
    start = window.start + compared.shared.start[0]
    middle = int(columns["span_start"][row]) + span // 2
    first = min(max(0, middle - STRETCH // 2), max(0, length - STRETCH))
    shown = slice(first, first + STRETCH)
    one_hot, read = compared.read(slice(row, row + 1))
    bases, maps = one_hot[0], read[:, 0]
    tracks = {
        compared.members[0].label: maps[0],
        compared.members[number + 1].label: maps[number + 1],
        "difference": maps[number + 1] - maps[0],
    }
    rows = [(_short(name), (bases * values)[:, shown].T) for name, values in tracks.items()]
    label = f"Both maps and their difference in {printable(window.name)}"
    return {
        "row": row,
        "name": printable(window.name),
        "place": f"{printable(window.chrom)}:{start + 1:,}-{start + length:,}",
        "share": 100 * float(columns["differing_share"][row]),
        "scores": [float(columns[name][row]) for name in ("score_a", "score_b")],
        "figure": draw_maps(rows, start + first + 1, label, _spans(compared, row, start, shown)),
    }


def _spans(compared: Compared, row: int, start: int, shown: slice) -> list[Span]:
    """Give the places of motifs in the part of a window that is shown."""
    sites = compared.sites
    if sites is None:
        return []
    return [
        Span(start + max(int(first), shown.start) + 1, start + min(int(last), shown.stop) + 1, motif)
        for window, first, last, motif in zip(sites.window, sites.start, sites.end, sites.motif, strict=True)
        if window == row and first < shown.stop and last > shown.start
    ]


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"


def _address(file: Path, page: Path) -> tuple[str, str]:
    """Give the address of a file from the page on, and its name."""
    address = Path(os.path.relpath(file.resolve(), page.resolve().parent)).as_posix()
    return f"./{quote(os.fsencode(address))}", printable(file.name)
