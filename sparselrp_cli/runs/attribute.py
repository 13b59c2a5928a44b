"""The main job, end to end: sequences and a model in; archive, tracks and tables out."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sparselrp_cli.errors import InputError, OutputError, SparselrpError, Stopped, number_of
from sparselrp_cli.files.lock import locked
from sparselrp_cli.outputs.archive.at_hand import AtHand
from sparselrp_cli.outputs.archive.blocks import ArchiveShape
from sparselrp_cli.outputs.archive.rows import ArchiveRows
from sparselrp_cli.outputs.formats import TRACKS
from sparselrp_cli.outputs.tables import skipped_line
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.batching import LARGEST_BATCH, allow_tf32, choose_device, prepare_device
from sparselrp_cli.relevance.choices import REDUCED
from sparselrp_cli.relevance.ensemble import LaunchedEnsemble
from sparselrp_cli.relevance.windows import Launched
from sparselrp_cli.runs.blocks import wanted_blocks
from sparselrp_cli.runs.checks import check_explained, naming_window
from sparselrp_cli.runs.file_set import wrong_files
from sparselrp_cli.runs.journal import Journal
from sparselrp_cli.runs.models import (
    PreparedModel,
    averaged,
    batch_size,
    manifest_of,
    measure_agreement,
    only_graphs,
    prepare_all,
)
from sparselrp_cli.runs.recording import Done, Recorder, State, read_blocks, read_state
from sparselrp_cli.runs.request import RunRequest
from sparselrp_cli.runs.rows import RowsOfRegions, rows_of_regions
from sparselrp_cli.runs.run_files import (
    RunHeader,
    RunSummary,
    path_of,
    read_complete,
    restore_files,
    write_files,
)
from sparselrp_cli.runs.shards import Part, part
from sparselrp_cli.runs.shared_windows import SharedLaunch, distinct
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.runs.threads import use_threads
from sparselrp_cli.runs.totals import Totals
from sparselrp_cli.runs.writer_thread import in_background
from sparselrp_cli.sequences.source import Batch, WindowSource, open_source
from sparselrp_cli.settings.manifest import Manifest, difference, without_results
from sparselrp_cli.settings.reading import WrongValueError
from sparselrp_cli.settings.run import RunSettings

logger = logging.getLogger("sparselrp")

AnyLaunched = Launched | LaunchedEnsemble | SharedLaunch
Progress = Callable[[Iterator[Batch], int | None], Iterator[Batch]]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A run that is set up: what it explains, and how. Nothing is left open in its manifest's settings."""

    request: RunRequest
    models: Sequence[PreparedModel]
    source: WindowSource
    shape: ArchiveShape
    manifest: Manifest
    batch_size: int
    rows: RowsOfRegions

    @property
    def settings(self) -> RunSettings:
        return self.manifest.settings

    @property
    def prefix(self) -> Path:
        return self.request.prefix

    def with_batch_size(self, size: int) -> "_Run":
        settings = replace(self.settings, batch_size=size)
        return replace(self, manifest=replace(self.manifest, settings=settings), batch_size=size)


