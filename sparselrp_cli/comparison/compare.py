"""What `sparselrp compare` does from end to end."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparselrp_cli.comparison.found import Changed, Comparison, Measured, OfMotif, Pair
from sparselrp_cli.comparison.matching import Doubles, Shared, contributions, match
from sparselrp_cli.comparison.measures import measure
from sparselrp_cli.comparison.members import Member, opened
from sparselrp_cli.comparison.page import Compared, page_of
from sparselrp_cli.comparison.sites import Sites, find_sites, sums
from sparselrp_cli.comparison.track import SharedDifferences
from sparselrp_cli.errors import InputError, number_of
from sparselrp_cli.evaluation.intervals import interval
from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.belonging import clear_set
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.files.lock import locked
from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.outputs.tables import Table
from sparselrp_cli.outputs.tracks import write_bigwig
from sparselrp_cli.settings.manifest import read_manifest

logger = logging.getLogger("sparselrp")

VERSION = 1
"""Of the tables and of ``PREFIX.compare.json``."""
PLACE = ("chrom", "start", "end", "name", "strand", "a", "b")
MEASURES = (
    "score_a", "score_b", "score_difference", "mass_a", "mass_b", "mass_difference", "correlation",
    "differing_share", "span_start", "span_end", "span_difference",
)  # fmt: skip
ON_CHROM = ("span_start", "span_end")
MEANS = ("score_difference", "mass_difference", "correlation", "differing_share")
"""What the summary gives means of."""
OF_MOTIFS = (
    "a", "b", "motif", "hits_a", "hits_b", "places", "mean_a", "mean_b", "difference", "low", "high",
)  # fmt: skip
_MOST_DIFFERENT = 5


@dataclass(frozen=True)
class CompareOptions:
    """What to compare, and how.

    Attributes
    ----------
    runs : tuple of str
        Archives, or ``ARCHIVE@TARGET``; the first is what the others are compared with.
    prefix : Path
    target : str or None
        Of archives without one of their own.
    normalise : str
        ``mean``: contributions are divided by their mean magnitude in the shared windows of their run;
        ``none``: they stay as they are.
    span : int
        Of the largest difference, in bp.
    hits : tuple of str
        Files of hits, one for each run; empty for those beside the archives.
    overlap : str
        What a base covered by several windows gets in a track.
    seed : int
        Of the intervals.
    """

    runs: tuple[str, ...]
    prefix: Path
    target: str | None = None
    normalise: str = "mean"
    span: int = 20
    hits: tuple[str, ...] = ()
    overlap: str = "nearest-centre"
    seed: int = 0


def compare(options: CompareOptions) -> Comparison:
    """Compare runs on the windows that they share, and write what differs.

    In memory are a block of windows, and a few numbers for each window and each place of a motif.

    Parameters
    ----------
    options : CompareOptions

    Raises
    ------
    InputError, OutputError
    """
    with opened(options.runs, options.target) as members, locked(options.prefix):
        shared = match(members)
        _say_what_isnt_shared(members, shared)
        units = _units(options, members, shared)
        sites = find_sites(members, shared, options.hits)
        record, tracks = _path(options, "json"), _tracks(options, members)
        tables = ["tsv", "means.tsv", *(["motifs.tsv"] if sites is not None else [])]
        files = [*(_path(options, ending) for ending in tables), *tracks, _path(options, "html")]
        _clear(options, record, files)
        measured = _write_windows(options, members, shared, units, sites)
        pairs = _pairs(options, members, shared, sites, measured)
        _write_summaries(options, pairs, has_sites=sites is not None)
        for number, path in enumerate(tracks, 1):
            write_bigwig(SharedDifferences(members, shared, number, units), path, options.overlap)
        *others, page = files
        _write_page(page, options, Compared(members, shared, units, sites, measured, pairs, others))
        _write_record(record, options, members, shared, files)
    labels = tuple(member.label for member in members)
    of_all = labels, len(shared), shared.only, shared.other_sequence, tuple(pairs)
    return Comparison(*of_all, files=(*files, record))


def _path(options: CompareOptions, ending: str) -> Path:
    return options.prefix.with_name(f"{options.prefix.name}.compare.{ending}")


def _say_what_isnt_shared(members: Sequence[Member], shared: Shared) -> None:
    for member, only in zip(members, shared.only, strict=True):
        if only:
            logger.warning(
                "%s: %d of %d windows aren't in all runs, and left out",
                member.label, only, member.reader.n_windows,
            )  # fmt: skip
    if shared.other_sequence:
        windows = number_of(shared.other_sequence, "window has", "windows have")
        logger.warning("%s another sequence, and no part in this", windows)
    lengths = {member.reader.window_length for member in members}
    if len(lengths) > 1:
        logger.warning("the windows have %s bp; compared are the %d bp in their middle",
                       " and ".join(map(str, sorted(lengths))), shared.length)  # fmt: skip


def _units(options: CompareOptions, members: Sequence[Member], shared: Shared) -> list[float]:
    """Give what contributions are divided by, for each run."""
    if options.normalise == "none":
        return [1.0] * len(members)
    for member, scale in zip(members, shared.scale, strict=True):
        if scale == 0:
            raise InputError(
                f"{member.label} has no relevance in the shared windows, which gives it no unit; give"
                " --normalise none"
            )
    return list(shared.scale)


def _write_windows(
    options: CompareOptions, members: Sequence[Member], shared: Shared, units: Sequence[float],
    sites: Sites | None,
) -> Measured:  # fmt: skip
    """Write the table of windows; each run but the first has a line for each."""
    columns: list[dict[str, list[Doubles]]] = [{name: [] for name in MEASURES} for _ in members[1:]]
    at_sites: list[list[Doubles]] = [[] for _ in members]
    scores = [m.reader.column("score", m.target) for m in members]
    with Table(_path(options, "tsv"), (*PLACE, *MEASURES)) as table:
        for block in shared.blocks():
            maps = [contributions(m, shared, i, block) / units[i] for i, m in enumerate(members)]
            of_block = [scores[i][shared.rows[i][block]].astype(np.float64) for i in range(len(members))]
            lines = []
            for number, member in enumerate(members[1:], 1):
                names = members[0].label, member.label
                found = _numbers(maps[0], maps[number], of_block[0], of_block[number], options.span)
                for name in MEASURES:
                    columns[number - 1][name].append(found[name])
                lines.append((names, found))
            _write_block(table, members[0], shared, block, lines)
            if sites is not None:
                for found_at, values in zip(at_sites, maps, strict=True):
                    found_at.append(sums(values, sites, block))
    return Measured(
        [{name: np.concatenate(parts) for name, parts in c.items()} for c in columns],
        [np.concatenate([*parts, np.empty(0)]) for parts in at_sites],
    )


def _pairs(
    options: CompareOptions, members: Sequence[Member], shared: Shared, sites: Sites | None,
    measured: Measured,
) -> list[Pair]:  # fmt: skip
    """Say what differs between the first run and each other."""
    return [
        Pair(
            members[0].label,
            member.label,
            {name: interval(columns[name], options.seed) for name in MEANS},
            _most_different(members[0], shared, columns["differing_share"]),
            _of_motifs(sites, number, measured.at_sites, options.seed) if sites is not None else (),
        )
        for number, (member, columns) in enumerate(zip(members[1:], measured.columns, strict=True), 1)
    ]


def _numbers(a: Doubles, b: Doubles, score_a: Doubles, score_b: Doubles, span: int) -> dict[str, Any]:
    """Give the columns `MEASURES` of some windows, the span counted from their shared part."""
    found = measure(a, b, span)
    return {
        "score_a": score_a,
        "score_b": score_b,
        "score_difference": score_b - score_a,
        "mass_a": found.mass_a,
        "mass_b": found.mass_b,
        "mass_difference": found.mass_b - found.mass_a,
        "correlation": found.correlation,
        "differing_share": found.differing_share,
        "span_start": found.span_start,
        "span_end": found.span_start + min(span, a.shape[1]),
        "span_difference": found.span_difference,
    }


def _write_block(
    table: Table, first: Member, shared: Shared, block: slice,
    lines: Sequence[tuple[tuple[str, str], dict[str, Any]]],
) -> None:  # fmt: skip
    windows = first.reader.windows(shared.rows[0][block])
    for i, window in enumerate(windows):
        start = window.start + shared.start[0]
        place = window.chrom, str(start), str(start + shared.length), window.name, window.strand
        for names, found in lines:
            numbers = [_number(name, found[name][i], start) for name in MEASURES]
            table.write((*place, *names, *numbers))


def _number(name: str, value: Any, start: int) -> str:
    """Write a number of a window; a place in it becomes one on the chromosome."""
    return str(start + int(value)) if name in ON_CHROM else f"{value:.9g}"


def _most_different(first: Member, shared: Shared, share: Doubles) -> tuple[Changed, ...]:
    chosen = np.argsort(-np.nan_to_num(share, nan=-1.0), kind="stable")[:_MOST_DIFFERENT]
    found = []
    for i, window in zip(chosen, first.reader.windows(shared.rows[0][chosen]), strict=True):
        start = window.start + shared.start[0]
        place = f"{window.chrom}:{start + 1}-{start + shared.length}"
        found.append(Changed(place, window.name, float(share[i])))
    return tuple(found)


def _of_motifs(sites: Sites, number: int, at_sites: Sequence[Doubles], seed: int) -> tuple[OfMotif, ...]:
    """Compare what the first run and another give to the places of each motif."""
    a, b = at_sites[0], at_sites[number]
    motif = np.array(sites.motif, object)
    found = []
    for name in dict.fromkeys(sites.motif):
        hits_a, hits_b = sites.count(0, name), sites.count(number, name)
        if not (hits_a or hits_b):
            continue
        here = motif == name
        difference = interval(b[here] - a[here], seed)
        means = float(a[here].mean()), float(b[here].mean())
        found.append(OfMotif(name, hits_a, hits_b, int(here.sum()), *means, difference))
    return tuple(sorted(found, key=lambda m: (-abs(m.difference.mean), m.motif)))


def _write_summaries(options: CompareOptions, pairs: Sequence[Pair], *, has_sites: bool) -> None:
    """Write the means over windows, and the motifs where there are hits."""
    means, motifs = _path(options, "means.tsv"), _path(options, "motifs.tsv")
    with Table(means, ("a", "b", "measure", "windows", "mean", "low", "high")) as table:
        for pair in pairs:
            for name, found in pair.means.items():
                numbers = [f"{n:.9g}" for n in (found.mean, found.low, found.high)]
                table.write((pair.a, pair.b, name, str(found.windows), *numbers))
    if not has_sites:
        return
    with Table(motifs, OF_MOTIFS) as table:
        for pair in pairs:
            for m in pair.motifs:
                counts = ("nan" if n is None else str(n) for n in (m.hits_a, m.hits_b, m.places))
                d = m.difference
                numbers = [f"{n:.9g}" for n in (m.mean_a, m.mean_b, d.mean, d.low, d.high)]
                table.write((pair.a, pair.b, m.motif, *counts, *numbers))


def _tracks(options: CompareOptions, members: Sequence[Member]) -> list[Path]:
    """Name the track of each run but the first, where the windows are of a genome."""
    if not read_manifest(members[0].reader).on_genome:
        return []
    names = target_file_names([member.label for member in members[1:]])
    middles = [f"{name}." for name in names] if len(names) > 1 else [""]
    return [_path(options, f"{middle}bw") for middle in middles]


def _clear(options: CompareOptions, record: Path, files: Sequence[Path]) -> None:
    """Remove what a comparison before left under the prefix and this one doesn't write."""
    gone = clear_set(record, _path(options, "").name, [path.name for path in files])
    if gone:
        where = ", ".join(map(str, gone))
        logger.warning("removed, as they are of the comparison that was here before: %s", where)


def _write_page(path: Path, options: CompareOptions, compared: Compared) -> None:
    """Write the page on which all of it can be looked at."""
    page = page_of(compared, path, options.prefix.name, options.normalise, options.span)
    with replacing(path) as hidden:
        hidden.write_text(page, encoding="utf-8", errors="replace", newline="\n")


def _write_record(
    path: Path, options: CompareOptions, members: Sequence[Member], shared: Shared, files: Sequence[Path]
) -> None:
    """Write what was compared, which says that all files are complete."""
    runs = [
        {
            "label": member.label,
            "archive": FileEntry.of(member.reader.path).to_json(),
            "target": member.target_name,
            "windows": member.reader.n_windows,
            "only": only,
            "mean_absolute_contribution": scale,
        }
        for member, only, scale in zip(members, shared.only, shared.scale, strict=True)
    ]
    settings = {name: getattr(options, name) for name in ("normalise", "span", "overlap", "seed")}
    record = {
        "schema_version": VERSION,
        "runs": runs,
        "windows": len(shared),
        "other_sequence": shared.other_sequence,
        "settings": settings,
        "outputs": [FileEntry.of(file).to_json() for file in files],
    }
    with replacing(path) as hidden:
        hidden.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
