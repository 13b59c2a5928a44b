"""The tables of RESULTS.md, made from the figures kept in benchmarks/results/."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from benchmarks.evidence.ruling import DECIDING, TITLES, counts, of_any_gamma, verdicts
from benchmarks.record import RESULTS, Row, load

METRICS = {
    "mass_in_sites": "mass in mask",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "gini": "Gini",
    "zero_share": "zeros",
}


def kept(experiment: str, table: str = "rows") -> Sequence[Row]:
    """Rows of a table as measured on the CPU."""
    return load(RESULTS / f"{experiment}_cpu.json").tables[table]


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay out a table."""
    lines = [list(header), ["---"] * len(header), *([cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def spread(values: pd.Series) -> str:
    """Mean and standard deviation over networks."""
    values = values.dropna()
    if not len(values):
        return "-"
    return f"{values.mean():.3f} ± {values.std(ddof=0):.3f}" if len(values) > 1 else f"{values.mean():.3f}"


def _with_p(rows: Sequence[Row]) -> pd.DataFrame:
    """Make a table whose proportions can be compared and written."""
    table = pd.DataFrame(rows)
    return table.assign(p=table["p"].map(lambda p: p if isinstance(p, str) else f"{p:g}"))


def _by_method(table: pd.DataFrame, keys: list[str], columns: dict[str, str]) -> str:
    """Means and spread over networks, a line each method."""
    rows = [
        [*key, *(spread(part[column]) for column in columns)] for key, part in table.groupby(keys, sort=False)
    ]
    return markdown([*keys, *columns.values()], rows)


def number(row: Row, column: str) -> float:
    value = row.get(column)
    return float("nan") if value is None else float(value)


def weak_sites() -> str:
    rows = kept("weak_sites", "weak sites")
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


def randomisation() -> str:
    rows = kept("weak_sites", "randomised")
    columns = ["method", "layers_shuffled", "correlation", "sd_over_draws", "correlation_of_magnitudes"]
    header = ["way", "layers shuffled, from the last", "correlation", "sd over draws", "of magnitudes"]
    return markdown(header, [[row[column] for column in columns] for row in rows])


def gauge() -> str:
    """How far each way to write the stem moves the map, and what that does to the metrics."""
    rows = kept("gauge")
    names = [TITLES[metric] for metric in DECIDING]
    lines = [
        [row["model"], row["stem"], row["method"], f"{row['map changed by']:.1e}"]
        + [float(row[metric]) for metric in DECIDING]
        for row in rows
    ]
    return markdown(["model", "stem", "method", "map changed by", *names], lines)


def variants() -> str:
    rows = kept("variants")
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


IMAGES = {**METRICS, "flipping_drop": "flipping drop"}


def images() -> str:
    table = _with_p(kept("images"))
    table["select"] = table["select"].fillna("-") if "select" in table else "-"
    return _by_method(table, ["network", "method", "composite", "p", "select"], IMAGES)


def neurons() -> str:
    table = pd.DataFrame(kept("images", "neurons"))
    columns = ["kept", "overlap, one class", "overlap, two classes", "overlap, by chance"]
    grouped = table.groupby(["network", "p", "layer from the output"], sort=False)[columns].mean()
    rows = [[*key, *(float(row[c]) for c in columns)] for key, row in grouped.iterrows()]  # type: ignore[misc]
    return markdown(["network", "p", "layer, from the output", "share kept", *columns[1:]], rows)


def handover() -> str:
    header = ["way", "input", "zeros", "patterns", "of su(Hw)", "seqlets", "of su(Hw)", "Fi-NeMo hits"]
    keys = ("way", "input", "zero share", "patterns", "right patterns", "seqlets", "right seqlets", "hits")
    return markdown(header, [[row[key] for key in keys] for row in kept("handover")])


def remedies() -> str:
    rows = []
    for row in kept("remedies"):
        failed = "stops" if row["failed"] else "runs"
        keys = ("patterns", "right patterns", "motifs", "seqlets", "right seqlets")
        rows.append(
            [row["maps"], row["zero share"], row["remedy"], failed, *(row.get(key, "-") for key in keys)]
        )
    header = ["maps", "zeros", "what is handed over", "TF-MoDISco", "patterns", "right", "of 3 motifs"]
    return markdown([*header, "seqlets", "right"], rows)


def seqlets() -> str:
    names = ("precision", "recall", "base_precision", "base_recall", "recall_at_95", "recall_at_90")
    rows = []
    for row in kept("seqlets"):
        figures = [number(row, name) for name in names]
        rows.append([row["case"], row["method"], row.get("seqlets", row.get("error")), *figures])
    header = ["maps", "method", "seqlets", "precision", "recall", "of bases", "of bases"]
    return markdown([*header, "recall at 95 % precision", "at 90 %"], rows)


def null_calibration() -> str:
    """Of each method, null and sign the runs that called anything, and how much they called."""
    table = pd.DataFrame(kept("null_calibration"))
    rows = [
        [method, {"background": "shuffled windows"}.get(null, null), sign, len(part), int((part > 0).sum()),
         int(part.sum()), int(part.max())]
        for (method, null, sign), part in table.groupby(["method", "null", "sign"], sort=False)["called"]
    ]  # fmt: skip
    header = ["method", "null", "relevance", "runs", "that called any", "seqlets called", "most in a run"]
    return markdown(header, rows)


DEFAULT, BEFORE = "PLRP-lambda epsilon-gamma p=0.1 centred", "PLRP-lambda epsilon-plus p=0.02"
SHOWN_METHODS = {
    DEFAULT: "**the default**: PLRP, epsilon-gamma, p = 0.1, centred",
    "LRP epsilon-gamma centred": "p = 0: LRP",
    "PLRP-lambda epsilon-gamma p=0.02 centred": "p = 0.02",
    "PLRP-lambda epsilon-gamma p=0.05 centred": "p = 0.05",
    "PLRP-lambda epsilon-gamma p=0.25 centred": "p = 0.25",
    "PLRP-lambda epsilon-gamma gamma=0.1 p=0.05 centred": "gamma = 0.1, p = 0.05",
    "PLRP-lambda epsilon-gamma p=0.05 select z-plus centred": "p = 0.05, `--select z-plus`",
    "PLRP-M epsilon-gamma p=0.05 centred": "p = 0.05, `--redistribute m`",
    "PLRP-lambda, then LRP epsilon-gamma p=0.05 centred": "p = 0.05, zeros ranked by LRP",
    "PLRP-lambda epsilon-gamma p=0.05 centred strands": "p = 0.05, both strands",
    BEFORE: "the default before 0.2.0: epsilon-plus, p = 0.02",
    "gradient x input": "gradient x input",
    "gradient x input, centred": "gradient x input, centred",
    "SmoothGrad": "SmoothGrad",
    "integrated gradients": "integrated gradients",
    "DeepLIFT/SHAP": "DeepLIFT/SHAP",
    "mutagenesis": "mutagenesis",
    "random order": "random order",
}
"""Methods of the page, as `ruling.name_of` and the page call them."""
FAITHFUL: dict[str, Callable[[Row], str]] = {
    "faithful-planted": lambda row: str(row["data"]),
    "faithful-suhw": lambda row: str(row["data"]),
    "faithful-insulators": lambda row: str(row["data"]),
    "faithful-splice": lambda row: str(row["data"]),
    "attention": lambda row: f"{row['factor']}, attention",
    "profiles": lambda row: f"{row['factor']}, {row['target']} head",
}
"""Experiments that the defaults are decided by, and what the data set of a row is called."""
OVERVIEW = {
    "ism_r": "ISM r", "var_r": "var r", "insertion_share": "insertion", "deletion_share": "deletion",
    "site_ap": "site AP", "auprc_informative": "AUPRC inf.", "zero_share": "zeros",
}  # fmt: skip


MOST_GAMMAS = 10
"""Candidates that the page lists where another gamma is among them."""


def faithful_data() -> dict[str, list[Row]]:
    """The rows of each data set that the defaults are decided on."""
    data: dict[str, list[Row]] = {}
    for experiment, named in FAITHFUL.items():
        for row in kept(experiment):
            data.setdefault(named(row), []).append(row)
    return data


def overview() -> str:
    """Each method that was run on all data sets: its cost, its means, and on how many pairs it is good."""
    found = verdicts(faithful_data())
    sets = found["data"].nunique()
    lines = []
    for name, title in SHOWN_METHODS.items():
        here = found[found["name"] == name]
        if len(here) < sets:
            continue
        goods = int(here[[f"{metric} good" for metric in DECIDING]].to_numpy().sum())
        means = [float(here[metric].mean()) if metric in here else np.nan for metric in OVERVIEW]
        of = f"{goods} of {len(DECIDING) * sets}"
        lines.append([title, f"{here['cost'].median():.1f}", *means, of])
    return markdown(["method", "gradients", *OVERVIEW.values(), "good on"], lines)


def faithful() -> str:
    """Each data set: what the defaults are, beside the methods before and the baselines."""
    found = verdicts(faithful_data())
    lines = []
    for label in found["data"].unique():
        here = found[found["data"] == label].set_index("name")
        for name, title in SHOWN_METHODS.items():
            if name in here.index:
                row = here.loc[name]
                cells = [_marked(row, metric) for metric in TITLES]
                lines.append([label, title.replace("**", ""), f"{row['cost']:.1f}", *cells])
    return markdown(["data", "method", "gradients", *TITLES.values()], lines)


def _marked(row: pd.Series, metric: str) -> str:
    """Write a figure; bold where the rule calls it good."""
    text = cell(float(row.get(metric, np.nan)))
    return f"**{text}**" if bool(row.get(f"{metric} good", False)) else text


def away() -> str:
    """Where the default isn't good: how far it is from the best method of one walk."""
    lines = []
    for label, table in verdicts(faithful_data()).groupby("data", sort=False):
        of_walks = table[table["candidate"]].set_index("name")
        for metric in DECIDING:
            if DEFAULT in of_walks.index and not of_walks.loc[DEFAULT, f"{metric} good"]:
                best, ours = of_walks[metric].idxmax(), of_walks.loc[DEFAULT, metric]
                lines.append([label, TITLES[metric], float(ours), float(of_walks.loc[best, metric]), best])
    return markdown(["data", "metric", "the default", "the best of one walk", "which is"], lines)


def ruling() -> str:
    """On how many pairs of data set and metric each candidate is good."""
    return _ruled(verdicts(faithful_data()))


def ruling_of_gammas() -> str:
    """The same with gamma = 0.1 among the candidates, of those that are good on the most."""
    return _ruled(verdicts(faithful_data(), of_any_gamma), most=MOST_GAMMAS)


def _ruled(found: pd.DataFrame, most: int | None = None) -> str:
    pairs = len(DECIDING) * found["data"].nunique()
    means = found.groupby("name")[["zero_share", "gini"]].mean()
    lines = [
        [name, f"{int(n)} of {pairs}", float(means.loc[name, "zero_share"]), float(means.loc[name, "gini"])]
        for name, n in counts(found).head(most or len(found)).items()
    ]
    return markdown(["candidate", "good on", "zeros", "Gini"], lines)


TABLES: dict[str, Callable[[], str]] = {
    "overview": overview,
    "faithful": faithful,
    "away": away,
    "ruling": ruling,
    "ruling-gamma": ruling_of_gammas,
    "weak-sites": weak_sites,
    "randomisation": randomisation,
    "gauge": gauge,
    "variants": variants,
    "images": images,
    "neurons": neurons,
    "handover": handover,
    "remedies": remedies,
    "seqlets": seqlets,
    "null-calibration": null_calibration,
}
"""Each table of the page, by the name that stands before it there."""
