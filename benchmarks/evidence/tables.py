"""The tables of RESULTS.md, made from the figures kept in benchmarks/results/."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.evidence.ruling import DECIDING, TITLES, counts, verdicts
from benchmarks.record import RESULTS, Row, load

METRICS = {
    "mass_in_sites": "mass in mask",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "gini": "Gini",
    "zero_share": "zeros",
}
DIFFERENCES = (
    *(f"PLRP-lambda epsilon-plus p={p}" for p in (0.02, 0.05, 0.25, 0.9)),
    "PLRP-lambda, then LRP p=0.25",
    "PLRP-M epsilon-plus p=0.25",
    "LRP epsilon-gamma",
)
SUMMARY = ("0.02", "0.05", "0.1", "0.25", "0.5", "0.9")


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


def synthetic() -> pd.DataFrame:
    return _with_p(kept("synthetic"))


def _with_p(rows: Any) -> pd.DataFrame:
    """Make a table whose proportions can be compared and written."""
    table = pd.DataFrame(rows)
    return table.assign(p=table["p"].map(lambda p: p if isinstance(p, str) else f"{p:g}"))


def summary() -> str:
    """Each data set under epsilon-plus: what LRP gives, and what PLRP-lambda changes at each p."""
    rows = []
    for name, table, drop in _data_sets():
        plain = table[table["method"] == "LRP"]
        for column, title in (("mass_in_sites", "mass in mask"), ("auprc", "AUPRC"), (drop, "drop")):
            if column not in table:
                continue
            base = plain[column].mean()
            changes = []
            for p in SUMMARY:
                found = table[(table["method"] == "PLRP-lambda") & (table["p"] == p)][column]
                relative = column == drop
                change = found.mean() - base
                changes.append(
                    "-" if not len(found) else f"{change / base:+.1%}" if relative else f"{change:+.3f}"
                )
            rows.append([name, title, f"{base:.3f}", *changes])
    return markdown(["data", "", "LRP", *(f"p = {p}" for p in SUMMARY)], rows)


def _data_sets() -> list[tuple[str, pd.DataFrame, str]]:
    """Name, rows under epsilon-plus with their method and p, and the column of faithfulness."""
    of_images = _images_by_p()
    found = [
        ("planted motifs", _epsilon_plus(synthetic()), "deletion_drop"),
        ("su(Hw)", _real_by_p(), "deletion_drop"),
    ]
    insulated = _with_p([row for row in kept("insulators") if row["windows"] == "all" and "p" in row])
    for factor, part in _epsilon_plus(insulated).groupby("factor", sort=False):
        found.append((f"{factor}, residual network", part, "deletion_drop"))
    for kind, part in _splice_by_p().groupby("kind", sort=False):
        found.append((f"CI-SpliceAI, {kind}s (mass within 10 bp)", part, "deletion drop"))
    for network, part in of_images.groupby("network", sort=False):
        found.append((f"images, {network}", part, "flipping_drop"))
    return found


def _epsilon_plus(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["composite"] == "epsilon-plus"]


def synthetic_networks() -> str:
    table = pd.DataFrame(kept("synthetic", "networks"))
    grouped = table.groupby(["task", "background", "network"], sort=False)["auroc of the labels"]
    rows = [[*key, len(values), values.min(), values.max()] for key, values in grouped]
    return markdown(["task", "background", "network", "seeds", "AUROC of the labels, least", "most"], rows)


SYNTHETIC = [*METRICS, "deletion_drop", "insertion_rise", "kept_neurons"]


def _synthetic_rows(table: pd.DataFrame) -> str:
    names = [*METRICS.values(), "deletion drop", "insertion rise", "kept neurons"]
    return _by_method(table, ["method", "composite", "p"], dict(zip(SYNTHETIC, names, strict=True)))


def _by_method(table: pd.DataFrame, keys: list[str], columns: dict[str, str]) -> str:
    """Means and spread over networks, a line each method."""
    rows = [
        [*key, *(spread(part[column]) for column in columns)] for key, part in table.groupby(keys, sort=False)
    ]
    return markdown([*keys, *columns.values()], rows)


def synthetic_composites() -> str:
    table = synthetic()
    plain = table["method"].isin(["LRP", "mutagenesis", "random order"])
    pruned = (table["method"] == "PLRP-lambda") & table["p"].isin(["0.02", "0.05", "0.25", "0.9"])
    return _synthetic_rows(table[plain | pruned].sort_values("method", kind="stable"))


def synthetic_proportions() -> str:
    table = synthetic()
    table = table[
        (table["composite"] == "epsilon-plus") & table["method"].isin(["LRP", "PLRP-lambda", "PLRP-M"])
    ]
    order = table["method"].map({"LRP": 0, "PLRP-lambda": 1, "PLRP-M": 2})
    return _synthetic_rows(table.assign(order=order).sort_values("order", kind="stable"))


def _compromises(table: pd.DataFrame) -> pd.DataFrame:
    """What isn't one p for all layers, beside what is."""
    others = table["method"].str.contains("then|only|auto")
    beside = (table["method"] == "PLRP-lambda") & table["p"].isin(["0.02", "0.05", "0.25", "0.9"])
    chosen = table[(others | beside | (table["method"] == "LRP")) & (table["composite"] == "epsilon-plus")]
    number = pd.to_numeric(chosen["p"], errors="coerce").fillna(2)
    return chosen.assign(number=number).sort_values("number", kind="stable")


