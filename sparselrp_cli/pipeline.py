"""The main job, end to end: sequences and a model in; archive, tracks and tables out."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from sparselrp_cli import __version__
from sparselrp_cli.errors import ConservationError, InputError, SparselrpError
from sparselrp_cli.manifest import build_manifest, to_json, with_outputs
from sparselrp_cli.model.loading import LoadedModel, ModelRequest, capture_model, load_model
from sparselrp_cli.model.targets import Target, TargetParser
from sparselrp_cli.outputs.archive import ArchiveReader, ArchiveWriter
from sparselrp_cli.outputs.atomic import replacing
from sparselrp_cli.outputs.export import export_files
from sparselrp_cli.outputs.rows import ArchiveRows
from sparselrp_cli.outputs.tables import SkippedTable, WindowsTable
from sparselrp_cli.relevance.batching import automatic_batch_size, choose_device, prepare_device
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import STANDARD, Pruning
from sparselrp_cli.relevance.windows import ExplainedWindows, WindowExplainer
from sparselrp_cli.sequences.source import Batch, WindowSource, open_source
from sparselrp_cli.sequences.windows import Skipped

logger = logging.getLogger("sparselrp")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
WARN_ABOVE = 0.01
"""A conservation error that is worth a warning where the user set no bound."""

Progress = Callable[[Iterator[Batch], int | None], Iterator[Batch]]


@dataclass(frozen=True, slots=True)
class AttributeOptions:
    """What `sparselrp attribute` was asked to do; see its help for each."""

    sequences: str
    prefix: Path
    model: ModelRequest
    regions: str | None = None
    targets: tuple[str, ...] = ()
    composite: str = "epsilon-plus"
    pruning: Pruning = STANDARD
    average_strands: bool = False
    overlap: str = "nearest-centre"
    tile_overlap: int | None = None
    batch_size: int | None = None
    device: str = "auto"
    dtype: str = "float32"
    archive_dtype: Literal["float16", "float32", "float64"] | None = None
    threads: int | None = None
    formats: tuple[str, ...] = ()
    max_unknown: float = 1.0
    max_conservation_error: float | None = None
    strict: bool = False


@dataclass(slots=True)
class Totals:
    """Running sums over all windows, for the log and the manifest."""

    targets: tuple[str, ...]
    windows: int = 0
    skipped: int = 0
    largest_error: float = 0.0
    worst_window: str = ""
    first_reason: str = ""
    kept_share: float = 0.0
    sums: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, batch: Batch, explained: ExplainedWindows) -> None:
        """Count one batch."""
        for name, values in explained.accounting.items():
            self.sums[name] = self.sums.get(name, 0.0) + values.sum(1)
        self.kept_share += explained.kept_share * len(batch.windows)
        self.windows += len(batch.windows)
        errors = explained.accounting["conservation_error"].max(0)
        worst = int(np.argmax(errors))
        if not errors[worst] <= self.largest_error:
            self.largest_error = float(errors[worst])
            self.worst_window = batch.windows[worst].name

    def summary(self) -> dict[str, Any]:
        """Give means per target, and the largest conservation error."""
        count = max(self.windows, 1)
        means = {
            target: {f"mean_{name}": float(total[i] / count) for name, total in self.sums.items()}
            for i, target in enumerate(self.targets)
        }
        return {
            "targets": means,
            "largest_conservation_error": self.largest_error,
            "mean_kept_share": self.kept_share / count,
        }


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did, for the last lines of the log."""

    totals: Totals
    files: tuple[Path, ...]


