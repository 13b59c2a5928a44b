"""Evaluation of archives, and of other methods on the same windows, against sites and against the model."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparselrp_cli.errors import InputError, WindowError
from sparselrp_cli.evaluation.evaluated_windows import (
    EvaluatedWindows,
    OneHot,
    Reals,
    batches,
    choose_windows,
    evenly,
)
from sparselrp_cli.evaluation.faithfulness import SHARES, Curves, curves_of_maps, shuffled_backgrounds
from sparselrp_cli.evaluation.maps import MUTAGENESIS, Archived, Asked, Maps, Method
from sparselrp_cli.evaluation.metrics import rank_correlation
from sparselrp_cli.evaluation.sites import SiteSource
from sparselrp_cli.evaluation.window_metrics import window_metrics
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.rows import place

if TYPE_CHECKING:
    from sparselrp_cli.evaluation.mutagenesis import Advance, SingleChanges
    from sparselrp_cli.runs.models import PreparedModel

logger = logging.getLogger("sparselrp")

RANDOM = "random order"

Progress = Callable[[int], AbstractContextManager[Callable[[int], object]]]
"""Shows how many of so many single changes are scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What `sparselrp evaluate` was asked to do; see its help for each."""

    archives: tuple[Path, ...]
    sites: SiteSource | None
    min_score: float | None
    model: ModelRequest | None
    baselines: tuple[str, ...]
    mutagenesis: bool
    draws: int
    strands: bool
    randomise: bool
    windows: int | None
    seed: int
    device: str
    progress: Progress


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What was found.

    Attributes
    ----------
    per_window : DataFrame
        A row per method, target and window, with a column per metric.
    curves : DataFrame
        Mean deletion and insertion curves: method, target, share, deletion, insertion.
    randomisation : DataFrame
        Mean rank correlation with the model's map after layers were randomised: method, target,
        layers_shuffled (from the last), correlation, sd_over_draws, correlation_of_magnitudes.
    """

    per_window: pd.DataFrame
    curves: pd.DataFrame
    randomisation: pd.DataFrame