def synthetic_compromises() -> str:
    return _synthetic_rows(_compromises(synthetic()))


def real() -> str:
    everything = {row["method"]: row for row in kept("real", "all windows, methods")}
    some = {row["method"]: row for row in kept("real", "some windows, methods")}
    rows = []
    for name, row in some.items():
        metrics = everything.get(name, row)
        rows.append(
            [
                name, *(number(metrics, column) for column in METRICS), number(row, "deletion_drop"),
                number(row, "insertion_rise"),
                # The model explained again gives the pruned map alone.
                float("nan") if "then" in name else number(row, "strand_agreement"),
            ]
        )  # fmt: skip
    header = ["method", *METRICS.values(), "deletion drop", "insertion rise", "strands"]
    return markdown(header, rows)


def number(row: Row, column: str) -> float:
    value = row.get(column)
    return float("nan") if value is None else float(value)


def real_differences() -> str:
    wanted = ("mass_in_sites", "auroc", "auprc", "gini", "deletion_drop", "insertion_rise")
    rows = []
    for part in ("all windows", "some windows"):
        for line in kept("real", f"{part}, differences"):
            model_needed = line["metric"] in ("deletion_drop", "insertion_rise")
            chosen = line["method"] in DIFFERENCES
            if chosen and line["metric"] in wanted and model_needed == (part == "some windows"):
                interval = f"{line['low']:+.3f} to {line['high']:+.3f}"
                rows.append(
                    [line["method"], line["metric"], f"{line['difference']:+.3f}", interval, line["windows"]]
                )
    rows.sort(key=lambda row: row[0])
    return markdown(
        ["method less LRP epsilon-plus", "metric", "difference", "95 % interval", "windows"], rows
    )


def weak_sites() -> str:
    rows = kept("real", "weak sites")
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


def randomisation() -> str:
    rows = kept("real", "randomised")
    columns = ["method", "layers_shuffled", "correlation", "sd_over_draws", "correlation_of_magnitudes"]
    header = ["method", "layers shuffled, from the last", "correlation", "sd over draws", "of magnitudes"]
    return markdown(header, [[row[column] for column in columns] for row in rows])


def variants() -> str:
    rows = kept("variants")
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


def _insulator_rows(which: str) -> str:
    table = pd.DataFrame([row for row in kept("insulators") if row["windows"] == which])
    table = table.assign(composite=table["composite"].fillna("-"), p=table["p"].fillna("-"))
    table["p"] = table["p"].map(lambda p: p if isinstance(p, str) else f"{p:g}")
    near = {"mass_in_sites": "mass in mask", "mass_near_sites": "mass within 10 bp"}
    columns = {**near, **METRICS, "deletion_drop": "deletion drop", "insertion_rise": "insertion rise"}
    return _by_method(table, ["factor", "method", "composite", "p"], columns)


def insulators_data() -> str:
    """The matrices against each factor's peaks, and the networks."""
    matrices = kept("insulators", "matrices")
    rows = []
    for factor, part in pd.DataFrame(kept("insulators", "networks")).groupby("factor", sort=False):
        matrix = next(m for m in matrices if m["peaks"] == factor and m["matrix"].endswith(str(factor)))
        columns = ("auroc, random", "auroc, GC", "auroc, other factor")
        rows.append(
            [factor, matrix["n"], matrix["auroc"], part["peaks"].iloc[0], *(spread(part[c]) for c in columns)]
        )
    header = ["factor", "peaks on chr2R", "AUROC of the matrix", "test peaks"]
    against = [f"AUROC of the networks: {name}" for name in ("random", "GC-matched", "the other's peaks")]
    return markdown([*header, *against], rows)