def attribute(options: AttributeOptions, command: Sequence[str], progress: Progress) -> RunSummary:
    """Explain every window and write all files of the run.

    Parameters
    ----------
    command : sequence of str
        The command line, for the manifest.
    progress : callable
        Wraps the stream of batches and the number of windows expected, to show how far it is.

    Raises
    ------
    SparselrpError
        Nothing is left under a final name that isn't complete.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    model = load_model(options.model)
    explainer, windows = _prepare(options, model, device)
    logger.info("device: %s, %s", prepare_device(device), options.dtype)
    with open_source(
        options.sequences, options.regions, model.window,
        overlap=options.tile_overlap, max_unknown=options.max_unknown,
    ) as source:  # fmt: skip
        totals, archive = _explain_all(options, model, explainer, windows, source, progress)
    return _finish(options, command, totals, archive)


def _prepare(
    options: AttributeOptions, model: LoadedModel, device: torch.device
) -> tuple[Explainer, WindowExplainer]:
    graph = capture_model(model)
    names = model.output_names(graph)
    targets = _targets(options.targets, TargetParser(graph.outputs, names))
    graph = graph.to(device, DTYPES[options.dtype])
    explainer = Explainer(graph, targets, names, PRESETS[options.composite], options.pruning)
    return explainer, WindowExplainer(explainer, model.layout, average_strands=options.average_strands)


def _targets(texts: Sequence[str], parser: TargetParser) -> list[Target]:
    """Read the targets, each once."""
    if not texts:
        return [parser.default()]
    return [parser.parse(text) for text in dict.fromkeys(texts)]


def _explain_all(
    options: AttributeOptions,
    model: LoadedModel,
    explainer: Explainer,
    windows: WindowExplainer,
    source: WindowSource,
    progress: Progress,
) -> tuple[Totals, Path]:
    target_names = tuple(t.name for t in explainer.targets)
    totals = Totals(target_names)
    archive = _path(options.prefix, ".h5")
    size = options.batch_size or automatic_batch_size(explainer.graph)
    with ExitStack() as stack:
        skipped = stack.enter_context(SkippedTable(_path(options.prefix, ".skipped.tsv")))
        table = stack.enter_context(WindowsTable(_path(options.prefix, ".windows.tsv"), target_names))
        writer = stack.enter_context(
            ArchiveWriter(
                archive, window_length=model.window, target_names=target_names,
                dtype=options.archive_dtype or ("float64" if options.dtype == "float64" else "float32"),
            )
        )  # fmt: skip

        def skip(region: Skipped) -> None:
            if options.strict:
                where = f"{region.chrom}:{region.start}-{region.end}"
                raise InputError(f"region {region.name} ({where}) can't be scored: {region.reason}")
            totals.skipped += 1
            totals.first_reason = totals.first_reason or region.reason
            skipped.append(region, region.reason)

        for batch in progress(source.batches(size, skip), source.count()):
            explained = windows.explain(batch.one_hot, [w.strand == "-" for w in batch.windows])
            _check(options, batch, explained)
            totals.add(batch, explained)
            rows = ArchiveRows(
                batch.windows, batch.one_hot, explained.hypothetical, explained.accounting, batch.n_unknown
            )
            writer.append(rows)
            table.append(rows)
        if not totals.windows:
            raise InputError(f"none of the {totals.skipped} regions can be scored: {totals.first_reason}")
        writer.finish(source.chrom_sizes, _manifest(options, model, explainer, source, totals))
    return totals, archive


def _path(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)


def _check(options: AttributeOptions, batch: Batch, explained: ExplainedWindows) -> None:
    """Stop at numbers that aren't finite, and at conservation errors above the user's bound."""
    if not np.isfinite(explained.hypothetical).all() or not all(
        np.isfinite(v).all() for v in explained.accounting.values()
    ):
        raise SparselrpError(
            f"relevance isn't finite in the batch from window '{batch.windows[0].name}' on; the model's"
            " weights or outputs may hold NaN or infinity, or the dtype is too small"
        )
    bound = options.max_conservation_error
    if bound is None:
        if not options.strict:
            return
        bound = WARN_ABOVE
    errors = explained.accounting["conservation_error"].max(0)
    worst = int(np.argmax(errors))
    if errors[worst] > bound:
        raise ConservationError(
            f"window '{batch.windows[worst].name}': conservation error {errors[worst]:.2g} is above {bound:g}"
        )


def _manifest(
    options: AttributeOptions,
    model: LoadedModel,
    explainer: Explainer,
    source: WindowSource,
    totals: Totals,
) -> dict[str, Any]:
    inputs = {"sequences": options.sequences}
    if options.regions is not None:
        inputs["regions"] = options.regions
    pruning = options.pruning
    return build_manifest(
        version=__version__,
        inputs=inputs,
        model_name=model.name,
        model_files=model.files,
        settings={
            "targets": list(totals.targets),
            "window": model.window,
            "alphabet": model.layout.alphabet,
            "layout": model.layout.layout,
            "composite": options.composite,
            "prune": "auto" if pruning.automatic else pruning.positive,
            "prune_negative": "auto" if pruning.automatic else pruning.proportion_negative,
            "redistribute": pruning.redistribute,
            "reverse_complement": options.average_strands,
            "overlap": options.overlap,
            "batch_size": options.batch_size or "auto",
            "max_unknown": options.max_unknown,
        },
        rules={name: rule.describe() for name, rule in explainer.rules.items()},
        runtime={
            "device": explainer.graph.device.type,
            "dtype": options.dtype,
            "threads": str(torch.get_num_threads()),
            "torch": torch.__version__,
        },
        counts={"windows": totals.windows, "skipped": totals.skipped, "ambiguous_bases": source.ambiguous},
        accounting=totals.summary(),
    )


def _finish(options: AttributeOptions, command: Sequence[str], totals: Totals, archive: Path) -> RunSummary:
    """Make the other files from the archive, and the manifest last."""
    formats = options.formats or (("h5", "bigwig") if options.regions else ("h5", "bedgraph"))
    tables = [_path(options.prefix, s) for s in (".windows.tsv", ".skipped.tsv")]
    with ArchiveReader(archive) as reader:
        exported = export_files(reader, options.prefix, formats, options.overlap)
        kept = [archive] if "h5" in formats else []
        files = [*kept, *tables, *exported]
        manifest = with_outputs(reader.manifest, command, files)
    path = _path(options.prefix, ".manifest.json")
    with replacing(path) as temporary:
        temporary.write_text(to_json(manifest), encoding="utf-8")
    if not kept:
        archive.unlink()
    return RunSummary(totals, (*files, path))