def evaluate(options: EvaluateOptions) -> Evaluation:
    """Compute the metrics of every archive and baseline, for every target, window by window.

    Raises
    ------
    SparselrpError
        If an archive or the model can't be read or they don't fit; if no window is left.
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(ArchiveReader(path)) for path in options.archives]
        _require_equal_windows(readers)
        prepared = [] if options.model is None else _prepared(options.model, options.device, readers)
        parts = [_OfTarget(options, readers, prepared, t).tables() for t in range(readers[0].n_targets)]
    names = readers[0].target_names
    return Evaluation(*(_joined(names, tables) for tables in zip(*parts, strict=True)))


def _prepared(asked: ModelRequest, on: str, readers: Sequence[ArchiveReader]) -> "list[PreparedModel]":
    """Make the model ready to be asked again, as it explained for each archive."""
    # Archives alone are evaluated without PyTorch.
    from sparselrp_cli.evaluation.asking_again import prepared_as, require_made_with
    from sparselrp_cli.graph.loaded import load_model
    from sparselrp_cli.relevance.batching import choose_device, prepare_device
    from sparselrp_cli.runs.threads import use_threads

    use_threads(None)
    device = choose_device(on)
    logger.info("device: %s", prepare_device(device))
    model = load_model(asked)
    for reader in readers:
        require_made_with(model, reader)
    return [prepared_as(reader, model, device) for reader in readers]


class _OfTarget:
    """The evaluation of one target.

    Parameters
    ----------
    options : EvaluateOptions
    readers : sequence of ArchiveReader
    prepared : sequence of PreparedModel
        The model as it explained for each archive; empty where none was given.
    target : int
    """

    def __init__(
        self,
        options: EvaluateOptions,
        readers: Sequence[ArchiveReader],
        prepared: "Sequence[PreparedModel]",
        target: int,
    ) -> None:
        self.options, self.readers, self.prepared, self.target = options, readers, prepared, target
        self.archives = [path.stem for path in options.archives]
        self.methods: dict[str, Method] = {
            name: Archived(reader, target) for name, reader in zip(self.archives, readers, strict=True)
        }
        self.scorer = None
        if prepared:
            from sparselrp_cli.evaluation.methods import baseline
            from sparselrp_cli.evaluation.mutagenesis import SingleChanges

            model = prepared[0]
            self.scorer = SingleChanges(model.explainer, model.model.layout, target)
            last = [MUTAGENESIS] if options.mutagenesis else []
            for name in dict.fromkeys([*options.baselines, *last]):
                self.methods[name] = baseline(name, model, target)
        self.chosen = choose_windows(readers[0], target, options.sites, options.min_score, options.windows)

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Give the parts of an `Evaluation`."""
        parts: list[pd.DataFrame] = []
        curves_of: dict[str, list[Curves]] = {}
        changes = 3 * len(self.chosen) * self.readers[0].window_length
        if MUTAGENESIS in self.methods:
            logger.info("mutagenesis: %d single changes; --no-mutagenesis leaves them out", changes)
        with self.options.progress(changes if MUTAGENESIS in self.methods else 0) as advance:
            for windows in self._batches(self.chosen):
                asked = Asked(windows, self._effects(windows, advance))
                maps = {name: method(asked) for name, method in self.methods.items()}
                curves = self._curves(windows, maps)
                parts += _parts(asked, maps, curves)
                for name, found in curves.items():
                    curves_of.setdefault(name, []).extend(found)
        # The methods of a window below each other.
        table = pd.concat(parts, ignore_index=True).sort_values("window", kind="stable", ignore_index=True)
        self._add_columns(table)
        return table, _mean_curves(curves_of), pd.DataFrame([*self._randomised()])

    def _batches(self, chosen: npt.NDArray[np.intp]) -> Iterator[EvaluatedWindows]:
        return batches(self.readers[0], chosen, self.options.sites)

    def _effects(self, windows: EvaluatedWindows, advance: "Advance") -> npt.NDArray[np.float64] | None:
        if self.scorer is None or MUTAGENESIS not in self.methods:
            return None
        marks, scorer = windows.seen_marks, self.scorer

        def of_window(i: int) -> npt.NDArray[np.float64]:
            with self._naming(windows, i):
                return scorer.effects(windows.seen[i], advance, marked=None if marks is None else marks[i])

        return np.stack([of_window(i) for i in range(len(windows.rows))])

    @contextmanager
    def _naming(self, windows: EvaluatedWindows, i: int) -> Iterator[None]:
        """Name a window whose changed copies the model can't take."""
        try:
            yield
        except WindowError as error:
            (window,) = self.readers[0].windows(windows.rows[i : i + 1])
            raise error.named(f"{place(window)}, its bases changed") from error

    def _curves(self, windows: EvaluatedWindows, maps: Mapping[str, Maps]) -> dict[str, list[Curves]]:
        """Draw the curves of each method, and of a random order."""
        draws, seed = self.options.draws, self.options.seed
        if self.scorer is None or not draws:
            return {}
        seen, marks, scorer = windows.seen, windows.seen_marks, self.scorer
        backgrounds = shuffled_backgrounds(seen, draws, seed, windows.rows.tolist())
        seeds = [[seed, row * draws] for row in windows.rows.tolist()]
        rankings = {name: found.contributions for name, found in maps.items()}
        rankings[RANDOM] = np.zeros((len(seen), seen.shape[2]))

        def of_window(i: int, ranking: Reals) -> list[Curves]:
            only = slice(i, i + 1)
            scores = partial(_scores_with, scorer, None if marks is None else marks[i])
            with self._naming(windows, i):
                return curves_of_maps(seen[only], ranking[only], scores, backgrounds[only], seeds=seeds[only])

        return {
            name: [curve for i in range(len(seen)) for curve in of_window(i, ranking)]
            for name, ranking in rankings.items()
        }

    def _add_columns(self, table: pd.DataFrame) -> None:
        """Add what is known of whole archives: how well they add up, and the agreement of strands."""
        for name, reader in zip(self.archives, self.readers, strict=True):
            errors = reader.column("conservation_error", self.target)[self.chosen]
            table.loc[table["method"] == name, "conservation_error"] = errors
        if self.options.strands:
            from sparselrp_cli.evaluation.asking_again import strand_agreement

            for name, model in zip(self.archives, self.prepared, strict=True):
                found = [strand_agreement(w, model, self.target) for w in self._batches(self.chosen)]
                table.loc[table["method"] == name, "strand_agreement"] = np.concatenate(found)

    def _randomised(self) -> Iterator[dict[str, Any]]:
        if self.options.randomise:
            from sparselrp_cli.evaluation.asking_again import RANDOMISED, randomised

            some = [*self._batches(self.chosen[evenly(len(self.chosen), RANDOMISED)])]
            for name, reader, model in zip(self.archives, self.readers, self.prepared, strict=True):
                for line in randomised(model, reader, some, self.target, self.options.seed):
                    yield {"method": name, **line}


