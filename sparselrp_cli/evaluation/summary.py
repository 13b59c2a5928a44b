"""Tables of an evaluation: means of each method, and paired differences from the first."""

import pandas as pd

from sparselrp_cli.evaluation.intervals import interval

KEYS = ["method", "target"]


def means(per_window: pd.DataFrame) -> pd.DataFrame:
    """Average over windows: a row per method and target.

    Columns: method, target, windows, without_relevance (windows without positive relevance, which
    mass_in_sites leaves out), then the metrics.
    """
    metrics = _metrics(per_window)
    grouped = per_window.groupby(KEYS, sort=False)
    table = grouped[metrics].mean()
    table.insert(0, "windows", grouped.size())
    if "mass_in_sites" in metrics:
        missing = per_window["mass_in_sites"].isna() & per_window["gini"].notna()
        table.insert(1, "without_relevance", missing.groupby([per_window[k] for k in KEYS], sort=False).sum())
    return table.reset_index()


def differences(per_window: pd.DataFrame) -> pd.DataFrame:
    """Compare each method with the first on the same windows.

    Columns: method, target, metric, difference, low, high (95 % bootstrap interval over windows), windows.
    """
    first = per_window["method"].iloc[0]
    rows = []
    for target, part in per_window.groupby("target", sort=False):
        wide = part.set_index(["window", "method"])
        for metric in _metrics(per_window):
            values = wide[metric].unstack("method")
            for method in (name for name in values.columns if name != first):
                found = interval(values[method] - values[first])
                if found.windows:
                    rows.append(
                        {
                            "method": method, "target": target, "metric": metric, "difference": found.mean,
                            "low": found.low, "high": found.high, "windows": found.windows,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows, columns=["method", "target", "metric", "difference", "low", "high", "windows"])


def _metrics(per_window: pd.DataFrame) -> list[str]:
    return [column for column in per_window.columns if column not in (*KEYS, "window")]
