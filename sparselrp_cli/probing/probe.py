"""What `sparselrp probe` does from end to end."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from sparselrp_cli.errors import InputError, number_of
from sparselrp_cli.evaluation.intervals import Interval
from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.belonging import clear_set, listed, read_record, why_not
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.files.lock import locked
from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.motifs.formats import read_motif_file
from sparselrp_cli.probing.asking import Asked
from sparselrp_cli.probing.backgrounds import read_backgrounds
from sparselrp_cli.probing.deletions import Deletion, Hits, delete
from sparselrp_cli.probing.effects import Effect, measure, place_of
from sparselrp_cli.probing.inserts import Insert, find_insert, find_inserts
from sparselrp_cli.probing.kept import Kept, identity_before, is_piped, keeping
from sparselrp_cli.probing.pairs import Interaction, Pair, measure_pairs, require_places
from sparselrp_cli.probing.tables import (
    lines_of,
    means_by_name,
    write_backgrounds,
    write_deletions,
    write_effects,
    write_hits,
    write_pairs,
)
from sparselrp_cli.relevance.batching import allow_tf32, choose_device, prepare_device
from sparselrp_cli.report.figures import save
from sparselrp_cli.report.probe_figures import Bar, Panel, draw_effects, draw_interactions
from sparselrp_cli.runs.journal import Journal
from sparselrp_cli.runs.models import PreparedModel, batch_size, manifest_of, only_graphs, prepare_all
from sparselrp_cli.runs.rows import asked_of
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.sequences.source import WindowSource, open_source
from sparselrp_cli.settings.manifest import without_results
from sparselrp_cli.settings.run import RunSettings

logger = logging.getLogger("sparselrp")

VERSION = 1
"""Of the tables and of ``PREFIX.probe.json``."""

Counter = Callable[[int | None, str], AbstractContextManager[Callable[[int], object]]]
"""Shows how many of so many are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """What `sparselrp probe` was asked to do; see its help for each.

    `resume` goes on with what an interrupted probe left, throws it away, or, if None, stops if there is any.
    """

    sequences: str
    prefix: Path
    models: tuple[ModelRequest, ...]
    settings: RunSettings
    regions: str | None = None
    motifs: str | None = None
    inserts: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    spacings: tuple[int, ...] = ()
    at: int = 0
    background: str = "shuffled"
    backgrounds: int = 100
    hits: str | None = None
    draws: int = 10
    figures: str = "svg"
    seed: int = 0
    resume: bool | None = None

    @property
    def inputs(self) -> dict[str, str]:
        """The files that are read, by role."""
        roles = {
            "sequences": self.sequences, "regions": self.regions, "motifs": self.motifs, "hits": self.hits,
        }  # fmt: skip
        return {role: path for role, path in roles.items() if path is not None}

    def path(self, ending: str) -> Path:
        """Give the path of one of the files."""
        return self.prefix.with_name(f"{self.prefix.name}.probe.{ending}")

    def as_record(self) -> dict[str, Any]:
        """Say what was asked for, as JSON."""
        names = ("inserts", "spacings", "at", "background", "backgrounds", "draws", "seed")
        asked: dict[str, Any] = {name: getattr(self, name) for name in names}
        return {**asked, "pairs": [list(pair) for pair in self.pairs]}


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found.

    Attributes
    ----------
    targets : tuple of str
    effects : tuple of Effect
    pairs : tuple of Interaction
    deletions : dict of str to dict of str to Interval
        By target and name of the hits.
    files : tuple of Path
    """

    targets: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    pairs: tuple[Interaction, ...] = ()
    deletions: dict[str, dict[str, Interval]] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is put in, found before anything slow."""

    inserts: list[Insert]
    pairs: list[Pair]
    hits: Hits | None


