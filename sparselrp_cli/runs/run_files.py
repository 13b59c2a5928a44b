"""The files of a run, made of its blocks."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparselrp_cli.files.atomic import hidden_name, replacing
from sparselrp_cli.outputs.archive import ArchiveReader, ArchiveWriter
from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Block
from sparselrp_cli.outputs.export import export_files
from sparselrp_cli.outputs.multiqc import sample_name, write_multiqc
from sparselrp_cli.outputs.tables import SkippedTable, WindowsTable
from sparselrp_cli.runs.manifest import to_json, with_counts, with_outputs
from sparselrp_cli.runs.totals import Totals

Blocks = Iterable[tuple[Block | None, Sequence[Sequence[str]]]]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did, for the last lines of the log."""

    totals: Totals
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """All that the files of a run are made of but its rows.

    Attributes
    ----------
    prefix : Path
    shape : ArchiveShape
    manifest : mapping
        What identifies the run.
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
    manifest: Mapping[str, Any]
    chrom_sizes: Mapping[str, int]
    totals: Totals
    command: Sequence[str]
    multiqc: bool = True


def path_of(prefix: Path, suffix: str) -> Path:
    """Give the path of a file of a run."""
    return prefix.with_name(prefix.name + suffix)


def write_results(results: Results, blocks: Blocks) -> RunSummary:
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
    settings = results.manifest["settings"]
    formats, overlap = settings["formats"], settings["overlap"]
    keep = "h5" in formats
    archive = path_of(results.prefix, ".h5") if keep else hidden_name(results.prefix, "h5")
    try:
        tables = _assemble(results, blocks, archive)
        with ArchiveReader(archive) as reader:
            windows = path_of(results.prefix, ".windows.tsv")
            _write_windows(reader, windows)
            exported = export_files(reader, results.prefix, formats, overlap)
            rows = [path_of(results.prefix, "_mqc.tsv")] if results.multiqc else []
            for row in rows:
                write_multiqc(reader.manifest, sample_name(results.prefix), row)
            files = [*([archive] if keep else []), windows, *tables, *rows, *exported]
            manifest = with_outputs(reader.manifest, results.command, files)
    finally:
        if not keep:
            with suppress(FileNotFoundError):
                archive.unlink()
    path = path_of(results.prefix, ".manifest.json")
    with replacing(path) as hidden:
        hidden.write_text(to_json(manifest), encoding="utf-8")
    return RunSummary(results.totals, (*files, path))


def is_complete(prefix: Path) -> Mapping[str, Any] | None:
    """Give the manifest of a run whose files are all there in their size; None if there is none."""
    try:
        manifest = json.loads(path_of(prefix, ".manifest.json").read_text(encoding="utf-8"))
        whole = all(
            prefix.with_name(Path(entry["file"]).name).stat().st_size == entry["bytes"]
            for entry in manifest["outputs"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if whole else None


def _assemble(results: Results, blocks: Blocks, archive: Path) -> list[Path]:
    """Write the archive, and what was skipped."""
    shape, totals = results.shape, results.totals
    table = path_of(results.prefix, ".skipped.tsv")
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
        writer.finish(results.chrom_sizes, with_counts(results.manifest, totals.counts(), totals.summary()))
    return [table]


def _write_windows(reader: ArchiveReader, path: Path) -> None:
    with WindowsTable(path, reader.target_names, spread=reader.has_spread) as table:
        for rows in reader.chunks(4096):
            table.append(reader.accounts(rows))