def attribute(
    request: RunRequest, command: Sequence[str], progress: Progress, stop: StopRequest
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
    asked = request.settings
    use_threads(asked.threads)
    device = choose_device(asked.device)
    if asked.dtype == "tf32" and device.type != "cuda":
        raise SparselrpError("--dtype tf32 needs an NVIDIA GPU; use float32, or bfloat16")
    with locked(request.prefix):
        rows = rows_of_regions(request)
        models = only_graphs(prepare_all(request.models, asked, device))
        logger.info("device: %s, %s", prepare_device(device), asked.dtype)
        allow_tf32(asked.dtype == "tf32")
        with (
            wanted_blocks(models, request.kept_blocks, both_strands=asked.reverse_complement) as blocks,
            open_source(
                request.sequences, request.regions, models[0].model.window,
                overlap=asked.tile_overlap, max_unknown=asked.max_unknown, allele=asked.allele, blocks=blocks,
            ) as source,
        ):  # fmt: skip
            run = _set_up(request, models, source, rows)
            if request.resume and _nothing_to_do(run):
                return None
            with Journal(path_of(request.prefix, ".partial")) as journal:
                return _carry_out(run, journal, command, progress, stop)


def _set_up(
    request: RunRequest, models: Sequence[PreparedModel], source: WindowSource, rows: RowsOfRegions
) -> _Run:
    asked = request.settings
    size = asked.batch_size or min(map(batch_size, models))
    shape = ArchiveShape(
        models[0].model.window,
        tuple(t.name for t in models[0].explainer.targets),
        asked.archive_dtype or ("float64" if asked.dtype == "float64" else "float32"),
        spread=len(models) > 1,
        blocks=any(model.explainer.bins for model in models),
    )
    manifest = manifest_of(models, request.inputs, asked, size)
    return _Run(request, models, source, shape, manifest, size, rows)


def _nothing_to_do(run: _Run) -> bool:
    """Whether a run is complete already; if another run is, stop.

    A file that isn't as the run left it is written again from the archive. One that `export` wrote since,
    with whatever options, isn't the run's own.
    """
    if path_of(run.prefix, ".partial").exists():
        return False
    complete = read_complete(run.prefix)
    if complete is None:
        logger.info("there is nothing to resume; starting")
        return False
    other = difference(without_results(complete), run.manifest.to_json())
    if other and not wrong_files(run.prefix, complete):
        raise OutputError(
            f"{run.prefix}.* is a complete run in which {other}; run without --resume to replace it, or"
            " choose another --output"
        )
    restored = None if other else restore_files(run.prefix, complete)
    if restored is None:
        logger.info("not all files of %s.* are as their run left them; starting", run.prefix)
        return False
    for name in restored:
        logger.info("%s wasn't as the run left it; written again from %s.h5", name, run.prefix)
    return True


def _carry_out(
    run: _Run, journal: Journal, command: Sequence[str], progress: Progress, stop: StopRequest
) -> RunSummary:
    with _keeping(run, journal) as kept:
        run, state, places = _begin(run, journal)
        kept.append(state)
        tracks = not run.request.archive_only and not set(TRACKS).isdisjoint(run.settings.formats)
        at_hand = AtHand(run.shape.dtype) if tracks else None
        if state.complete:
            run.source.read_sizes()
        else:
            _explain_rest(run, journal, state, places, progress, stop, at_hand)
        if not state.n_rows and run.settings.shard is None:
            n = state.n_skipped
            which = "the only region can't" if n == 1 else f"none of the {n} regions can"
            raise InputError(f"{which} be scored: {state.first_reason}")
        totals = Totals(run.shape.target_names, ambiguous=state.ambiguous, agreement=state.agreement)
        sizes = run.source.chrom_sizes
        header = RunHeader(
            run.prefix, run.shape, run.manifest, sizes, totals, command,
            run.request.multiqc, run.request.archive_only,
        )  # fmt: skip
        stop.check()
        summary = write_files(header, read_blocks(journal, run.shape), at_hand)
        journal.remove()
    return summary


def _begin(run: _Run, journal: Journal) -> tuple[_Run, State, Part]:
    """Find out where to go on, or begin."""
    resume = run.request.resume
    if resume is False:
        journal.clear()
    if not journal.empty:
        identity, state = read_state(journal, 0)
        if not state.n_rows:
            journal.clear()
        elif resume is None:
            raise OutputError(
                f"{journal.path} keeps {number_of(state.n_rows, 'window')} of an interrupted run; go on with"
                " --resume, or throw them away with --restart"
            )
        elif run.request.piped:
            raise OutputError("what comes from a pipe can't be resumed; begin anew with --restart")
        else:
            run = _with_batch_size_of(identity, run, journal)
            if other := difference(identity, run.manifest.to_json()):
                raise OutputError(
                    f"can't resume {run.prefix}: {other}; use the same inputs and options, or begin anew with"
                    " --restart"
                )
            places = _part(run)
            logger.info("going on after %s", number_of(state.n_rows, "window"))
            return run, state, places
    places = _part(run)
    journal.append(run.manifest.to_json())
    return run, State(places.first), places


def _with_batch_size_of(identity: dict[str, Any], run: _Run, journal: Journal) -> _Run:
    """Take the batch size of before where the memory decides it."""
    if run.request.settings.batch_size or identity.get("version") != run.manifest.version:
        return run
    try:
        before = Manifest.from_json(identity).settings.batch_size
    except WrongValueError as error:
        raise OutputError(f"{journal.path} is damaged; begin anew with --restart") from error
    return run.with_batch_size(before or run.batch_size)


def _part(run: _Run) -> Part:
    by_memory = run.settings.device == "cuda" and not run.request.settings.batch_size
    # Shards may have found room for batches of different size: all sizes divide the largest.
    unit = LARGEST_BATCH if by_memory else run.batch_size
    return part(run.settings.shard, run.source.count(), run.batch_size, unit)


@contextmanager
def _keeping(run: _Run, journal: Journal) -> Iterator[list[State]]:
    """Say of an interruption how to go on; leave no journal that can't be gone on with."""
    kept: list[State] = []
    try:
        yield kept
    except BaseException as error:
        n = kept[0].n_rows if kept else 0
        if journal.empty or (kept and (run.request.piped or not n)):
            with suppress(OutputError):
                journal.remove()
        if not n or run.request.piped:
            raise
        kept_windows = number_of(n, "window is", "windows are")
        how = f"{kept_windows} kept in {journal.path}; run the same command with --resume to go on"
        if isinstance(error, KeyboardInterrupt):
            what = "stopped" if isinstance(error, Stopped) else "interrupted"
            raise type(error)(f"{what}; {how}") from error
        logger.warning("%s", how)
        raise


def _explain_rest(
    run: _Run, journal: Journal, state: State, places: Part, progress: Progress, stop: StopRequest,
    at_hand: AtHand | None,
) -> None:  # fmt: skip
    """Explain what isn't in the journal yet."""
    if run.settings.device == "cpu" and kernels.must_compile():
        logger.info("compiling for this processor, which takes up to a minute, once")
    archive = path_of(run.prefix, ".h5")
    recorder = Recorder(journal, run.shape, archive, state, torch.get_num_threads(), at_hand)
    first = state.next_batch
    left = None if places.n_places is None else places.n_places - (first - places.first) * run.batch_size
    batches = run.source.batches(run.batch_size, first, places.last)
    with stop.deferred():
        with in_background(recorder.add) as written:
            for launched in _ahead(run, progress(batches, left)):
                written.put(_explained(run, *launched, recorder))
                stop.check()
                if stop.requested:
                    break
            written.finish()
        if stop.requested:
            raise Stopped
        recorder.finish()


def _ahead(run: _Run, batches: Iterator[Batch]) -> Iterator[tuple[Batch, AnyLaunched | None]]:
    """Begin to explain batches; on a GPU the next one before this one's result is taken."""
    ahead = 1 if run.settings.device == "cuda" else 0
    waiting: deque[tuple[Batch, AnyLaunched | None]] = deque()
    for batch in batches:
        waiting.append((batch, _launch(run, batch)))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _launch(run: _Run, batch: Batch) -> AnyLaunched | None:
    """Begin to explain a batch; nothing where none of it can be."""
    if not batch.windows or (batch.skipped and run.settings.strict):
        return None
    for model in run.models:
        model.explainer.say = partial(_say_how_far, batch, model.model.name)
    explainer = averaged([m.windows for m in run.models])
    reverse = [w.strand == "-" for w in batch.windows]
    if run.settings.allele == "ref":
        rows, place = distinct(batch.windows)
        with naming_window([batch.windows[row] for row in rows]):
            return SharedLaunch(explainer.launch(batch.one_hot[rows], [reverse[row] for row in rows]), place)
    with naming_window(batch.windows):
        return explainer.launch(batch.one_hot, reverse, batch.marked, run.rows.of(batch.windows))


def _say_how_far(batch: Batch, model: str, share: float) -> None:
    """Say how far a batch is that takes long."""
    first, *others = batch.windows
    rest = f" and {len(others)} more" if others else ""
    logger.info("%s: %s%s, %.0f %%", model, first.name, rest, 100 * share)


def _explained(run: _Run, batch: Batch, launched: AnyLaunched | None, recorder: Recorder) -> Done:
    """Take the explanation of a batch."""
    settings = run.settings
    if batch.skipped and settings.strict:
        region = batch.skipped[0]
        where = f"{region.chrom}:{region.start}-{region.end}"
        raise InputError(f"region {region.name} ({where}) can't be scored: {region.reason}")
    skipped = [skipped_line(region, region.reason) for region in batch.skipped]
    if launched is None:
        return Done(batch.number, None, skipped)
    with naming_window(batch.windows):
        explained = launched.result()
    check_explained(settings, run.models[0].explainer.targets, batch.windows, explained)
    if settings.dtype in REDUCED and recorder.agreement is None and recorder.state.agreement is None:
        recorder.agreement = measure_agreement(
            run.models, batch, explained, settings.dtype, run.rows.of(batch.windows)
        )
    rows = ArchiveRows(
        batch.windows, batch.one_hot, explained.hypothetical, explained.accounting, batch.n_unknown,
        explained.spread, batch.marked,
    )  # fmt: skip
    return Done(batch.number, rows, skipped, batch.ambiguous)