def probe(options: ProbeOptions, command: Sequence[str], count: Counter, stop: StopRequest) -> Probed | None:
    """Ask models of sequences that are made for it, and write what they say.

    Parameters
    ----------
    options : ProbeOptions
    command : sequence of str
        The command line, for the record.
    count : callable
    stop : StopRequest
        Looked at between inserts, pairs and hits.

    Returns
    -------
    Probed or None
        None if the probe was to be resumed and is complete.

    Raises
    ------
    SparselrpError
        Nothing is left under a final name that isn't complete.
    Stopped, KeyboardInterrupt
        The same, with how to go on.
    """
    plan = _plan(options)
    if asked_of(options.models):
        raise InputError(
            "made sequences have no row of an --input file; give a constant, such as NAME=SHAPE:0"
        )
    if options.settings.threads:
        torch.set_num_threads(options.settings.threads)
    device = choose_device(options.settings.device)
    with locked(options.prefix):
        models = only_graphs(prepare_all(options.models, options.settings, device))
        logger.info("device: %s, %s", prepare_device(device), options.settings.dtype)
        allow_tf32(options.settings.dtype == "tf32")
        length = models[0].model.window
        for insert in plan.inserts:
            place_of(len(insert), length, options.at)
        require_places(plan.pairs, options.spacings, length, options.at)
        with _source(options, models) as source:
            if options.resume and _is_complete(options, models):
                return None
            with Journal(options.path("partial")) as journal:
                return _carry_out(options, plan, models, source, journal, command, count, stop)


def _carry_out(
    options: ProbeOptions, plan: _Plan, models: Sequence[PreparedModel], source: WindowSource,
    journal: Journal, command: Sequence[str], count: Counter, stop: StopRequest,
) -> Probed:  # fmt: skip
    size = _batch_size(options, models, identity_before(journal) if options.resume else None)
    identity = _identity(options, models, size)
    with keeping(journal, identity, options.resume) as kept:
        asked = Asked(models, size, both_strands=options.settings.reverse_complement)
        return _Run(options, plan, asked, source, count, stop, kept).written(identity, command)


def _batch_size(options: ProbeOptions, models: Sequence[PreparedModel], before: dict[str, Any] | None) -> int:
    """Give the size that was asked for, that of before, or what memory has room for."""
    kept = (before or {}).get("settings", {}).get("batch_size")
    return options.settings.batch_size or (kept if isinstance(kept, int) else min(map(batch_size, models)))


def _identity(options: ProbeOptions, models: Sequence[PreparedModel], size: int) -> dict[str, Any]:
    """Say what makes the numbers, as JSON."""
    manifest = manifest_of(models, options.inputs, options.settings, size).to_json()
    return {"probe_version": VERSION, **manifest, "probe": options.as_record()}


def _is_complete(options: ProbeOptions, models: Sequence[PreparedModel]) -> bool:
    """Whether this probe was done, and its files are as it left them."""
    record = read_record(options.path("json"))
    if record is None or options.path("partial").exists():
        return False
    identity = json.loads(json.dumps(_identity(options, models, _batch_size(options, models, record))))
    files = listed(record)
    figures = {Path(name).suffix for name in files} - {".tsv"}
    return (
        without_results(record) == identity
        and not is_piped(identity)
        and figures == {f".{options.figures}"} - {".none"}
        and not any(why_not(options.prefix.with_name(name), files) for name in files)
    )


def _plan(options: ProbeOptions) -> _Plan:
    motifs = read_motif_file(options.motifs).motifs if options.motifs is not None else ()
    pairs = [Pair(*(find_insert(text, motifs) for text in pair)) for pair in options.pairs]
    # All motifs of a file are put in only where nothing else is asked of it.
    every = bool(options.inserts) or not (pairs or options.hits)
    inserts = find_inserts(options.inserts, motifs) if every else []
    if not (inserts or pairs or options.hits):
        raise InputError("nothing to put in or to take out; give --insert, --pair, --motifs or --delete")
    return _Plan(inserts, pairs, Hits(options.hits) if options.hits is not None else None)


@contextmanager
def _source(options: ProbeOptions, models: Sequence[PreparedModel]) -> Iterator[WindowSource]:
    settings = options.settings
    with open_source(
        options.sequences, options.regions, models[0].model.window,
        overlap=settings.tile_overlap, max_unknown=settings.max_unknown,
    ) as source:  # fmt: skip
        yield source