def insulators() -> str:
    return _insulator_rows("all")


def insulators_few() -> str:
    return _insulator_rows("few")


def _splice_by_p() -> pd.DataFrame:
    """CI-SpliceAI under epsilon-plus, in the words of the other data sets."""
    drops = {_site(row): row["deletion drop"] for row in kept("splice_sites", "curves")}
    rows = []
    for row in kept("splice_sites", "methods"):
        match = re.fullmatch(r"(LRP|PLRP) epsilon-plus(?: p=([\d.]+))?", row["method"])
        if match and row["network"].startswith("CI-SpliceAI"):
            drop = drops.get(_site(row), float("nan"))
            method = "LRP" if match[2] is None else "PLRP-lambda"
            about = {"kind": row["kind"], "method": method, "p": match[2] or "0"}
            rows.append({**about, "mass_in_sites": row["within 10"], "deletion drop": drop})
    return pd.DataFrame(rows)


def _site(row: Row) -> tuple[str, str, str]:
    return row["network"], row["kind"], row["method"]


def splice_shares() -> str:
    explained = {(t["network"], t["kind"]): t["sites"]["explained"] for t in kept("splice_sites", "tasks")}
    rows = []
    for row in kept("splice_sites", "methods"):
        low, high = row["within 10, quartiles"]
        change = row["within 10, difference"]
        task = (row["network"], row["kind"])
        rows.append(
            [
                *task, explained[task], row["method"], row["within 2"],
                f"{row['within 10']:.2f} ({low:.2f} to {high:.2f})", row["within 50"],
                f"{change['mean']:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})",
                number(row, "sum / score"), number(row, "kept"),
            ]
        )  # fmt: skip
    header = ["network", "sites", "n", "method", "within 2 bp", "within 10 bp (quartiles)", "within 50 bp"]
    return markdown([*header, "within 10, less LRP epsilon-plus", "sum / score", "kept"], rows)


def splice_curves() -> str:
    drawn = {(t["network"], t["kind"]): t["curve sites"] for t in kept("splice_sites", "tasks")}
    rows = []
    for row in kept("splice_sites", "curves"):
        cells = []
        for name in ("deletion drop", "insertion rise"):
            change = row[f"{name}, difference"]
            cells += [row[name], f"{change['mean']:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})"]
        task = (row["network"], row["kind"])
        rows.append([*task, drawn[task], row["method"], *cells])
    header = ["network", "sites", "n", "method", "deletion drop", "less LRP epsilon-plus"]
    return markdown([*header, "insertion rise", "less LRP epsilon-plus"], rows)


IMAGES = {**METRICS, "flipping_drop": "flipping drop"}


def _images() -> pd.DataFrame:
    return _with_p(kept("images"))


def images() -> str:
    table = _images()
    plain = table["method"].isin(["LRP", "PLRP-lambda", "PLRP-M", "random order"])
    return _by_method(table[plain], ["network", "method", "composite", "p"], IMAGES)


def images_compromises() -> str:
    return _by_method(_compromises(_images()), ["network", "method", "p"], IMAGES)


def neurons() -> str:
    table = pd.DataFrame(kept("images", "neurons"))
    columns = ["kept", "overlap, one class", "overlap, two classes", "overlap, by chance"]
    grouped = table.groupby(["network", "p", "layer from the output"], sort=False)[columns].mean()
    rows = [[*key, *(float(row[c]) for c in columns)] for key, row in grouped.iterrows()]  # type: ignore[misc]
    return markdown(["network", "p", "layer, from the output", "share kept", *columns[1:]], rows)


def handover() -> str:
    rows = sorted(kept("handover"), key=lambda row: (row["input"], row["p"]))
    header = ["input", "p", "zeros", "patterns", "of su(Hw)", "seqlets", "of su(Hw)", "Fi-NeMo hits"]
    keys = ("input", "p", "zero share", "patterns", "right patterns", "seqlets", "right seqlets", "hits")
    return markdown(header, [[row[key] for key in keys] for row in rows])


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


