"""One way for all evidence: a network's windows explained by many methods, measured by every metric.

`compare` gives a `Comparison`: for each method its measured cost and each metric for each window, so that
any two methods can be compared in pairs. `leads` does that against the best method of one walk.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.evidence.baselines import ModuleGradient, Mutagenesis, baselines, maps_of
from benchmarks.evidence.methods import Method, refined
from benchmarks.timing import interleaved, ratios
from sparselrp_cli.evaluation.effects import ism_r, var_r
from sparselrp_cli.evaluation.faithfulness import SHARES, OneHot, curves_of_maps, shuffled_backgrounds
from sparselrp_cli.evaluation.intervals import interval
from sparselrp_cli.evaluation.methods import Maps
from sparselrp_cli.evaluation.mutagenesis import SingleChanges
from sparselrp_cli.evaluation.site_metrics import Sites
from sparselrp_cli.evaluation.window_metrics import window_metrics
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.choices import UNIFORM
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.sequences.one_hot import reverse_complement

AT_ONCE, POSITIONS = 8, 8000
"""Windows explained together, and timed together, and positions of these; one window at least."""
ROUNDS = 5
DRAWS = 2
RANDOM, CEILING = "random order", "mutagenesis"
DECIDING = ("ism_r", "var_r", "insertion_share", "deletion_share")
"""What defaults are decided by; see the rule on the page of results."""
SHOWN = (*DECIDING, "abpc", "site_ap", "auprc_informative", "mass_in_sites", "gini", "zero_share")
ABOUT = ("method", "composite", "gamma", "p", "centred", "select", "strands")
DIGITS = 5
"""Kept of each figure of a window, of those that count."""

PLAIN = Method("zero", "LRP", Pruning(0.0))

EVERYWHERE = slice(None)

Run = Callable[[np.ndarray], Maps]


@dataclass(frozen=True)
class Subject:
    """A network and the number of it that is explained.

    Attributes
    ----------
    module : nn.Module
        In evaluation mode; its parameters take no gradients.
    graph : CanonicalGraph
        Of the module.
    target : Target
    layout : InputLayout
    names : tuple of OutputNames or None
        Where the target names outputs by position or task axes that aren't plain.
    """

    module: nn.Module
    graph: CanonicalGraph
    target: Target
    layout: InputLayout = field(default_factory=InputLayout)
    names: tuple[OutputNames, ...] | None = None

    def explainer(self, method: Method) -> Explainer:
        """Make what explains by a method."""
        return Explainer(
            self.graph, [self.target], self.names, method.rules(), method.pruning,
            centre=UNIFORM if method.centred else None,
        )  # fmt: skip

    def gradient(self) -> ModuleGradient:
        """Make what scores windows and gives their gradients."""
        return ModuleGradient(self.module, self.explainer(PLAIN), self.layout)

    def changes(self) -> SingleChanges:
        """Make what scores every single change."""
        return SingleChanges(self.explainer(PLAIN), self.layout)


@dataclass(frozen=True)
class Windows:
    """What is explained.

    Attributes
    ----------
    one_hot : ndarray of uint8, shape (n, 4, L)
        As the model reads them.
    sites : sequence of Sites or None
        Of each window.
    backgrounds : ndarray of uint8, shape (n, draws, 4, L), or None
        What replaces positions; shuffles by default.
    within : slice
        The positions that mutagenesis changes; `ism_r` and `var_r` are over these.
    shares : tuple of float
        Of positions that are replaced along the curves.
    draws : int
        Shuffles of each window, where they aren't given.
    """

    one_hot: OneHot
    sites: Sequence[Sites] | None = None
    backgrounds: OneHot | None = None
    within: slice = field(default_factory=lambda: EVERYWHERE)
    shares: tuple[float, ...] = SHARES
    draws: int = DRAWS

    def replacements(self) -> OneHot:
        """Give the backgrounds, or shuffles."""
        if self.backgrounds is None:
            return shuffled_backgrounds(self.one_hot, self.draws)
        return self.backgrounds


@dataclass(frozen=True)
class Way:
    """A method that is compared.

    Attributes
    ----------
    about : mapping
        Its name, composite and proportion.
    gradients : float
        Its cost by count, in gradients or walks: 1 is a method of a single walk.
    run : callable
        Gives the maps of windows (n, 4, L).
    """

    about: dict[str, Any]
    gradients: float
    run: Run


@dataclass(frozen=True)
class Comparison:
    """The figures.

    Attributes
    ----------
    ways : list of mapping
        For each method its name, composite, proportion, cost by count and cost as measured, in gradients.
    metrics : list of DataFrame
        Of each, a row for each window.
    """

    ways: list[dict[str, Any]]
    metrics: list[pd.DataFrame]

    def rows(self) -> list[dict[str, Any]]:
        """Give a row for each method, as it is kept: of each metric a list with a figure for each window."""
        return [
            way | {str(name): [_rounded(x) for x in table[name]] for name in table}
            for way, table in zip(self.ways, self.metrics, strict=True)
        ]


class Walk:
    """Explains by a method of rules."""

    def __init__(self, subject: Subject, method: Method) -> None:
        self.method, self.layout = method, subject.layout
        self.explainer = subject.explainer(method)
        lrp = Method(method.composite, "LRP", Pruning(0.0), method.entries, centred=method.centred)
        self.unpruned = subject.explainer(lrp) if method.refined else None

    def __call__(self, one_hot: np.ndarray) -> Maps:
        pruned = maps_of(one_hot, self._hypothetical(self.explainer, one_hot))
        if self.unpruned is None:
            return pruned
        lrp = maps_of(one_hot, self._hypothetical(self.unpruned, one_hot)).contributions
        ranked = [refined(a, b) for a, b in zip(pruned.contributions, lrp, strict=True)]
        return Maps(np.stack(ranked), pruned.hypothetical)

    def _hypothetical(self, explainer: Explainer, one_hot: np.ndarray) -> np.ndarray:
        found = self._strand(explainer, one_hot, mirrored=False)
        if self.method.strands:
            other = self._strand(explainer, reverse_complement(one_hot), mirrored=True)
            found = (found + reverse_complement(other)) / 2
        return found

    def _strand(self, explainer: Explainer, one_hot: np.ndarray, *, mirrored: bool) -> np.ndarray:
        graph = explainer.graph
        x = torch.from_numpy(np.ascontiguousarray(one_hot)).to(graph.device, graph.dtype)
        (found,) = explainer.explain(self.layout.to_model(x), mirrored=mirrored)
        return self.layout.from_model(found.hypothetical).cpu().numpy()


def ways(subject: Subject, methods: Iterable[Method], window: int) -> Iterator[Way]:
    """Give the baselines, gradient x input first, then the methods."""
    for baseline in baselines(subject.module, subject.gradient(), subject.layout, window):
        yield Way({"method": baseline.name}, baseline.gradients, baseline.run)
    for method in methods:
        walk = Walk(subject, method)
        about = {"method": method.name, "composite": method.composite, "p": method.p}
        about |= {"centred": method.centred, "select": method.select, "strands": method.strands}
        about["gamma"] = method.gamma
        yield Way(about, method.walks, walk)


def compare(
    subject: Subject, windows: Windows, methods: Iterable[Method], rounds: int = ROUNDS
) -> Comparison:
    """Explain windows by every method and baseline, and measure each.

    Rows of the random order and of mutagenesis, the ceiling, come last.

    Parameters
    ----------
    subject : Subject
    windows : Windows
    methods : iterable of Method
    rounds : int
        How often each is timed.
    """
    every = list(ways(subject, methods, windows.one_hot.shape[2]))
    costs = measured_costs(every, windows.one_hot, rounds)
    truth, cost = mutated(subject, windows.one_hot, windows.within)
    metrics = partial(measured, subject, windows, truth)
    found, tables = [], []
    for way, measured_cost in zip(every, costs, strict=True):
        maps = in_parts(way.run, windows.one_hot)
        found.append(way.about | {"gradients": way.gradients, "cost": measured_cost})
        tables.append(metrics(maps.contributions, maps.hypothetical))
    found += [{"method": RANDOM, "gradients": 0.0, "cost": 0.0}, cost]
    tables += [metrics(np.zeros_like(truth.contributions), None)]
    tables += [metrics(truth.contributions, truth.hypothetical)]
    return Comparison(found, tables)


def measured(
    subject: Subject,
    windows: Windows,
    truth: Maps,
    contributions: np.ndarray,
    hypothetical: np.ndarray | None,
) -> pd.DataFrame:
    """Measure maps of the windows, a row for each; `truth` is mutagenesis."""
    scores, backgrounds = subject.changes().scores, windows.replacements()
    near, some = windows.within, windows.one_hot[:, :, windows.within]
    curves = curves_of_maps(windows.one_hot, contributions, scores, backgrounds, shares=windows.shares)
    table = window_metrics(windows.one_hot, contributions, curves=curves, sites=windows.sites)
    effects = truth.hypothetical[:, :, near]
    table["ism_r"] = [*map(ism_r, contributions[:, near], effects, some)]
    table["var_r"] = (
        np.nan if hypothetical is None else [*map(var_r, hypothetical[:, :, near], effects, some)]
    )
    return table


def compared(
    title: str, subject: Subject, windows: Windows, methods: Iterable[Method], rounds: int = ROUNDS
) -> list[dict[str, Any]]:
    """Compare, print the table, and give the rows that are kept."""
    began = time.perf_counter()
    found = compare(subject, windows, methods, rounds)
    print(f"\n{title}, {len(windows.one_hot)} windows, {time.perf_counter() - began:.0f} s")
    print(table(leads(found)), flush=True)
    return found.rows()


def at_once(one_hot: np.ndarray) -> int:
    """Say how many windows (n, 4, L) are explained together."""
    return min(AT_ONCE, max(1, POSITIONS // one_hot.shape[2]))


def in_parts(run: Run, one_hot: np.ndarray) -> Maps:
    """Explain a few windows at a time."""
    size = at_once(one_hot)
    parts = [run(one_hot[first : first + size]) for first in range(0, len(one_hot), size)]
    return Maps(
        np.concatenate([part.contributions for part in parts]),
        np.concatenate([part.hypothetical for part in parts]),
    )


def measured_costs(compared: Sequence[Way], one_hot: np.ndarray, rounds: int) -> list[float]:
    """Time each method on the same windows, in turns: medians of ratios to the first, the gradient."""
    few = one_hot[: at_once(one_hot)]
    runs = {str(number): lambda way=way: way.run(few) for number, way in enumerate(compared)}
    found = ratios(interleaved(runs, rounds, torch.device("cpu")), "0") | {"0": 1.0}
    return [found[str(number)] for number in range(len(compared))]


def mutated(subject: Subject, one_hot: np.ndarray, within: slice) -> tuple[Maps, dict[str, Any]]:
    """Score every single change; the cost is the median over windows, a gradient timed beside each."""
    gradient = subject.gradient()
    run, parts, costs = Mutagenesis(subject.changes(), within), [], []
    few = one_hot[: at_once(one_hot)]
    for number in range(len(one_hot)):
        began = time.perf_counter()
        gradient.gradient(few)
        between = time.perf_counter()
        parts.append(run(one_hot[number : number + 1]))
        costs.append((time.perf_counter() - between) / ((between - began) / len(few)))
    maps = Maps(
        np.concatenate([part.contributions for part in parts]),
        np.concatenate([part.hypothetical for part in parts]),
    )
    return maps, {"method": CEILING, "gradients": 3.0 * one_hot.shape[2], "cost": float(np.median(costs))}


def leads(comparison: Comparison, metrics: Sequence[str] = DECIDING) -> list[dict[str, Any]]:
    """Compare every method with the best of one walk, metric by metric, over the windows of both.

    Returns
    -------
    list of mapping
        For each method the mean of each metric, its cost, and of the difference to the best method of one
        walk (by the mean) the 95 % interval, paired by windows: `NAME low`, `NAME high`.
    """
    rows = [
        way | {name: float(table[name].mean()) for name in SHOWN if name in table}
        for way, table in zip(comparison.ways, comparison.metrics, strict=True)
    ]
    single = [number for number, way in enumerate(comparison.ways) if way["gradients"] == 1]
    for name in metrics:
        best = max(single, key=lambda number: -np.inf if np.isnan(rows[number][name]) else rows[number][name])
        for row, table in zip(rows, comparison.metrics, strict=True):
            found = interval(table[name].to_numpy() - comparison.metrics[best][name].to_numpy())
            row[f"{name} low"], row[f"{name} high"] = found.low, found.high
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A table of `leads`; * marks what can't be told from the best method of one walk, or is better."""
    lines = []
    for row in rows:
        line = {name: _plain(row.get(name)) for name in ABOUT}
        line["cost"] = f"{row['cost']:.1f}"
        for name in SHOWN:
            if name in row:
                mark = "*" if row.get(f"{name} high", -1.0) >= 0 else ""
                line[name] = f"{row[name]:.3f}{mark}"
        lines.append(line)
    return pd.DataFrame(lines).to_string(index=False)


def _plain(value: object) -> str:
    if value is None or value is False:
        return "-"
    return "yes" if value is True else str(value)


def _rounded(value: float) -> float | None:
    """Round to what is kept; what isn't a number is null in JSON."""
    return None if np.isnan(value) else float(f"{value:.{DIGITS}g}")
