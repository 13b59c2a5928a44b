"""The main job, end to end: sequences and a model in; archive, tracks and tables out."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from sparselrp_cli import __version__
from sparselrp_cli.composite_file import find_composite
from sparselrp_cli.errors import ConservationError, InputError, ModelError, SparselrpError, TargetError
from sparselrp_cli.manifest import ModelRecord, build_manifest, to_json, with_outputs
from sparselrp_cli.model.ends import undo_ends
from sparselrp_cli.model.loading import LoadedModel, ModelRequest, capture_model, load_model
from sparselrp_cli.model.targets import Target, TargetParser
from sparselrp_cli.outputs.archive import ArchiveReader, ArchiveWriter
from sparselrp_cli.outputs.atomic import replacing
from sparselrp_cli.outputs.background import in_background
from sparselrp_cli.outputs.export import export_files
from sparselrp_cli.outputs.rows import ArchiveRows
from sparselrp_cli.outputs.tables import SkippedTable, WindowsTable
from sparselrp_cli.outputs.totals import Totals
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.batching import (
    allow_tf32,
    automatic_batch_size,
    choose_device,
    prepare_device,
)
from sparselrp_cli.relevance.ensemble import EnsembleExplainer
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.precision import agreement
from sparselrp_cli.relevance.pruning import STANDARD, Pruning
from sparselrp_cli.relevance.windows import ExplainedWindows, WindowExplainer
from sparselrp_cli.sequences.source import Batch, WindowSource, open_source
from sparselrp_cli.sequences.windows import Skipped

logger = logging.getLogger("sparselrp")

DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
}
REDUCED = ("tf32", "bfloat16")
"""Types whose error is measured and reported."""
WARN_ABOVE = 0.01
"""A conservation error that is worth a warning where the user set no bound."""

Progress = Callable[[Iterator[Batch], int | None], Iterator[Batch]]


@dataclass(frozen=True, slots=True)
class AttributeOptions:
    """What `sparselrp attribute` was asked to do; see its help for each. Several models are averaged."""

    sequences: str
    prefix: Path
    models: tuple[ModelRequest, ...]
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


@dataclass(frozen=True, slots=True)
class Member:
    """A model, ready to be explained.

    Attributes
    ----------
    label : str
        What messages call it: ``model 2 ('fold1')``.
    model : LoadedModel
    explainer : Explainer
    windows : WindowExplainer
    """

    label: str
    model: LoadedModel
    explainer: Explainer
    windows: WindowExplainer
    exact: WindowExplainer | None = None
    """The same in float32, where the run has reduced precision."""


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
    if options.dtype == "tf32" and device.type != "cuda":
        raise SparselrpError("--dtype tf32 needs an NVIDIA GPU; use float32, or bfloat16")
    members = _prepare_all(options, device)
    logger.info("device: %s, %s", prepare_device(device), options.dtype)
    allow_tf32(options.dtype == "tf32")
    with open_source(
        options.sequences, options.regions, members[0].model.window,
        overlap=options.tile_overlap, max_unknown=options.max_unknown,
    ) as source:  # fmt: skip
        totals, archive = _explain_all(options, members, source, progress)
    return _finish(options, command, totals, archive)


def _prepare_all(options: AttributeOptions, device: torch.device) -> list[Member]:
    """Load the models, and make sure that they can be explained as one."""
    several = len(options.models) > 1
    models: list[tuple[str, LoadedModel]] = []
    for number, request in enumerate(options.models, 1):
        with _naming(f"model {number}" if several else ""):
            model = load_model(request)
        models.append((f"model {number} ('{model.name}')", model))
    _require_one_window(models)
    members: list[Member] = []
    for label, model in models:
        with _naming(label if several else ""):
            members.append(_prepare(options, label, model, device))
        _require_same_targets(members[0], members[-1])
    if several:
        logger.info("%d models, averaged: %s", len(models), ", ".join(model.name for _, model in models))
    return members


def _prepare(options: AttributeOptions, label: str, model: LoadedModel, device: torch.device) -> Member:
    graph = capture_model(model)
    names = model.output_names(graph)
    targets = _targets(options.targets, TargetParser(graph.outputs, names))
    graph, undone = undo_ends(graph)
    for note in undone:
        logger.info("%s: %s", label or model.name, note)

    def explaining(dtype: torch.dtype) -> WindowExplainer:
        explainer = Explainer(
            graph.to(device, dtype), targets, names, find_composite(options.composite), options.pruning,
            base_axis=model.layout.base_axis,
        )  # fmt: skip
        return WindowExplainer(explainer, model.layout, average_strands=options.average_strands)

    windows = explaining(DTYPES[options.dtype])
    exact = explaining(torch.float32) if options.dtype in REDUCED else None
    return Member(label, model, windows.explainer, windows, exact)


@contextmanager
def _naming(label: str) -> Iterator[None]:
    """Put a label, unless it is empty, before the message of an error."""
    try:
        yield
    except SparselrpError as error:
        if not label:
            raise
        raise type(error)(f"{label}: {error}") from error


def _require_one_window(models: Sequence[tuple[str, LoadedModel]]) -> None:
    (first_label, first), *others = models
    for label, model in others:
        if model.window != first.window:
            raise ModelError(
                f"{label} takes windows of {model.window} bp and {first_label} of {first.window} bp; models"
                " that are averaged must take the same"
            )


def _require_same_targets(first: Member, other: Member) -> None:
    """Stop where two models would explain different things under one name."""
    for ours, theirs in zip(first.explainer.targets, other.explainer.targets, strict=True):
        if ours.name != theirs.name:
            raise TargetError(
                f"{other.label} has the target '{theirs.name}' and {first.label} '{ours.name}'; choose with"
                " --target what is explained"
            )
        our_tasks, their_tasks = _tasks(first, ours), _tasks(other, theirs)
        if our_tasks and their_tasks and our_tasks != their_tasks:
            raise TargetError(
                f"target '{ours.name}' is '{their_tasks}' in {other.label} and '{our_tasks}' in"
                f" {first.label}; models that are averaged must agree"
            )


def _tasks(member: Member, target: Target) -> str:
    """Name the task of each term of a target; nothing where the model doesn't name its tasks."""
    tasks = [(member.explainer.names[term.output].tasks, term.task) for term in target.terms]
    return "-".join(names[task] for names, task in tasks if names and task is not None)