def _real_by_p() -> pd.DataFrame:
    some = {row["method"]: row for row in kept("real", "some windows, methods")}
    rows = []
    for row in kept("real", "all windows, methods"):
        match = re.fullmatch(r"(P?LRP(?:-lambda|-M)?) epsilon-plus(?: p=(.*))?", row["method"])
        if match:
            faithful = some[row["method"]]["deletion_drop"]
            rows.append({**row, "method": match[1], "p": match[2] or "0", "deletion_drop": faithful})
    return pd.DataFrame(rows)


def _images_by_p() -> pd.DataFrame:
    return _epsilon_plus(_images())


def by_p() -> list[tuple[str, pd.DataFrame, str]]:
    """Name, rows under epsilon-plus, and column of faithfulness, of what is drawn against p."""
    return [
        ("synthetic", _epsilon_plus(synthetic()), "deletion_drop"),
        ("su(Hw)", _real_by_p(), "deletion_drop"),
        ("images", _images_by_p(), "flipping_drop"),
    ]


SHOWN_METHODS = (
    "gradient x input", "gradient x input, centred", "LRP epsilon-plus", "PLRP-lambda epsilon-plus p=0.02",
    "LRP epsilon-gamma centred", "PLRP-lambda epsilon-gamma p=0.02 centred",
    "PLRP-lambda epsilon-gamma p=0.05 centred", "PLRP-lambda epsilon-gamma p=0.25 centred",
    "PLRP-lambda epsilon-gamma p=0.05 select z-plus centred", "PLRP-M epsilon-gamma p=0.05 centred",
    "SmoothGrad", "integrated gradients", "DeepLIFT/SHAP", "mutagenesis", "random order",
)  # fmt: skip


FAITHFUL: dict[str, Callable[[Row], str]] = {
    "faithful-suhw": lambda row: str(row["data"]),
    "faithful-insulators": lambda row: str(row["data"]),
    "attention": lambda row: f"{row['factor']}, attention",
}
"""Experiments that the defaults are decided by, and what the data set of a row is called."""


def _faithful_data() -> dict[str, list[Row]]:
    """The rows of each data set that the defaults are decided on."""
    data: dict[str, list[Row]] = {}
    for experiment, named in FAITHFUL.items():
        for row in kept(experiment):
            data.setdefault(named(row), []).append(row)
    return data


def faithful() -> str:
    """Each data set: what the defaults are, beside the methods before and the baselines."""
    found = verdicts(_faithful_data())
    lines = []
    for label in found["data"].unique():
        here = found[found["data"] == label].set_index("name")
        for name in (name for name in SHOWN_METHODS if name in here.index):
            row = here.loc[name]
            cells = [_marked(row, metric) for metric in TITLES]
            lines.append([label, name, f"{row['cost']:.1f}", *cells])
    return markdown(["data", "method", "gradients", *TITLES.values()], lines)


def _marked(row: pd.Series, metric: str) -> str:
    """Write a figure; bold where the rule calls it good."""
    text = cell(float(row.get(metric, np.nan)))
    return f"**{text}**" if bool(row.get(f"{metric} good", False)) else text


def ruling() -> str:
    """On how many pairs of data set and metric each candidate is good."""
    found = verdicts(_faithful_data())
    pairs = len(DECIDING) * found["data"].nunique()
    zeros = found.groupby("name")["zero_share"].mean()
    lines = [[name, f"{int(n)} of {pairs}", float(zeros[name])] for name, n in counts(found).items()]
    return markdown(["candidate", "good on", "zeros"], lines)


TABLES: dict[str, Callable[[], str]] = {
    "faithful": faithful,
    "ruling": ruling,
    "summary": summary,
    "synthetic-networks": synthetic_networks,
    "synthetic-composites": synthetic_composites,
    "synthetic-proportions": synthetic_proportions,
    "synthetic-compromises": synthetic_compromises,
    "real": real,
    "real-differences": real_differences,
    "weak-sites": weak_sites,
    "randomisation": randomisation,
    "variants": variants,
    "insulators-data": insulators_data,
    "insulators": insulators,
    "insulators-few": insulators_few,
    "splice-shares": splice_shares,
    "splice-curves": splice_curves,
    "images": images,
    "images-compromises": images_compromises,
    "neurons": neurons,
    "handover": handover,
    "remedies": remedies,
    "seqlets": seqlets,
    "null-calibration": null_calibration,
}
"""Each table of the page, by the name that stands before it there."""
