"""Variants: both alleles explained on the same windows, and what differs."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sparselrp_cli.errors import InputError, OutputError
from sparselrp_cli.files.belonging import manifest_path, read_record
from sparselrp_cli.files.lock import locked
from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Doubles
from sparselrp_cli.outputs.difference import Change, Differences, difference
from sparselrp_cli.outputs.tables import Table
from sparselrp_cli.outputs.tracks import write_bigwig
from sparselrp_cli.runs.attribute import Progress, attribute
from sparselrp_cli.runs.file_set import begin_set, end_set, identity_besides
from sparselrp_cli.runs.request import RunRequest
from sparselrp_cli.runs.run_files import path_of
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.source import VariantSource
from sparselrp_cli.sequences.text import display_name, is_pipe
from sparselrp_cli.sequences.variants import Variant
from sparselrp_cli.sequences.windows import ALLELES

VARIANT = ("chrom", "pos", "id", "ref", "alt")
NUMBERS = (
    "score_ref", "score_alt", "score_difference", "prediction_ref", "prediction_alt", "prediction_difference",
    "site_ref", "site_alt", "largest_difference", "largest_pos",
    "total_difference",
)  # fmt: skip
AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class VariantSummary:
    """What was done.

    Attributes
    ----------
    explained, skipped : int
    first_reason : str
        Why the first of those skipped was.
    files : tuple of Path
    """

    explained: int
    skipped: int
    first_reason: str
    files: tuple[Path, ...]


def explain_variants(
    request: RunRequest, command: Sequence[str], progress: Progress, stop: StopRequest
) -> VariantSummary:
    """Explain both alleles of every variant, and write the table and the track of their differences.

    Two runs, ``PREFIX.ref`` and ``PREFIX.alt``; then ``PREFIX.variants.tsv``, ``PREFIX.skipped.tsv`` and
    ``PREFIX.difference.bw`` (with several targets ``PREFIX.difference.TARGET.bw``).

    Parameters
    ----------
    request : RunRequest
        Its `regions` are the VCF.

    Raises
    ------
    SparselrpError
        Nothing is left under a final name that isn't complete.
    """
    if request.regions is None:
        raise ValueError("the VCF is missing")
    if is_pipe(request.sequences):
        name = display_name(request.sequences)
        raise InputError(f"{name}: the genome is read several times and can't be a pipe; write it to a file")
    with locked(request.prefix):
        return _explain_and_compare(request, request.regions, command, progress, stop)


def _explain_and_compare(
    request: RunRequest, vcf: str, command: Sequence[str], progress: Progress, stop: StopRequest
) -> VariantSummary:
    for allele in ALLELES:
        prefix = path_of(request.prefix, f".{allele}")
        settings = replace(request.settings, allele=allele, formats=("h5",))
        resume = request.resume and not _is_left_of_another(prefix, path_of(request.prefix, f".{ALLELES[0]}"))
        attribute(replace(request, prefix=prefix, settings=settings, resume=resume), command, progress, stop)
    with ExitStack() as stack:
        ref, alt = (
            stack.enter_context(ArchiveReader(path_of(request.prefix, f".{allele}.h5"))) for allele in ALLELES
        )
        genome = stack.enter_context(Genome(request.sequences))
        source = VariantSource(genome, vcf, ref.window_length, "ref")
        table, skipped_table, *tracks = files = _files(request.prefix, ref.target_names)
        kept = begin_set(request.prefix, alt.manifest, [path.name for path in files])
        changes, skipped, first_reason = _write_tables(table, skipped_table, ref, alt, source)
        differences = Differences(ref, alt, changes)
        for target, track in enumerate(tracks):
            write_bigwig(differences, track, request.settings.overlap, target)
        end_set(request.prefix, alt.manifest, command, files, kept)
    return VariantSummary(len(changes), skipped, first_reason, tuple(files))


def _is_left_of_another(prefix: Path, first: Path) -> bool:
    """Whether an allele's files are of an earlier run than those of the first, which has just been resumed.

    So it is where the run was interrupted before it came to this allele. There is nothing to resume of it.
    """
    if prefix == first or path_of(prefix, ".partial").exists():
        return False
    records = [read_record(manifest_path(each)) for each in (prefix, first)]
    there, just_made = (record and identity_besides(record, "allele") for record in records)
    return there is not None and there != just_made


def _files(prefix: Path, targets: Sequence[str]) -> list[Path]:
    """Name the two tables, and the track of each target."""
    names = [f".{name}" for name in target_file_names(targets)] if len(targets) > 1 else [""]
    endings = (".variants.tsv", ".skipped.tsv", *(f".difference{name}.bw" for name in names))
    return [path_of(prefix, ending) for ending in endings]


def _write_tables(
    table: Path, skipped_table: Path, ref: ArchiveReader, alt: ArchiveReader, source: VariantSource
) -> tuple[list[Change], int, str]:
    """Write what is known of each variant; give the changes, how many were skipped, and why the first was."""
    several = len(ref.target_names) > 1
    changes: list[Change] = []
    skipped, first_reason = 0, ""
    with (
        Table(table, (*VARIANT, "start", "end", *(("target",) if several else ()), *NUMBERS)) as kept,
        Table(skipped_table, (*VARIANT, "reason")) as left_out,
    ):
        waiting: list[Variant] = []
        for variant, reason in source.checked():
            if reason:
                skipped, first_reason = skipped + 1, first_reason or reason
                left_out.write((*_columns(variant), reason))
                continue
            waiting.append(variant)
            if len(waiting) == AT_ONCE:
                changes += _write_rows(kept, waiting, len(changes), ref, alt)
                waiting.clear()
        changes += _write_rows(kept, waiting, len(changes), ref, alt)
    if not len(changes) == ref.n_windows == alt.n_windows:
        raise OutputError(f"{alt.path} and {ref.path} are of another VCF; run again without --resume")
    return changes, skipped, first_reason


def _write_rows(
    table: Table, variants: Sequence[Variant], first: int, ref: ArchiveReader, alt: ArchiveReader
) -> list[Change]:
    """Write the lines of variants whose windows are those from number `first` on."""
    rows = slice(first, first + len(variants))
    length = ref.window_length
    changes = [Change(length // 2, len(v.removed), len(v.inserted)) for v in variants]
    columns = [[r.stored(name, rows) for r in (ref, alt)] for name in ("score", "prediction")]
    values = [[[of_allele[t] for of_allele in both] for both in columns] for t in range(ref.n_targets)]
    maps = [[r.contributions(rows, t).astype(np.float64) for r in (ref, alt)] for t in range(ref.n_targets)]
    for i, (variant, change) in enumerate(zip(variants, changes, strict=True)):
        start = variant.changed_at - length // 2
        place = [*_columns(variant), str(start), str(start + length)]
        for target, name in enumerate(ref.target_names):
            of_both = [(float(before[i]), float(after[i])) for before, after in values[target]]
            before, after = (of_allele[i] for of_allele in maps[target])
            moved = difference(before, after, change)
            largest = int(np.abs(moved).argmax())
            numbers = [n for both in of_both for n in (*both, both[1] - both[0])]
            numbers += _of_site(before, after, change)
            table.write(
                [
                    *place,
                    *((name,) if ref.n_targets > 1 else ()),
                    *(f"{number:.9g}" for number in (*numbers, moved[largest])),
                    str(start + largest + 1),
                    f"{np.abs(moved).sum():.9g}",
                ]
            )
    return changes


def _of_site(before: Doubles, after: Doubles, change: Change) -> tuple[float, float]:
    """Sum the relevance of the bases that the variant takes away, and of those it puts there."""
    return (
        float(before[change.at : change.at + change.removed].sum()),
        float(after[change.at : change.at + change.inserted].sum()),
    )


def _columns(variant: Variant) -> tuple[str, ...]:
    return variant.chrom, str(variant.start + 1), variant.id, variant.ref, variant.alt