def _targets(texts: Sequence[str], parser: TargetParser) -> list[Target]:
    """Read the targets, each once."""
    if not texts:
        return [parser.default()]
    return [parser.parse(text) for text in dict.fromkeys(texts)]


def _explain_all(
    options: AttributeOptions, members: Sequence[Member], source: WindowSource, progress: Progress
) -> tuple[Totals, Path]:
    target_names = tuple(t.name for t in members[0].explainer.targets)
    totals = Totals(target_names)
    archive = _path(options.prefix, ".h5")
    if members[0].explainer.graph.device.type == "cpu" and kernels.must_compile():
        logger.info("compiling for this processor, which takes up to a minute, once")
    size = options.batch_size or min(_batch_size(m) for m in members)
    several = len(members) > 1
    windows = _averaged([m.windows for m in members])
    with ExitStack() as stack:
        skipped = stack.enter_context(SkippedTable(_path(options.prefix, ".skipped.tsv")))
        table = stack.enter_context(
            WindowsTable(_path(options.prefix, ".windows.tsv"), target_names, spread=several)
        )
        writer = stack.enter_context(
            ArchiveWriter(
                archive, window_length=members[0].model.window, target_names=target_names,
                dtype=options.archive_dtype or ("float64" if options.dtype == "float64" else "float32"),
                spread=several,
            )
        )  # fmt: skip

        def skip(region: Skipped) -> None:
            if options.strict:
                where = f"{region.chrom}:{region.start}-{region.end}"
                raise InputError(f"region {region.name} ({where}) can't be scored: {region.reason}")
            totals.skipped += 1
            totals.first_reason = totals.first_reason or region.reason
            skipped.append(region, region.reason)

        written = stack.enter_context(in_background(writer.append, table.append))
        for batch in progress(source.batches(size, skip), source.count()):
            explained = windows.explain(batch.one_hot, [w.strand == "-" for w in batch.windows])
            _check(options, batch, explained)
            if options.dtype in REDUCED and totals.agreement is None:
                totals.agreement = _agreement(members, batch, explained, options.dtype)
            rows = ArchiveRows(
                batch.windows, batch.one_hot, explained.hypothetical, explained.accounting, batch.n_unknown,
                explained.spread,
            )  # fmt: skip
            totals.add(rows, explained.kept_share)
            written.put(rows)
        written.finish()
        if not totals.windows:
            raise InputError(f"none of the {totals.skipped} regions can be scored: {totals.first_reason}")
        writer.finish(source.chrom_sizes, _manifest(options, members, source, totals))
    return totals, archive


def _averaged(members: Sequence[WindowExplainer]) -> WindowExplainer | EnsembleExplainer:
    return EnsembleExplainer(members) if len(members) > 1 else members[0]


def _batch_size(member: Member) -> int:
    """Choose how many windows of a model are explained at once."""

    def trial(count: int) -> None:
        bases = np.arange(count * member.model.window).reshape(count, 1, -1) % 4
        one_hot = (bases == np.arange(4)[:, None]).astype(np.uint8)
        member.windows.explain(one_hot, [False] * count)

    return automatic_batch_size(member.explainer.graph, trial)


def _agreement(
    members: Sequence[Member], batch: Batch, explained: ExplainedWindows, dtype: str
) -> dict[str, float]:
    """Compare with float32, and say how far off it is."""
    reverse = [w.strand == "-" for w in batch.windows]
    allow_tf32(False)
    exact = _averaged([m.exact for m in members if m.exact is not None])
    found = agreement(explained, exact.explain, batch.one_hot, reverse)
    allow_tf32(dtype == "tf32")
    logger.info("%s: %s", dtype, found.describe())
    return asdict(found)


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
    options: AttributeOptions, members: Sequence[Member], source: WindowSource, totals: Totals
) -> dict[str, Any]:
    inputs = {"sequences": options.sequences}
    if options.regions is not None:
        inputs["regions"] = options.regions
    pruning = options.pruning
    return build_manifest(
        version=__version__,
        inputs=inputs,
        models=[_record(member) for member in members],
        settings={
            "targets": list(totals.targets),
            "window": members[0].model.window,
            "composite": options.composite,
            "prune": "auto" if pruning.automatic else pruning.positive,
            "prune_negative": "auto" if pruning.automatic else pruning.proportion_negative,
            "redistribute": pruning.redistribute,
            "reverse_complement": options.average_strands,
            "overlap": options.overlap,
            "batch_size": options.batch_size or "auto",
            "max_unknown": options.max_unknown,
        },
        runtime={
            "device": members[0].explainer.graph.device.type,
            "dtype": options.dtype,
            "threads": str(torch.get_num_threads()),
            "torch": torch.__version__,
        },
        counts={"windows": totals.windows, "skipped": totals.skipped, "ambiguous_bases": source.ambiguous},
        accounting=totals.summary(),
    )


def _record(member: Member) -> ModelRecord:
    layout = member.model.layout
    return ModelRecord(
        name=member.model.name,
        files=member.model.files,
        input={"alphabet": layout.alphabet, "layout": layout.layout},
        rules={name: rule.describe() for name, rule in member.explainer.rules.items()},
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
