"""The main job, end to end: sequences and a model in; archive, tracks and tables out."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from sparselrp_cli import __version__
from sparselrp_cli.errors import ConservationError, InputError, OutputError, SparselrpError, Stopped
from sparselrp_cli.files.lock import locked
from sparselrp_cli.model.loading import ModelRequest
from sparselrp_cli.outputs.archive.blocks import ArchiveShape
from sparselrp_cli.outputs.archive.rows import ArchiveRows
from sparselrp_cli.outputs.tables import skipped_line
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.batching import LARGEST_BATCH, allow_tf32, choose_device, prepare_device
from sparselrp_cli.relevance.choices import REDUCED
from sparselrp_cli.relevance.pruning import STANDARD, Pruning
from sparselrp_cli.relevance.windows import ExplainedWindows
from sparselrp_cli.runs.journal import Journal
from sparselrp_cli.runs.manifest import build_manifest, difference, without_results
from sparselrp_cli.runs.models import (
    ExplainOptions,
    Member,
    averaged,
    batch_size,
    measure_agreement,
    prepare_all,
    record,
)
from sparselrp_cli.runs.recording import Done, Recorder, State, read_blocks, read_state
from sparselrp_cli.runs.run_files import Results, RunSummary, is_complete, path_of, write_results
from sparselrp_cli.runs.shards import Part, Shard, part
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.runs.totals import Totals
from sparselrp_cli.runs.writer_thread import in_background
from sparselrp_cli.sequences.source import Batch, WindowSource, open_source
from sparselrp_cli.sequences.text import is_pipe
from sparselrp_cli.sequences.variants import Allele

logger = logging.getLogger("sparselrp")

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
    shard: Shard | None = None
    allele: Allele | None = None
    """If given, `regions` is a VCF, and each window holds this allele of a variant."""
    resume: bool | None = None
    """Go on with what an interrupted run left, throw it away, or, if None, stop if there is any."""
    multiqc: bool = True
    """Whether the run has a row in MultiQC's reports; one that accompanies another has none."""

    @property
    def explaining(self) -> ExplainOptions:
        return ExplainOptions(self.targets, self.composite, self.pruning, self.average_strands, self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A run that is set up: what it explains, and how."""

    options: AttributeOptions
    members: Sequence[Member]
    source: WindowSource
    batch_size: int
    shape: ArchiveShape
    manifest: dict[str, Any]

    @property
    def piped(self) -> bool:
        return is_pipe(self.options.sequences) or is_pipe(self.options.regions or "")


def attribute(
    options: AttributeOptions, command: Sequence[str], progress: Progress, stop: StopRequest
) -> RunSummary | None:
    """Explain every window and write all files of the run.

    What is done lies in the journal ``PREFIX.partial`` until all files are complete.

    Parameters
    ----------
    command : sequence of str
        The command line, for the manifest.
    progress : callable
        Wraps the stream of batches and the number of windows expected, to show how far it is.
    stop : StopRequest
        Looked at after every batch.

    Returns
    -------
    RunSummary or None
        None if the run was to be resumed and is complete.

    Raises
    ------
    SparselrpError
        Nothing is left under a final name that isn't complete.
    Stopped, KeyboardInterrupt
        The same, with how to go on.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    if options.dtype == "tf32" and device.type != "cuda":
        raise SparselrpError("--dtype tf32 needs an NVIDIA GPU; use float32, or bfloat16")
    with locked(options.prefix):
        members = prepare_all(options.models, options.explaining, device)
        logger.info("device: %s, %s", prepare_device(device), options.dtype)
        allow_tf32(options.dtype == "tf32")
        window = members[0].model.window
        with open_source(
            options.sequences, options.regions, window,
            overlap=options.tile_overlap, max_unknown=options.max_unknown, allele=options.allele,
        ) as source:  # fmt: skip
            run = _set_up(options, members, source)
            if options.resume and _nothing_to_do(run):
                return None
            with Journal(path_of(options.prefix, ".partial")) as journal:
                return _carry_out(run, journal, command, progress, stop)


def _set_up(options: AttributeOptions, members: Sequence[Member], source: WindowSource) -> _Run:
    size = options.batch_size or min(batch_size(m) for m in members)
    shape = ArchiveShape(
        members[0].model.window,
        tuple(t.name for t in members[0].explainer.targets),
        options.archive_dtype or ("float64" if options.dtype == "float64" else "float32"),
        spread=len(members) > 1,
    )
    return _Run(options, members, source, size, shape, _manifest(options, members, size))


def _nothing_to_do(run: _Run) -> bool:
    """Whether a run is complete already; if another run is, stop."""
    prefix = run.options.prefix
    if path_of(prefix, ".partial").exists():
        return False
    found = is_complete(prefix)
    if found is None:
        logger.info("there is nothing to resume; starting")
        return False
    if other := difference(without_results(found), run.manifest):
        raise OutputError(
            f"{prefix}.* is a complete run in which {other}; run without --resume to replace it, or choose "
            "another --output"
        )
    return True


def _carry_out(
    run: _Run, journal: Journal, command: Sequence[str], progress: Progress, stop: StopRequest
) -> RunSummary:
    options = run.options
    with _keeping(run, journal) as kept:
        run, state, places = _begin(run, journal)
        kept.append(state)
        if not state.complete:
            _explain_rest(run, journal, state, places, progress, stop)
        if not state.n_rows and options.shard is None:
            raise InputError(f"none of the {state.n_skipped} regions can be scored: {state.first_reason}")
        totals = Totals(run.shape.target_names, ambiguous=state.ambiguous, agreement=state.agreement)
        sizes = run.source.chrom_sizes
        results = Results(options.prefix, run.shape, run.manifest, sizes, totals, command, options.multiqc)
        summary = write_results(results, read_blocks(journal, run.shape))
        journal.remove()
    return summary


def _begin(run: _Run, journal: Journal) -> tuple[_Run, State, Part]:
    """Find out where to go on, or begin."""
    options = run.options
    if options.resume is False:
        journal.clear()
    if not journal.empty:
        identity, state = read_state(journal, 0)
        if not state.n_rows:
            journal.clear()
        elif options.resume is None:
            raise OutputError(
                f"{journal.path} keeps {state.n_rows} windows of an interrupted run; go on with --resume, or "
                "throw them away with --restart"
            )
        elif run.piped:
            raise OutputError("what comes from a pipe can't be resumed; begin anew with --restart")
        else:
            run = _with_batch_size(run, _recorded_batch_size(identity, journal))
            if other := difference(identity, run.manifest):
                raise OutputError(
                    f"can't resume {options.prefix}: {other}; use the same inputs and options, or begin anew "
                    "with --restart"
                )
            places = _part(run)
            logger.info("going on after %d windows", state.n_rows)
            return run, state, places
    places = _part(run)
    journal.append(run.manifest)
    return run, State(places.first), places


def _recorded_batch_size(identity: dict[str, Any], journal: Journal) -> int:
    settings = identity.get("settings")
    size = settings.get("batch_size") if isinstance(settings, dict) else None
    if not isinstance(size, int) or size < 1:
        raise OutputError(f"{journal.path} is damaged; begin anew with --restart")
    return size


def _with_batch_size(run: _Run, size: int) -> _Run:
    """Take the batch size of before where the memory decides it."""
    if run.options.batch_size:
        return run
    manifest = _manifest(run.options, run.members, size)
    return _Run(run.options, run.members, run.source, size, run.shape, manifest)


def _part(run: _Run) -> Part:
    by_memory = run.members[0].explainer.graph.device.type == "cuda" and not run.options.batch_size
    # Shards may have found room for batches of different size: all sizes divide the largest.
    unit = LARGEST_BATCH if by_memory else run.batch_size
    return part(run.options.shard, run.source.count(), run.batch_size, unit)


@contextmanager
def _keeping(run: _Run, journal: Journal) -> Iterator[list[State]]:
    """Say of an interruption how to go on; leave no journal that can't be gone on with."""
    kept: list[State] = []
    try:
        yield kept
    except BaseException as error:
        n = kept[0].n_rows if kept else 0
        if journal.empty or (kept and (run.piped or not n)):
            with suppress(OutputError):
                journal.remove()
        if not n or run.piped:
            raise
        how = f"{n} windows are kept in {journal.path}; run the same command with --resume to go on"
        if isinstance(error, KeyboardInterrupt):
            what = "stopped" if isinstance(error, Stopped) else "interrupted"
            raise type(error)(f"{what}; {how}") from error
        logger.warning("%s", how)
        raise


def _explain_rest(
    run: _Run, journal: Journal, state: State, places: Part, progress: Progress, stop: StopRequest
) -> None:
    """Explain what isn't in the journal yet."""
    if run.members[0].explainer.graph.device.type == "cpu" and kernels.must_compile():
        logger.info("compiling for this processor, which takes up to a minute, once")
    recorder = Recorder(journal, run.shape, path_of(run.options.prefix, ".h5"), state)
    first = state.next_batch
    left = None if places.n_places is None else places.n_places - (first - places.first) * run.batch_size
    batches = run.source.batches(run.batch_size, first, places.last)
    with stop.deferred():
        with in_background(recorder.add) as written:
            for batch in progress(batches, left):
                written.put(_explained(run, batch, recorder))
                if stop.requested:
                    break
            written.finish()
        if stop.requested:
            raise Stopped
        recorder.finish()


def _explained(run: _Run, batch: Batch, recorder: Recorder) -> Done:
    """Explain a batch."""
    options = run.options
    if batch.skipped and options.strict:
        region = batch.skipped[0]
        where = f"{region.chrom}:{region.start}-{region.end}"
        raise InputError(f"region {region.name} ({where}) can't be scored: {region.reason}")
    skipped = [skipped_line(region, region.reason) for region in batch.skipped]
    if not batch.windows:
        return Done(batch.number, None, skipped)
    windows = averaged([m.windows for m in run.members])
    explained = windows.explain(batch.one_hot, [w.strand == "-" for w in batch.windows])
    _check(options, batch, explained)
    if options.dtype in REDUCED and recorder.agreement is None and recorder.state.agreement is None:
        recorder.agreement = measure_agreement(run.members, batch, explained, options.dtype)
    rows = ArchiveRows(
        batch.windows, batch.one_hot, explained.hypothetical, explained.accounting, batch.n_unknown,
        explained.spread,
    )  # fmt: skip
    return Done(batch.number, rows, skipped, batch.ambiguous)


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


def _manifest(options: AttributeOptions, members: Sequence[Member], size: int) -> dict[str, Any]:
    """Say what identifies the run; no times, no host, and no number of threads, so that equal runs agree."""
    inputs = {"sequences": options.sequences}
    if options.regions is not None:
        inputs["regions"] = options.regions
    formats = options.formats
    if not formats:
        tracks = () if options.shard else ("bigwig",) if options.regions else ("bedgraph",)
        formats = ("h5", *tracks)
    pruning = options.pruning
    special = {"shard": str(options.shard)} if options.shard else {}
    if options.allele:
        special["allele"] = options.allele
    return build_manifest(
        version=__version__,
        inputs=inputs,
        models=[record(member) for member in members],
        settings={
            **special,
            "targets": [t.name for t in members[0].explainer.targets],
            "window": members[0].model.window,
            "composite": options.composite,
            "prune": "auto" if pruning.automatic else pruning.positive,
            "prune_negative": "auto" if pruning.automatic else pruning.proportion_negative,
            "redistribute": pruning.redistribute,
            "reverse_complement": options.average_strands,
            "tile_overlap": options.tile_overlap,
            "max_unknown": options.max_unknown,
            "batch_size": size,
            "archive_dtype": options.archive_dtype,
            "max_conservation_error": options.max_conservation_error,
            "strict": options.strict,
            "overlap": options.overlap,
            "formats": list(formats),
        },
        runtime={
            "device": members[0].explainer.graph.device.type,
            "dtype": options.dtype,
            "torch": torch.__version__,
        },
    )
