"""Evaluation of archives, and of other methods on the same windows, against sites and against the model."""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from sparselrp_cli.errors import InputError, TargetError
from sparselrp_cli.evaluation.agreement import MaskSource, map_metrics
from sparselrp_cli.evaluation.deeplift import deeplift_shap
from sparselrp_cli.evaluation.faithfulness import SHARES, Curves, OneHot, curves
from sparselrp_cli.evaluation.metrics import rank_correlation
from sparselrp_cli.evaluation.mutagenesis import mutagenesis
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.model.loading import LoadedModel, load_model
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.relevance.batching import choose_device, prepare_device
from sparselrp_cli.relevance.scoring import Scorer
from sparselrp_cli.runs.models import PreparedModel, prepare
from sparselrp_cli.sequences.one_hot import encode
from sparselrp_cli.sequences.shuffling import LETTERS, shuffle_dinucleotides
from sparselrp_cli.settings.manifest import read_manifest

logger = logging.getLogger("sparselrp")

RANDOM = "random order"
MOST_STAGES = 8
AT_ONCE = 32
RANDOMISED, DRAWS = 20, 5

Reals = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What `sparselrp evaluate` was asked to do; see its help for each."""

    archives: tuple[Path, ...]
    sites: MaskSource | None
    min_score: float | None
    model: ModelRequest | None
    baselines: tuple[str, ...]
    draws: int
    strands: bool
    randomise: bool
    windows: int | None
    seed: int
    device: str


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


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """Some windows of the first archive, which all methods are asked for.

    Attributes
    ----------
    rows : ndarray of int, shape (n,)
    one_hot : ndarray of uint8, shape (n, 4, L)
        On the forward strand.
    reverse : ndarray of bool, shape (n,)
        Whether the model reads the reverse complement.
    sites : ndarray of bool, shape (n, L), or None
    """

    rows: npt.NDArray[np.intp]
    one_hot: OneHot
    reverse: npt.NDArray[np.bool_]
    sites: npt.NDArray[np.bool_] | None

    def seen(self, i: int) -> OneHot:
        """Give a window as the model reads it."""
        return self.one_hot[i, ::-1, ::-1] if self.reverse[i] else self.one_hot[i]


Method = Callable[[_Windows], Reals]
"""Gives the relevance of each position, shape (n, L), on the forward strand."""


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
        prepared: list[PreparedModel] = []
        if options.model is not None:
            device = choose_device(options.device)
            logger.info("device: %s", prepare_device(device))
            model = load_model(options.model)
            for reader in readers:
                _require_made_with(model, reader)
            prepared = [_prepared(reader, model, device) for reader in readers]
        parts = [_of_target(options, readers, prepared, t) for t in range(readers[0].n_targets)]
    names = readers[0].target_names
    return Evaluation(*(_joined(names, tables) for tables in zip(*parts, strict=True)))


def _of_target(
    options: EvaluateOptions, readers: Sequence[ArchiveReader], prepared: Sequence[PreparedModel], target: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    names = [path.stem for path in options.archives]
    methods: dict[str, Method] = {
        name: _Archived(reader, target) for name, reader in zip(names, readers, strict=True)
    }
    scorer = None
    if prepared:
        scorer = Scorer(prepared[0].explainer, prepared[0].model.layout, target)
        methods |= {name: _baseline(name, scorer, prepared[0]) for name in options.baselines}
    chosen = _chosen(options, readers[0], target)
    rows: list[dict[str, Any]] = []
    curves_of: dict[str, list[Curves]] = {}
    for windows in _batches(options, readers[0], chosen):
        maps = {name: method(windows) for name, method in methods.items()}
        for i in range(len(windows.rows)):
            drawn = {} if scorer is None or not options.draws else _curves(windows, i, maps, scorer, options)
            rows += _rows(windows, i, maps, drawn)
            for name, values in drawn.items():
                curves_of.setdefault(name, []).append(values)
    table = pd.DataFrame(rows)
    for name, reader in zip(names, readers, strict=True):
        mine = table["method"] == name
        table.loc[mine, "conservation_error"] = reader.column("conservation_error", target)[chosen]
    randomised: list[dict[str, Any]] = []
    for name, reader, model in zip(names, readers, prepared, strict=False):
        if options.strands:
            agreements = [_strands(w, model, target) for w in _batches(options, readers[0], chosen)]
            table.loc[table["method"] == name, "strand_agreement"] = np.concatenate(agreements)
        if options.randomise:
            n = min(RANDOMISED, len(chosen))
            some = [*_batches(options, readers[0], chosen[np.arange(n) * len(chosen) // n])]
            lines = _randomised(model, reader, some, target, options)
            randomised += [{"method": name, **line} for line in lines]
    return table, _mean_curves(curves_of), pd.DataFrame(randomised)


def _rows(
    windows: _Windows, i: int, maps: Mapping[str, Reals], drawn: Mapping[str, Curves]
) -> list[dict[str, Any]]:
    """Give the row of each method for one window; and one of the random order, if curves were drawn."""
    reference = next(iter(maps))
    mask = None if windows.sites is None else windows.sites[i]
    rows = []
    for name in dict.fromkeys([*maps, *drawn]):
        row: dict[str, Any] = {"method": name, "window": int(windows.rows[i])}
        if name in maps:
            row |= map_metrics(maps[name][i], mask)
            if name != reference:
                row["agreement_with_first"] = rank_correlation(maps[name][i], maps[reference][i])
        if name in drawn:
            row["deletion_drop"] = drawn[name].deletion_drop
            row["insertion_rise"] = drawn[name].insertion_rise
        rows.append(row)
    return rows


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


def _require_made_with(model: LoadedModel, reader: ArchiveReader) -> None:
    """Stop where an archive is of another model than the one that is asked."""
    made_with = read_manifest(reader).models
    if len(made_with) > 1:
        raise InputError(
            f"{reader.path} is the mean of several models; evaluate asks one, so give archives of each alone"
        )
    if made_with[0].digests != [FileEntry.of(path).sha256 for path in model.files]:
        raise InputError(
            f"{reader.path} was made with the model '{made_with[0].name}' from other files than the given"
            f" '{model.name}'; give the model it is of"
        )


def _chosen(options: EvaluateOptions, reader: ArchiveReader, target: int) -> npt.NDArray[np.intp]:
    """Number the windows that score enough and hold a site, evenly thinned out."""
    score = reader.column("score", target)
    fits = np.ones(len(score), bool) if options.min_score is None else score > options.min_score
    if options.sites is not None:
        for rows in reader.chunks():
            fits[rows] &= options.sites(reader, rows).any(axis=1)
    chosen = np.flatnonzero(fits)
    if not len(chosen):
        raise InputError("no window holds a site and scores enough; nothing to evaluate")
    n = len(chosen) if options.windows is None else min(options.windows, len(chosen))
    return chosen[np.arange(n) * len(chosen) // n]


def _batches(
    options: EvaluateOptions, reader: ArchiveReader, chosen: npt.NDArray[np.intp]
) -> Iterator[_Windows]:
    for first in range(0, len(chosen), AT_ONCE):
        rows = chosen[first : first + AT_ONCE]
        one_hot, _ = reader.read(rows)
        reverse = np.array([window.strand == "-" for window in reader.windows(rows)])
        yield _Windows(rows, one_hot, reverse, options.sites and options.sites(reader, rows))


class _Archived:
    """The contributions of an archive."""

    def __init__(self, reader: ArchiveReader, target: int) -> None:
        self.reader, self.target = reader, target

    def __call__(self, windows: _Windows) -> Reals:
        return self.reader.contributions(windows.rows, self.target)


def _gradient(scorer: Scorer, _: PreparedModel, seen: OneHot) -> Reals:
    return scorer.gradient_times_input(seen)


def _mutagenesis(scorer: Scorer, _: PreparedModel, seen: OneHot) -> Reals:
    return np.stack([mutagenesis(window, scorer.scores) for window in seen])


def _deeplift_shap(scorer: Scorer, model: PreparedModel, seen: OneHot) -> Reals:
    return deeplift_shap(model.model, scorer.target, seen)


BASELINES: Mapping[str, Callable[[Scorer, PreparedModel, OneHot], Reals]] = MappingProxyType(
    {"gradient-x-input": _gradient, "mutagenesis": _mutagenesis, "deeplift-shap": _deeplift_shap}
)
"""Methods that are computed on the spot, on what the model reads, shape (n, 4, L): give shape (n, L)."""


def _baseline(name: str, scorer: Scorer, model: PreparedModel) -> Method:
    def of_windows(windows: _Windows) -> Reals:
        seen = np.stack([windows.seen(i) for i in range(len(windows.rows))])
        values = BASELINES[name](scorer, model, seen)
        return np.where(windows.reverse[:, np.newaxis], values[:, ::-1], values)

    return of_windows


def _curves(
    windows: _Windows, i: int, maps: Mapping[str, Reals], scorer: Scorer, options: EvaluateOptions
) -> dict[str, Curves]:
    """Draw the curves of each method, and of a random order, for one window."""
    seen = windows.seen(i)
    letters = bytes(LETTERS[c] for c in np.where(seen.any(axis=0), seen.argmax(axis=0), len(LETTERS) - 1))
    number = int(windows.rows[i]) * options.draws
    shuffled = [shuffle_dinucleotides(letters, options.seed, number + d) for d in range(options.draws)]
    backgrounds = np.stack([encode(text) for text in shuffled])
    drawn = {}
    for name in (*maps, RANDOM):
        ranking = np.zeros(seen.shape[1]) if name == RANDOM else maps[name][i]
        if windows.reverse[i]:
            ranking = ranking[::-1]
        rng = np.random.default_rng([options.seed, number])
        drawn[name] = curves(seen, ranking, backgrounds, scorer.scores, rng)
    return drawn


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


def _prepared(reader: ArchiveReader, model: LoadedModel, device: torch.device) -> PreparedModel:
    """Make the model explain as it did for an archive."""
    settings = read_manifest(reader).settings
    try:
        return prepare(settings, "", model, device)
    except TargetError:
        if len(settings.targets) > 1:
            raise
        # A single scalar is explained without being named, and its name isn't always one to ask for.
        prepared = prepare(replace(settings, targets=()), "", model, device)
        if prepared.explainer.targets[0].name != settings.targets[0]:
            raise
        return prepared


def _explained(model: PreparedModel, windows: _Windows, target: int, *, opposite: bool = False) -> Reals:
    reverse = (windows.reverse ^ opposite).tolist()
    hypothetical = model.windows.explain(windows.one_hot, reverse).hypothetical[target]
    contributions: Reals = (hypothetical * windows.one_hot).sum(axis=1)
    return contributions


def _strands(windows: _Windows, model: PreparedModel, target: int) -> npt.NDArray[np.float64]:
    """Correlate the maps of both strands, both on forward coordinates."""
    there, back = (_explained(model, windows, target, opposite=o) for o in (False, True))
    return np.array([rank_correlation(a, b) for a, b in zip(there, back, strict=True)])


def _randomised(
    model: PreparedModel,
    reader: ArchiveReader,
    windows: Sequence[_Windows],
    target: int,
    options: EvaluateOptions,
) -> Iterator[dict[str, Any]]:
    """Shuffle the weights of more and more layers, the last first (Adebayo et al. 2018), several times.

    One draw says little: where the sign of the score flips, so does the map. So magnitudes are compared too.
    """
    before = np.concatenate([_explained(model, w, target) for w in windows])
    correlations: dict[int, list[tuple[float, float]]] = {}
    for draw in range(DRAWS):
        generator = torch.Generator().manual_seed(options.seed * DRAWS + draw)
        for stage, module in _shuffled_models(model.model.module, generator):
            other = _prepared(
                reader, replace(model.model, module=module, notes=()), model.explainer.graph.device
            )
            after = np.concatenate([_explained(other, w, target) for w in windows])
            pairs = list(zip(before, after, strict=True))
            signed = pd.Series([rank_correlation(a, b) for a, b in pairs]).mean()
            magnitudes = pd.Series([rank_correlation(np.abs(a), np.abs(b)) for a, b in pairs]).mean()
            correlations.setdefault(stage, []).append((float(signed), float(magnitudes)))
    for stage, values in correlations.items():
        # Not defined where every draw gives a constant map.
        draws = pd.DataFrame(values, columns=["signed", "magnitudes"])
        yield {
            "layers_shuffled": stage,
            "correlation": draws["signed"].mean(),
            "sd_over_draws": draws["signed"].std(ddof=0),
            "correlation_of_magnitudes": draws["magnitudes"].mean(),
        }


def _shuffled_models(
    module: torch.nn.Module, generator: torch.Generator
) -> Iterator[tuple[int, torch.nn.Module]]:
    """Give copies of which ever more layers, counted from the last, have their weights in another order."""
    module = copy.deepcopy(module)
    layers = [m for m in module.modules() if any(True for _ in m.parameters(recurse=False))][::-1]
    done = 0
    for stage in sorted({round(k * len(layers) / MOST_STAGES) for k in range(1, MOST_STAGES + 1)} - {0}):
        for layer in layers[done:stage]:
            for weight in layer.parameters(recurse=False):
                order = torch.randperm(weight.numel(), generator=generator)
                weight.data = weight.data.flatten()[order].reshape(weight.shape)
        done = stage
        yield stage, module