@dataclass(frozen=True, slots=True)
class _Run:
    """A run whose models and sequences are at hand."""

    options: ProbeOptions
    plan: _Plan
    asked: Asked
    source: WindowSource
    count: Counter
    stop: StopRequest
    kept: Kept

    def written(self, identity: dict[str, Any], command: Sequence[str]) -> Probed:
        """Compute everything, and write it as one set of files."""
        plan, options = self.plan, self.options
        effects: list[Effect] = []
        pairs: list[Interaction] = []
        deletions: list[Deletion] = []
        if plan.inserts or plan.pairs:
            backgrounds = read_backgrounds(self.source, options.background, options.backgrounds, options.seed)
            logger.info("%s", number_of(len(backgrounds), f"{options.background} background"))
            effects = self._all(
                measure(plan.inserts, backgrounds, self.asked, self.kept, options.at, options.seed),
                len(plan.inserts), "insert",
            )  # fmt: skip
            pairs = self._all(
                measure_pairs(
                    plan.pairs, options.spacings, backgrounds, self.asked, self.kept, options.at
                ),
                4 * len(plan.pairs) * len(options.spacings), "arrangement",
            )  # fmt: skip
        if plan.hits is not None:
            found = delete(plan.hits, self.source, self.asked, self.kept, options.draws, options.seed)
            deletions = self._all(found, None, "hit")
            if not deletions:
                raise InputError(
                    f"{options.hits}: no hit lies in any of the windows; are both of one genome?"
                )
        return self._write(effects, pairs, deletions, identity, command)

    def _all(self, found: Iterator[Any], total: int | None, unit: str) -> list[Any]:
        """Take everything, and show how far it is."""
        kept = []
        with self.count(total, unit) as advance:
            for each in found:
                kept.append(each)
                advance(1)
                self.stop.check()
        return kept

    def _write(
        self, effects: list[Effect], pairs: list[Interaction], deletions: list[Deletion],
        identity: dict[str, Any], command: Sequence[str],
    ) -> Probed:  # fmt: skip
        targets, seed = self.asked.targets, self.options.seed
        figures = [*self._figures(effects, pairs, deletions)] if self.options.figures != "none" else []
        endings = [
            *(("effects.tsv", "backgrounds.tsv") if effects else ()),
            *(("pairs.tsv",) if pairs else ()),
            *(("hits.tsv", "deletions.tsv") if deletions else ()),
        ]
        files = [*map(self.options.path, endings), *(path for path, _ in figures)]
        record = self.options.path("json")
        gone = clear_set(record, self.options.path("").name, [path.name for path in files])
        if gone:
            logger.warning(
                "removed, as they are of the probe that was here before: %s", ", ".join(map(str, gone))
            )
        means: dict[str, dict[str, Interval]] = {}
        if effects:
            write_effects(self.options.path("effects.tsv"), effects, targets, seed)
            write_backgrounds(self.options.path("backgrounds.tsv"), effects, targets)
        if pairs:
            write_pairs(self.options.path("pairs.tsv"), pairs, targets, seed)
        if deletions:
            write_hits(self.options.path("hits.tsv"), deletions, targets)
            means = write_deletions(self.options.path("deletions.tsv"), deletions, targets, seed)
        for path, figure in figures:
            save(figure, path)
        outputs = [FileEntry.of(file).to_json() for file in files]
        document = {**identity, "command": list(command), "outputs": outputs}
        with replacing(record) as hidden:
            hidden.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return Probed(tuple(targets), tuple(effects), tuple(pairs), means, (*files, record))

    def _figures(
        self, effects: Sequence[Effect], pairs: Sequence[Interaction], deletions: Sequence[Deletion]
    ) -> Iterator[tuple[Path, Figure]]:  # fmt: skip
        """Draw for each target a figure of the effects, one of the pairs, and one of the deletions."""
        targets, ending = self.asked.targets, self.options.figures
        names = [f".{name}" for name in target_file_names(targets)] if len(targets) > 1 else [""]
        for t, (target, middle) in enumerate(zip(targets, names, strict=True)):
            if effects:
                yield (
                    self.options.path(f"effects{middle}.{ending}"),
                    draw_effects(self._bars(effects, t), target),
                )
            if pairs:
                panels = self._panels(pairs, t)
                yield self.options.path(f"pairs{middle}.{ending}"), draw_interactions(panels, target)
            if deletions:
                means = means_by_name(deletions, t, self.options.seed)
                bars = [Bar(f"without {name}", m.mean, m.low, m.high, None) for name, m in means.items()]
                yield self.options.path(f"deletions{middle}.{ending}"), draw_effects(bars, target)

    def _bars(self, effects: Sequence[Effect], target: int) -> list[Bar]:
        bars = []
        for effect in effects:
            found = effect.summary(target, self.options.seed)
            mean = found["effect"]
            bars.append(Bar(effect.insert.name, mean.mean, mean.low, mean.high, found["control"].mean))
        return bars

    def _panels(self, pairs: Sequence[Interaction], target: int) -> list[Panel]:
        spacings, seed = self.options.spacings, self.options.seed
        return [
            Panel(
                pair.name, spacings,
                lines_of([each for each in pairs if each.pair == pair], target, seed),
            )
            for pair in dict.fromkeys(self.plan.pairs)
        ]  # fmt: skip
