"""What `probe` writes: tables, a line for each insert, pair or motif and target."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparselrp_cli.evaluation.intervals import Interval, interval
from sparselrp_cli.outputs.tables import Table
from sparselrp_cli.probing.deletions import Deletion
from sparselrp_cli.probing.effects import EACH, Effect
from sparselrp_cli.probing.pairs import Interaction

OF_EFFECTS = (
    "insert", "letters", "start", "target", "backgrounds", "score_before", "effect", "sd", "low", "high",
    "control", "control_low", "control_high", "specific", "specific_low", "specific_high",
    "relevance", "relevance_low", "relevance_high", "relevance_before", "elsewhere", "elsewhere_low",
    "elsewhere_high",
)  # fmt: skip
OF_BACKGROUNDS = ("insert", "target", "background", *EACH)
OF_PAIRS = (
    "left", "right", "orientation", "spacing", "target", "backgrounds", "observed", "expected",
    "interaction", "low", "high",
)  # fmt: skip
OF_HITS = (
    "chrom", "start", "end", "name", "strand", "window", "target", "score", "relevance", "effect", "sd",
)  # fmt: skip
WORDS = frozenset(
    {
        "insert", "letters", "target", "left", "right", "orientation", "chrom", "name", "strand", "window",
    }
)  # fmt: skip
"""Columns that aren't numbers."""
OF_DELETIONS = ("name", "target", "hits", "effect", "sd", "low", "high", "relevance")


def write_effects(path: Path, effects: Sequence[Effect], targets: Sequence[str], seed: int) -> None:
    """Write means over the backgrounds with 95 % intervals (bootstrap over backgrounds)."""
    with Table(path, OF_EFFECTS) as table:
        for effect in effects:
            for t, target in enumerate(targets):
                found = effect.summary(t, seed)
                numbers = [
                    effect.column("score_before", t).mean(), found["effect"].mean, _sd(effect.effects(t)),
                    *_ends(found["effect"]), *_whole(found["control"]), *_whole(found["specific"]),
                    *_whole(found["relevance"]), found["relevance_before"].mean, *_whole(found["elsewhere"]),
                ]  # fmt: skip
                insert = effect.insert
                n = str(found["effect"].windows)
                table.write(
                    (insert.name, insert.letters, str(effect.start), target, n, *map(_shown, numbers))
                )


def write_backgrounds(path: Path, effects: Sequence[Effect], targets: Sequence[str]) -> None:
    """Write the numbers of every background, of which the means are."""
    with Table(path, OF_BACKGROUNDS) as table:
        for effect in effects:
            for t, target in enumerate(targets):
                for n, numbers in enumerate(effect.numbers[:, t].T):
                    table.write((effect.insert.name, target, str(n), *map(_shown, numbers)))


def write_pairs(path: Path, found: Sequence[Interaction], targets: Sequence[str], seed: int) -> None:
    """Write what pairs do together, beside the sum of what each does alone."""
    with Table(path, OF_PAIRS) as table:
        for each in found:
            for t, target in enumerate(targets):
                summary = each.summary(t, seed)
                means = [summary[name].mean for name in ("observed", "expected", "interaction")]
                pair = each.pair.left.name, each.pair.right.name
                place = each.orientation, str(each.spacing), target, str(summary["observed"].windows)
                numbers = (*means, *_ends(summary["interaction"]))
                table.write((*pair, *place, *map(_shown, numbers)))


def write_hits(path: Path, deletions: Iterable[Deletion], targets: Sequence[str]) -> list[Deletion]:
    """Write every hit as it is taken out; give them all."""
    kept = []
    with Table(path, OF_HITS) as table:
        for each in deletions:
            kept.append(each)
            hit = each.hit
            place = hit.chrom, str(hit.start), str(hit.end), hit.name, hit.strand, each.window.name
            for t, target in enumerate(targets):
                effects = each.effects[t]
                numbers = each.score[t], each.relevance[t], effects.mean(), _sd(effects)
                table.write((*place, target, *map(_shown, numbers)))
    return kept


def write_deletions(
    path: Path, deletions: Sequence[Deletion], targets: Sequence[str], seed: int
) -> dict[str, dict[str, Interval]]:
    """Write the means over the hits of each name; give them, by target and name."""
    found = {target: means_by_name(deletions, t, seed) for t, target in enumerate(targets)}
    with Table(path, OF_DELETIONS) as table:
        for name in found[targets[0]]:
            of_name = [each for each in deletions if each.hit.name == name]
            for t, target in enumerate(targets):
                mean = found[target][name]
                effects = np.array([each.effects[t].mean() for each in of_name])
                relevance = float(np.mean([each.relevance[t] for each in of_name]))
                numbers = (mean.mean, _sd(effects), *_ends(mean), relevance)
                table.write((name, target, str(mean.windows), *map(_shown, numbers)))
    return found


def means_by_name(deletions: Sequence[Deletion], target: int, seed: int) -> dict[str, Interval]:
    """Give the mean effect over the hits of each name, with its 95 % interval (bootstrap over hits)."""
    effects: dict[str, list[float]] = {}
    for each in deletions:
        effects.setdefault(each.hit.name, []).append(float(each.effects[target].mean()))
    return {name: interval(effects[name], seed) for name in sorted(effects)}


def lines_of(
    found: Sequence[Interaction], target: int, seed: int
) -> Mapping[str, list[tuple[float, float, float]]]:
    """Give the interaction of one pair over its spacings, by orientation."""
    lines: dict[str, list[tuple[float, float, float]]] = {}
    for each in found:
        mean = each.summary(target, seed)["interaction"]
        lines.setdefault(each.orientation, []).append((mean.mean, mean.low, mean.high))
    return lines


def _whole(found: Interval) -> tuple[float, float, float]:
    return found.mean, found.low, found.high


def _ends(found: Interval) -> tuple[float, float]:
    return found.low, found.high


def _sd(values: npt.NDArray[np.float64]) -> float:
    """Give the sample standard deviation; none of one value."""
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _shown(value: float) -> str:
    return f"{value:.9g}"
