"""What the figures say of the defaults, by the rule that was written down before them (RESULTS.md).

Windows of a data set are pooled over seeds and networks. A method is good on a data set and metric if it is
the best candidate there, or can't be told from it: the 95 % interval of the paired difference reaches 0; for
the deletion share also within `WITHIN` of the best.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sparselrp_cli.evaluation.intervals import interval

DECIDING = ("ism_r", "var_r", "insertion_share", "deletion_share")
TITLES = {
    "ism_r": "ISM r", "var_r": "var r", "insertion_share": "insertion", "deletion_share": "deletion",
    "abpc": "abpc", "site_ap": "site AP", "auprc_informative": "AUPRC inf.", "mass_in_sites": "mass",
    "gini": "Gini", "zero_share": "zeros",
}  # fmt: skip
WITHIN = 0.03
Row = Mapping[str, Any]
Pooled = dict[str, dict[str, np.ndarray]]
"""By method, the figure of every window, by metric."""


def name_of(row: Row) -> str:
    """Call a method by all that sets it apart."""
    if not row.get("composite"):
        return str(row["method"])
    words = [str(row["method"]), str(row["composite"])]
    if row.get("gamma"):
        words.append(f"gamma={row['gamma']:g}")
    if row["p"] not in (0, 0.0):
        words.append(f"p={row['p'] if isinstance(row['p'], str) else format(row['p'], 'g')}")
    if row.get("select"):
        words.append(f"select {row['select']}")
    words += [word for word in ("centred", "strands") if row.get(word)]
    return " ".join(words)


def is_candidate(row: Row) -> bool:
    """Whether a method takes one gradient, or one walk of LRP or PLRP-lambda under a preset.

    Another gamma was tried after the rule was written, on the same data; see `of_any_gamma`.
    """
    return of_any_gamma(row) and not row.get("gamma")


def of_any_gamma(row: Row) -> bool:
    """Whether a method is a candidate where gamma = 0.1 is let in."""
    named = ("gradient x input", "gradient x input, centred", "LRP", "PLRP-lambda")
    return row["gradients"] == 1 and row["method"] in named


def pooled(rows: Sequence[Row]) -> tuple[Pooled, dict[str, Row]]:
    """Join the windows of all networks of a data set; give also a row that describes each method."""
    found: dict[str, dict[str, list[float]]] = {}
    about: dict[str, Row] = {}
    for row in rows:
        name = name_of(row)
        about.setdefault(name, row)
        of_method = found.setdefault(name, {})
        for metric in TITLES:
            if metric in row:
                of_method.setdefault(metric, []).extend(np.nan if v is None else v for v in row[metric])
    arrays = {name: {m: np.array(v) for m, v in metrics.items()} for name, metrics in found.items()}
    return arrays, about


def good(found: Pooled, candidates: Sequence[str], metric: str) -> set[str]:
    """Name the methods that are the best candidate by a metric, or can't be told from it."""
    means = {name: np.nanmean(found[name][metric]) for name in candidates}
    best = max(means, key=lambda name: means[name])
    named = set()
    for name, metrics in found.items():
        if metric not in metrics or np.isnan(metrics[metric]).all():
            continue
        difference = metrics[metric] - found[best][metric]
        close = metric == "deletion_share" and np.nanmean(difference) >= -WITHIN
        if name == best or close or interval(difference).high >= 0:
            named.add(name)
    return named


def verdicts(
    data: Mapping[str, Sequence[Row]], candidate: Callable[[Row], bool] = is_candidate
) -> pd.DataFrame:
    """Give a row for each data set and method: its means, its cost, and which metrics it is good by.

    A `candidate` is told by one of its rows.

    Columns: data, name, candidate, cost, a mean for each metric of `TITLES`, and `METRIC good`.
    """
    lines = []
    for label, rows in data.items():
        found, about = pooled(rows)
        candidates = [name for name, row in about.items() if candidate(row)]
        goods = {metric: good(found, candidates, metric) for metric in DECIDING}
        for name, metrics in found.items():
            costs = [row["cost"] for row in rows if name_of(row) == name]
            line = {
                "data": label,
                "name": name,
                "candidate": name in candidates,
                "cost": float(np.mean(costs)),
            }
            line |= {m: float(np.nanmean(v)) if not np.isnan(v).all() else np.nan for m, v in metrics.items()}
            lines.append(line | {f"{m} good": name in goods[m] for m in DECIDING})
    return pd.DataFrame(lines)


def counts(table: pd.DataFrame) -> pd.Series:
    """Count for each candidate on how many pairs of data set and metric it is good."""
    candidates = table[table["candidate"]]
    by_pair = candidates[[f"{metric} good" for metric in DECIDING]].sum(axis=1)
    return by_pair.groupby(candidates["name"], sort=False).sum().sort_values(ascending=False, kind="stable")
