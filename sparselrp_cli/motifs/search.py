"""The whole way from an archive to named motifs, as one function."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparselrp_cli.errors import InputError, number_of
from sparselrp_cli.files.atomic import is_same_file, reported
from sparselrp_cli.files.digest import FileEntry, sha256
from sparselrp_cli.files.lock import locked
from sparselrp_cli.motifs.alignment import Context
from sparselrp_cli.motifs.bed import looks, write_description, write_hits, write_indexed, write_seqlets
from sparselrp_cli.motifs.database import Database, Match, match, open_database
from sparselrp_cli.motifs.discovery import Motif, find_motifs, seqlet_context
from sparselrp_cli.motifs.files import motif_record, write_record, write_table
from sparselrp_cli.motifs.formats import KnownMotif
from sparselrp_cli.motifs.hits import Hit, find_hits
from sparselrp_cli.motifs.matrices import write_matrices, write_patterns
from sparselrp_cli.motifs.null import SIGNS, NoNullError, Null, fit_null, require_same_explanation
from sparselrp_cli.motifs.seqlets import Seqlets, call_seqlets
from sparselrp_cli.motifs.threads import limited_threads
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.multiqc import MotifsRow, sample_name, write_multiqc

logger = logging.getLogger("sparselrp")
# Largest q of a match whose name a motif is shown with.
NAMED = 0.05
UNCALIBRATED = (
    "p and q of %s relevance aren't calibrated: the null is the windows' own contributions, permuted; even"
    " windows without a single site can give hundreds of seqlets with it"
)


@dataclass(frozen=True)
class MotifOptions:
    """What to look for, and in what.

    Attributes
    ----------
    archive, prefix : Path
    target : str or None
        Its name; may be left out where there is one.
    background : Path or None
        Archive of windows without sites, for the null; without it contributions are permuted.
    database : str or None
        See `open_database`.
    fdr : float
        Largest q-value of seqlets and hits.
    max_seqlets : int
        The best of each sign go into motifs.
    min_seqlets : int
        Of a motif.
    seed : int
        Of the permutations.
    advice : str
        What is said where contributions are permuted.
    bigbed : bool
        Whether seqlets and hits are written as bigBed, too.
    threads : int or None
        As many as there are cores, unless told.
    hits_over : {"windows", "stretches"}
        What hits are looked for in, see `find_hits`.
    """

    archive: Path
    prefix: Path
    target: str | None = None
    background: Path | None = None
    database: str | None = None
    fdr: float = 0.05
    max_seqlets: int = 5000
    min_seqlets: int = 20
    seed: int = 0
    advice: str = ""
    bigbed: bool = False
    threads: int | None = None
    hits_over: str = "windows"


def search(options: MotifOptions) -> list[Path]:
    """Call seqlets, find motifs, name them, find their hits, and write all that.

    Parameters
    ----------
    options : MotifOptions

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError, OutputError
    """
    if options.background is not None and is_same_file(options.background, options.archive):
        raise InputError(
            f"{options.background} is the archive itself; a background is of windows without sites, see"
            " `sparselrp shuffle`"
        )
    database = open_database(options.database) if options.database is not None else None
    background = ArchiveReader(options.background) if options.background is not None else nullcontext()
    with (
        limited_threads(options.threads),
        ArchiveReader(options.archive) as reader,
        background as other,
        locked(options.prefix),
    ):
        logger.info("calling seqlets in %s", number_of(reader.n_windows, "window"))
        target = reader.target_number(options.target)
        nulls, missing = _nulls(reader, other, target, options.seed)
        _say_what_is_uncertain(nulls, missing, options.advice)
        seqlets = {
            sign: call_seqlets(reader, null, sign, target=target, fdr=options.fdr)
            for sign, null in nulls.items()
        }
        for sign, found in seqlets.items():
            seqlets_found = number_of(len(found), "seqlet")
            logger.info("%s of %s relevance (q <= %g)", seqlets_found, SIGNS[sign], options.fdr)
        contexts, motifs = _motifs(reader, seqlets, target, options)
        named = _named(motifs, database.motifs if database is not None else ())
        sought = [(name, m.sign, m.counts) for name, m, _ in named]
        logger.info("looking for hits of %s", number_of(len(sought), "motif"))
        hits = find_hits(reader, sought, nulls, target=target, fdr=options.fdr, over=options.hits_over)
        counted = Counter(hit.motif for hit in hits)
        records = [
            motif_record(name, m, counted[name], matches, calibrated=nulls[m.sign].calibrated)
            for name, m, matches in named
        ]
        for r in records:
            logger.info("%s", _said(r))
        if not records:
            logger.warning("no motif: fewer than %d seqlets are alike", options.min_seqlets)
        record = {
            **_asked(options, reader, target, database),
            **_certainty(nulls, missing),
            "counts": {
                "windows": reader.n_windows,
                "seqlets": sum(map(len, seqlets.values())),
                "motifs": len(records),
                "hits": len(hits),
            },
            "motifs": records,
        }
        return _write(options, reader, seqlets, nulls, contexts, named, hits, record)


def _nulls(
    reader: ArchiveReader, background: ArchiveReader | None, target: int, seed: int
) -> tuple[dict[int, Null], dict[int, str]]:
    """Fit the null of each sign, and say why one has none.

    Where a rule gives shuffled windows relevance of one sign only, as z-plus does to windows of negative
    score, the other sign of the windows themselves is permuted.
    """
    if reader.n_windows == 0:
        raise InputError(f"{reader.path} has no window; there is nothing to look for motifs in")
    sources = [(reader, "permuted", target)]
    if background is not None:
        if background.window_length != reader.window_length:
            logger.warning(
                "the background's windows are %d bp, not %d", background.window_length, reader.window_length
            )
        number = require_same_explanation(reader, background, target)
        sources.insert(0, (background, "background", number))
    nulls: dict[int, Null] = {}
    missing: dict[int, str] = {}
    for sign in SIGNS:
        for source, kind, number in sources:
            try:
                nulls[sign] = fit_null(source, kind, sign, number, seed)
                break
            except NoNullError as error:
                missing.setdefault(sign, str(error))
    return nulls, missing


def _say_what_is_uncertain(nulls: dict[int, Null], missing: dict[int, str], advice: str) -> None:
    for sign, reason in missing.items():
        then = "permuted contributions take its place" if sign in nulls else "none of it is called"
        logger.warning("%s relevance has no null; %s (%s)", SIGNS[sign], then, reason)
    if signs := [SIGNS[sign] for sign, null in nulls.items() if not null.calibrated]:
        logger.warning("%s%s", UNCALIBRATED % " and ".join(signs), f"; {advice}" if advice else "")


def _certainty(nulls: dict[int, Null], missing: dict[int, str]) -> dict[str, Any]:
    """Describe the null of each sign, or why it has none, and whether q is calibrated, as JSON."""
    none = {"kind": "none", "calibrated": False}
    found = {sign: nulls[sign].as_record() if sign in nulls else none for sign in SIGNS}
    reasons = {sign: {"reason": reason} for sign, reason in missing.items()}
    return {
        "calibrated": all(null.calibrated for null in nulls.values()),
        "null": {SIGNS[sign]: found[sign] | reasons.get(sign, {}) for sign in SIGNS},
    }


def _motifs(
    reader: ArchiveReader, seqlets: dict[int, Seqlets], target: int, options: MotifOptions
) -> tuple[dict[int, Context], list[Motif]]:
    contexts, motifs = {}, []
    for sign, found in seqlets.items():
        best = slice(0, options.max_seqlets)
        if len(found) > options.max_seqlets:
            logger.info(
                "motifs of %s relevance come from its %d best seqlets", SIGNS[sign], options.max_seqlets
            )
        contexts[sign] = seqlet_context(reader, found.take(best), target)
        motifs += find_motifs(contexts[sign], sign, least=options.min_seqlets)
    return contexts, motifs


def _named(motifs: list[Motif], database: Sequence[KnownMotif]) -> list[tuple[str, Motif, list[Match]]]:
    """Number the motifs of each sign; turn round what is like the reverse complement of a known one."""
    if motifs and database:
        from sparselrp_cli.motifs.kept_loops import of_tomtom, say_if_compiling

        say_if_compiling("Tomtom", of_tomtom())
    named = []
    numbers = dict.fromkeys(SIGNS, 0)
    for motif in motifs:
        numbers[motif.sign] += 1
        name = f"{SIGNS[motif.sign][:3]}_{numbers[motif.sign]}"
        matches = match(motif.counts, database) if database else []
        if matches and matches[0].strand == "-":
            motif = _turned(motif)
            matches = match(motif.counts, database)
        named.append((name, motif, matches))
    return named


def _turned(motif: Motif) -> Motif:
    maps = {name: getattr(motif, name)[::-1, ::-1] for name in ("counts", "contributions", "hypothetical")}
    return replace(motif, instances=motif.instances.flipped(), **maps)


def _said(record: dict[str, Any]) -> str:
    counts = f"{number_of(record['n_seqlets'], 'seqlet')}, {number_of(record['n_hits'], 'hit')}"
    line = f"{record['name']}: {record['consensus']}, {counts}"
    if record["matches"]:
        best = record["matches"][0]
        line += f"; {best['name']} {best['alt_name']} (q {best['q']:.2g})"
    return line


def _asked(
    options: MotifOptions, reader: ArchiveReader, target: int, database: Database | None
) -> dict[str, Any]:
    """Say what was looked for in what, as JSON."""
    return {
        "archive": {"name": options.archive.name, "sha256": sha256(options.archive)},
        "target": reader.target_names[target],
        "settings": _settings(options, database),
    }


def _settings(options: MotifOptions, database: Database | None) -> dict[str, Any]:
    given: dict[str, Any] = {
        name: getattr(options, name) for name in ("fdr", "max_seqlets", "min_seqlets", "seed")
    }
    if options.hits_over != "windows":
        given["hits_over"] = options.hits_over
    if database is not None:
        given["database"] = database.as_record()
    if options.background is not None:
        given["background"] = {"name": options.background.name, "sha256": sha256(options.background)}
    return given


def _write(
    options: MotifOptions, reader: ArchiveReader, seqlets: dict[int, Seqlets], nulls: dict[int, Null],
    contexts: dict[int, Context], named: list[tuple[str, Motif, list[Match]]], hits: list[Hit],
    record: dict[str, Any],
) -> list[Path]:  # fmt: skip
    prefix = options.prefix

    def path(suffix: str) -> Path:
        return prefix.with_name(f"{prefix.name}.{suffix}")

    motifs = [(name, motif) for name, motif, _ in named]
    matched = {
        name: (matches[0].alt_name or matches[0].name)
        for name, _, matches in named
        if matches and matches[0].q <= NAMED
    }
    shown = looks([name for name, _ in motifs], matched)
    # The record of a set goes first and comes last, see `files.belonging`.
    multiqc = prefix.with_name(f"{prefix.name}.motifs_mqc.tsv")
    with reported(path("motifs.json")):
        path("motifs.json").unlink(missing_ok=True)
        for kind in ("seqlets", "hits"):
            path(f"{kind}.bb").unlink(missing_ok=True)
    write_seqlets(path("seqlets.bed"), reader, seqlets, motifs, nulls, shown)
    write_hits(path("hits.bed"), hits, nulls, {name: motif.sign for name, motif in motifs}, shown)
    for kind in ("seqlets", "hits"):
        write_description(path(f"{kind}.as"), kind)
    matrices = write_matrices(prefix, motifs, matched)
    write_patterns(path("motifs.h5"), motifs, contexts, seqlets)
    write_table(path("motifs.tsv"), record["motifs"])
    write_multiqc(_row(record, len(matched)), _run_name(options.archive, reader, record["target"]), multiqc)
    names = ("seqlets.bed", "seqlets.as", "hits.bed", "hits.as", "motifs.h5", "motifs.tsv")
    files = [*map(path, names), multiqc, *matrices, *(_indexed(options, reader) if options.bigbed else ())]
    outputs = [replace(FileEntry.of(file), file=file.name.removeprefix(f"{prefix.name}.")) for file in files]
    write_record(path("motifs.json"), {**record, "outputs": [entry.to_json() for entry in outputs]})
    return [*files, path("motifs.json")]


def _run_name(archive: Path, reader: ArchiveReader, target: str) -> str:
    """Call what was found as MultiQC's table of runs calls the run; of several targets each by its name."""
    run = sample_name(archive.with_suffix(""))
    return run if reader.n_targets == 1 else f"{run} {target}"


def _row(record: Mapping[str, Any], named: int) -> MotifsRow:
    """Give the row of what was found for MultiQC."""
    counts = record["counts"]
    return MotifsRow(
        target=record["target"], windows=counts["windows"], seqlets=counts["seqlets"],
        motifs=counts["motifs"], named=named, hits=counts["hits"],
        calibrated="yes" if record["calibrated"] else "no",
    )  # fmt: skip


def _indexed(options: MotifOptions, reader: ArchiveReader) -> Iterator[Path]:
    """Write seqlets and hits as bigBed."""
    for kind in ("seqlets", "hits"):
        bed = options.prefix.with_name(f"{options.prefix.name}.{kind}.bed")
        path = write_indexed(bed, kind, reader.chrom_sizes)
        if path is None:
            logger.warning("no %s, and so no bigBed of them", kind)
        else:
            yield path