def _scores_with(scorer: "SingleChanges", marked: OneHot | None, copies: OneHot) -> npt.NDArray[np.float64]:
    """Score changed copies of a window, whose blocks, if it has some, stay where they are."""
    same = None if marked is None else np.broadcast_to(marked, (len(copies), len(marked)))
    return scorer.scores(copies, same)


def _parts(
    asked: Asked, maps: Mapping[str, Maps], curves: Mapping[str, Sequence[Curves]]
) -> Iterator[pd.DataFrame]:
    """Give the rows of each method; and of the random order, if curves were drawn."""
    windows = asked.windows
    seen, sites = windows.seen, windows.sites
    first = next(iter(maps))
    for name, found in maps.items():
        table = window_metrics(
            seen, found.contributions, found.hypothetical,
            effects=asked.effects, curves=curves.get(name), sites=sites,
        )  # fmt: skip
        if name != first:
            pairs = zip(found.contributions, maps[first].contributions, strict=True)
            table["agreement_with_first"] = [rank_correlation(a, b) for a, b in pairs]
        yield _named(table, name, windows)
    if RANDOM in curves:
        yield _named(pd.DataFrame([c.metrics() for c in curves[RANDOM]]), RANDOM, windows)


def _named(table: pd.DataFrame, method: str, windows: EvaluatedWindows) -> pd.DataFrame:
    table.insert(0, "method", method)
    table.insert(1, "window", windows.rows)
    return table


def _require_equal_windows(readers: Sequence[ArchiveReader]) -> None:
    """Stop where two archives aren't of the same windows and targets, which paired differences need."""
    first = readers[0]
    for reader in readers[1:]:
        same = reader.target_names == first.target_names and all(
            np.array_equal(getattr(reader.coordinates, axis), getattr(first.coordinates, axis))
            for axis in ("chrom", "start", "end")
        )
        if not same:
            raise InputError(
                f"{reader.path} has other windows or targets than {first.path}; evaluate archives of the same"
                " regions together, and others by themselves"
            )


def _mean_curves(curves_of: Mapping[str, Sequence[Curves]]) -> pd.DataFrame:
    lines = []
    for name, windows in curves_of.items():
        deletion = np.mean([c.deletion for c in windows], axis=0)
        insertion = np.mean([c.insertion for c in windows], axis=0)
        lines += [
            {"method": name, "share": share, "deletion": float(d), "insertion": float(i)}
            for share, d, i in zip(SHARES, deletion, insertion, strict=True)
        ]
    return pd.DataFrame(lines)


def _joined(names: Sequence[str], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of all targets below each other."""
    for name, table in zip(names, tables, strict=True):
        if len(table):
            table.insert(1, "target", name)
    return pd.concat(tables, ignore_index=True)
