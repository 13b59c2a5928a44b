"""The files of a run, made of its blocks."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparselrp_cli.files.atomic import hidden_name, replacing
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.outputs.archive import ArchiveReader, ArchiveWriter
from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Block
from sparselrp_cli.outputs.export import export_files
from sparselrp_cli.outputs.multiqc import RunRow, sample_name, write_multiqc
from sparselrp_cli.outputs.tables import SkippedTable, WindowsTable
from sparselrp_cli.runs.totals import Totals
from sparselrp_cli.settings.manifest import Manifest, read_manifest, to_text, with_outputs

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
    """

    prefix: Path
    shape: ArchiveShape
    manifest: Manifest
    chrom_sizes: Mapping[str, int]
    totals: Totals
    command: Sequence[str]
    multiqc: bool = True


def path_of(prefix: Path, suffix: str) -> Path:
    """Give the path of a file of a run."""
    return prefix.with_name(prefix.name + suffix)


def write_files(header: RunHeader, blocks: Blocks) -> RunSummary:
    """Write every file; the manifest, which says that all is complete, last.

    Parameters
    ----------
    blocks : iterable of (Block or None, lines)
        With the fields of the lines of what was skipped.

    Raises
    ------
    OutputError
        If a file can't be written. No final name holds a half file.
    """
    settings = header.manifest.settings
    keep = "h5" in settings.formats
    archive = path_of(header.prefix, ".h5") if keep else hidden_name(header.prefix, "h5")
    try:
        tables = _assemble(header, blocks, archive)
        with ArchiveReader(archive) as reader:
            windows = path_of(header.prefix, ".windows.tsv")
            _write_windows(reader, windows)
            exported = export_files(reader, header.prefix, settings.formats, settings.overlap)
            rows = [path_of(header.prefix, "_mqc.tsv")] if header.multiqc else []
            for row in rows:
                write_multiqc(row_of(read_manifest(reader)), sample_name(header.prefix), row)
            files = [*([archive] if keep else []), windows, *tables, *rows, *exported]
            document = with_outputs(reader.manifest, header.command, files)
    finally:
        if not keep:
            with suppress(FileNotFoundError):
                archive.unlink()
    path = path_of(header.prefix, ".manifest.json")
    with replacing(path) as hidden:
        hidden.write_text(to_text(document), encoding="utf-8")
    return RunSummary(header.totals, (*files, path))


def read_complete(prefix: Path) -> Mapping[str, Any] | None:
    """Give the manifest, as JSON, of a run whose files are all there in their size; None if there is none."""
    try:
        document = json.loads(path_of(prefix, ".manifest.json").read_text(encoding="utf-8"))
        entries = map(FileEntry.from_json, document["outputs"])
        whole = all(prefix.with_name(Path(e.file).name).stat().st_size == e.bytes for e in entries)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return document if whole else None


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
        mean_score=mean("mean_score"),
        mean_relevance=mean("mean_relevance"),
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
            spread=shape.spread,
        ) as writer,
    ):  # fmt: skip
        for block, lines in blocks:
            totals.skipped += len(lines)
            for line in lines:
                skipped.write(line)
            if block is not None:
                totals.add(block)
                writer.write(block)
        done = replace(header.manifest, outcome=totals.outcome())
        writer.finish(header.chrom_sizes, done.to_json())
    return [table]


def _write_windows(reader: ArchiveReader, path: Path) -> None:
    with WindowsTable(path, reader.target_names, spread=reader.has_spread) as table:
        for rows in reader.chunks(4096):
            table.append(reader.accounts(rows))
