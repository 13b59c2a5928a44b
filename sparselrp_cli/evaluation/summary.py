"""Tables of an evaluation: means of each method, and paired differences from the first."""

import pandas as pd

from sparselrp_cli.errors import number_of
from sparselrp_cli.evaluation.intervals import interval

KEYS = ["method", "target"]
# Of every map there is; a random order, which has only curves, has none.
OF_MAPS = "zero_share"
# The same for every method.
OF_WINDOWS = ("background_score",)
# In which windows a metric isn't defined, see `metrics`.
NOT_DEFINED = {
    "whose relevance is nowhere positive": ("mass_in_sites",),
    "whose relevance is zero throughout": ("gini", "complexity"),
    "whose every position is in a site": ("auroc",),
    "where a map is the same at every position": ("agreement_with_first", "strand_agreement"),
    "where a map or mutagenesis is the same throughout": ("ism_r", "var_r"),
    "which don't score more than their background": ("deletion_share", "insertion_share"),
    "which hold no whole site": ("site_ap",),
    "none of whose matched bases is informative": ("auprc_informative",),
}


def means(per_window: pd.DataFrame) -> pd.DataFrame:
    """Average over windows: a row per method and target.

    Columns: method, target, windows, without_relevance (windows without positive relevance, which
    mass_in_sites leaves out), then the metrics. A mean is over the windows in which the metric is defined,
    see `undefined`.
    """
    metrics = _metrics(per_window)
    grouped = per_window.groupby(KEYS, sort=False)
    table = grouped[metrics].mean()
    table.insert(0, "windows", grouped.size())
    if "mass_in_sites" in metrics:
        missing = per_window["mass_in_sites"].isna() & per_window[OF_MAPS].notna()
        table.insert(1, "without_relevance", missing.groupby([per_window[k] for k in KEYS], sort=False).sum())
    return table.reset_index()


def undefined(per_window: pd.DataFrame) -> list[str]:
    """Say which metrics of which methods aren't defined in some windows, which their means leave out.

    Returns
    -------
    list of str
        A line for each method, target and reason.
    """
    lines = []
    first = per_window["method"].iloc[0]
    for (method, target), part in per_window.groupby(KEYS, sort=False):
        maps = part[part[OF_MAPS].notna()]
        for reason, metrics in NOT_DEFINED.items():
            missing = maps[[m for m in metrics if _applies(m, maps, is_first=method == first)]].isna().sum()
            names = missing.index[missing > 0]
            if len(names):
                lines.append(
                    f"{method}, {target}: {' and '.join(names)} not defined in {missing.max()} of"
                    f" {number_of(len(maps), 'window')}, {reason}; left out of the means"
                )
    return lines


def _applies(metric: str, maps: pd.DataFrame, *, is_first: bool) -> bool:
    """Whether a metric was asked for: the first isn't compared with itself, nor the strands of a baseline."""
    if metric not in maps.columns:
        return False
    if metric == "agreement_with_first":
        return not is_first
    return metric != "strand_agreement" or bool(maps["conservation_error"].notna().any())


def differences(per_window: pd.DataFrame) -> pd.DataFrame:
    """Compare each method with the first on the same windows.

    Columns: method, target, metric, difference, low, high (95 % bootstrap interval over windows), windows.
    """
    first = per_window["method"].iloc[0]
    rows = []
    for target, part in per_window.groupby("target", sort=False):
        wide = part.set_index(["window", "method"])
        for metric in (m for m in _metrics(per_window) if m not in OF_WINDOWS):
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
