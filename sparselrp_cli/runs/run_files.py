"""The files of a run, made of its blocks."""

import shutil
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import hidden_name, is_same_file, replacing
from sparselrp_cli.files.belonging import manifest_path, read_record
from sparselrp_cli.files.interruptions import cleaned_up
from sparselrp_cli.outputs.archive import ArchiveReader, ArchiveWriter
from sparselrp_cli.outputs.archive.at_hand import AtHand
from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Block
from sparselrp_cli.outputs.export import ShardFiles, export_files, planned_files
from sparselrp_cli.outputs.multiqc import RunRow, sample_name, write_multiqc
from sparselrp_cli.outputs.tables import SkippedTable, WindowsTable
from sparselrp_cli.runs.file_set import begin_set, end_set, own_files, wrong_files
from sparselrp_cli.runs.totals import Totals
from sparselrp_cli.settings.manifest import Manifest, read_manifest

Blocks = Iterable[tuple[Block | None, Sequence[Sequence[str]]]]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did, for the last lines of the log."""

    totals: Totals
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RunHeader:
    """All that the files of a run are made of but its rows.

    Attributes
    ----------
    prefix : Path
    shape : ArchiveShape
    manifest : Manifest
        Without an outcome.
    chrom_sizes : mapping of str to int
        In bp, in genome order.
    totals : Totals
        Empty, but for what isn't counted in rows.
    command : sequence of str
        The command line, for the manifest.
    multiqc : bool
        Whether the run has a row in MultiQC's reports.
    archive_only : bool
        Whether the archive and the tables are all that is written; see `copy_run`.
    """

    prefix: Path
    shape: ArchiveShape
    manifest: Manifest
    chrom_sizes: Mapping[str, int]
    totals: Totals
    command: Sequence[str]
    multiqc: bool = True
    archive_only: bool = False


def path_of(prefix: Path, suffix: str) -> Path:
    """Give the path of a file of a run."""
    return prefix.with_name(prefix.name + suffix)


def write_files(
    header: RunHeader, blocks: Blocks, at_hand: AtHand | None = None, shards: Sequence[ShardFiles] = ()
) -> RunSummary:
    """Write every file; the manifest, which says that all is complete, goes first and comes last.

    Parameters
    ----------
    blocks : iterable of (Block or None, lines)
        With the fields of the lines of what was skipped.
    at_hand : AtHand, optional
        The contributions of their rows, for the tracks.
    shards : sequence of ShardFiles
        That the rows come from, in their order.

    Raises
    ------
    OutputError
        If a file can't be written. No final name holds a half file.
    """
    only = [path_of(header.prefix, ".windows.tsv").name] if header.archive_only else None
    keep = "h5" in header.manifest.settings.formats or header.archive_only
    archive = path_of(header.prefix, ".h5") if keep else hidden_name(header.prefix, "h5")
    kept = begin_set(header.prefix, header.manifest.to_json(), [path.name for path in _planned(header)])
    with nullcontext() if keep else cleaned_up(lambda: archive.unlink(missing_ok=True)):
        tables = _assemble(header, blocks, archive)
        with ArchiveReader(archive, at_hand) as reader:
            multiqc = header.multiqc and not header.archive_only
            made = _from_archive(reader, header.prefix, multiqc=multiqc, only=only, shards=shards)
            files = [*([archive] if keep else []), made[0], *tables, *made[1:]]
            path = end_set(header.prefix, reader.manifest, header.command, files, kept)
    return RunSummary(header.totals, (*files, path))


def copy_run(archive: Path, prefix: Path, command: Sequence[str]) -> tuple[Path, ...]:
    """Write every file of a complete run under another prefix, from its archive and what lies beside it.

    Parameters
    ----------
    archive : Path
        With the table of skipped regions beside it.
    prefix : Path
        Whose lock is held.
    command : sequence of str
        For the manifest.

    Returns
    -------
    tuple of Path

    Raises
    ------
    OutputError
        If the archive or the table can't be read, a file can't be written, or the prefix is the run's own.
    """
    target, beside = path_of(prefix, ".h5"), archive.with_suffix(".skipped.tsv")
    if is_same_file(target, archive):
        raise OutputError(f"{target} is the archive of this run itself; choose another prefix")
    if not beside.is_file():
        raise OutputError(f"{beside}: no such file; it belongs to {archive.name}, copy it too")
    with ArchiveReader(archive) as reader:
        formats = read_manifest(reader).settings.formats
        shape = ArchiveShape(reader.window_length, tuple(reader.target_names), spread=reader.has_spread)
        planned = [path.name for path in _files_of(prefix, formats, shape, multiqc=True)]
        kept = begin_set(prefix, reader.manifest, planned)
        copied = [*([_copied(archive, target)] if "h5" in formats else [])]
        table = _copied(beside, path_of(prefix, ".skipped.tsv"))
        windows, *made = _from_archive(reader, prefix, multiqc=True)
        files = [*copied, windows, table, *made]
        return (*files, end_set(prefix, reader.manifest, command, files, kept))


def _copied(source: Path, path: Path) -> Path:
    with replacing(path) as hidden:
        shutil.copyfile(source, hidden)
    return path


def restore_files(prefix: Path, record: Mapping[str, Any]) -> list[str] | None:
    """Write what isn't as a complete run left it again from its archive, if that can be done.

    Parameters
    ----------
    prefix : Path
        Whose lock is held.
    record : mapping
        The manifest of the run, as JSON, with its files.

    Returns
    -------
    list of str or None
        Names of the files that were others, often none; None where the run has to be done again, as its
        archive or its table of skipped regions is gone or damaged.

    Raises
    ------
    OutputError
        If a file can't be written.
    """
    wrong = wrong_files(prefix, record)
    archive, lasting = path_of(prefix, ".h5"), (".h5", ".skipped.tsv")
    if not wrong:
        return []
    if not archive.is_file() or any(path_of(prefix, ending).name in wrong for ending in lasting):
        return None
    with ArchiveReader(archive) as reader:
        _from_archive(reader, prefix, multiqc=path_of(prefix, "_mqc.tsv").name in wrong, only=wrong)
    return None if wrong_files(prefix, record) else list(wrong)


def read_complete(prefix: Path) -> Mapping[str, Any] | None:
    """Give the manifest, as JSON, of a run that was complete, with its list of files; None if there is none.

    Whether the files are as the run left them is another question, see `restore_files`.
    """
    record = read_record(manifest_path(prefix))
    return record if record is not None and own_files(record) else None


def row_of(manifest: Manifest) -> RunRow:
    """Give the row of a run for MultiQC.

    Of several targets the row has the means over them, each with the same weight, and their number instead of
    a name. A mean that there isn't, as where no window was explained, is None.
    """
    outcome = manifest.outcome
    if outcome is None:
        raise ValueError("the run isn't done")
    names = list(outcome.means)

    def mean(name: str) -> float | None:
        values = [of_target[name] for of_target in outcome.means.values() if name in of_target]
        return sum(values) / len(values) if values else None

    return RunRow(
        model=" + ".join(manifest.model_names),
        target=names[0] if len(names) == 1 else f"{len(names)} targets",
        prune=str(manifest.settings.prune),
        windows=outcome.windows,
        skipped=outcome.skipped,
        skipped_share=outcome.skipped / regions if (regions := outcome.windows + outcome.skipped) else None,
        mean_score=mean("mean_score"),
        mean_relevance=mean("mean_relevance"),
        mean_background=mean("mean_background"),
        mean_absorbed=mean("mean_absorbed"),
        mean_lost=mean("mean_lost"),
        mean_zero_share=mean("mean_zero_share"),
        largest_conservation_error=outcome.largest_error,
    )


def _assemble(header: RunHeader, blocks: Blocks, archive: Path) -> list[Path]:
    """Write the archive, and what was skipped."""
    shape, totals = header.shape, header.totals
    table = path_of(header.prefix, ".skipped.tsv")
    with (
        SkippedTable(table) as skipped,
        ArchiveWriter(
            archive, window_length=shape.window_length, target_names=shape.target_names, dtype=shape.dtype,
            spread=shape.spread, blocks=shape.blocks,
        ) as writer,
    ):  # fmt: skip
        for block, lines in blocks:
            totals.skipped += len(lines)
            for line in lines:
                skipped.write(line)
            if block is not None:
                totals.add(block)
                writer.write(block)
        done = replace(header.manifest, outcome=replace(totals.outcome(), skipped_sha256=skipped.sha256))
        writer.finish(header.chrom_sizes, done.to_json())
    return [table]


def _planned(header: RunHeader) -> Iterator[Path]:
    """Name every file but the manifest."""
    formats = header.manifest.settings.formats
    return _files_of(header.prefix, formats, header.shape, multiqc=header.multiqc)


def _files_of(prefix: Path, formats: Sequence[str], shape: ArchiveShape, *, multiqc: bool) -> Iterator[Path]:
    endings = [".h5"] if "h5" in formats else []
    endings += [".windows.tsv", ".skipped.tsv", *(["_mqc.tsv"] if multiqc else [])]
    yield from (path_of(prefix, ending) for ending in endings)
    for each in planned_files(prefix, formats, shape.target_names, spread=shape.spread):
        yield from each.paths


def _from_archive(
    reader: ArchiveReader,
    prefix: Path,
    *,
    multiqc: bool,
    only: Container[str] | None = None,
    shards: Sequence[ShardFiles] = (),
) -> list[Path]:
    """Write the files that an archive says everything of, or only those of some names; the table first."""
    manifest = read_manifest(reader)
    windows, row = path_of(prefix, ".windows.tsv"), path_of(prefix, "_mqc.tsv")
    if only is None or windows.name in only:
        _write_windows(reader, windows)
    if multiqc:
        write_multiqc(row_of(manifest), sample_name(prefix), row)
    settings = manifest.settings
    exported = export_files(reader, prefix, settings.formats, settings.overlap, only, shards)
    return [windows, *([row] if multiqc else []), *exported]


def _write_windows(reader: ArchiveReader, path: Path) -> None:
    with WindowsTable(path, reader.target_names, spread=reader.has_spread) as table:
        for rows in reader.chunks(4096):
            table.append(reader.accounts(rows))
