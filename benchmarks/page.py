"""Fill the tables of RESULTS.md and draw its plots from the figures kept in benchmarks/results/.

python benchmarks/page.py     seconds; what the other scripts saved is what the page says
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE / "RESULTS.md"
METRICS = {
    "mass_in_sites": "mass in mask",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "gini": "Gini",
    "zero_share": "zeros",
}
MARKERS = "osD^vPX"


def main() -> None:
    tables: dict[str, Callable[[], str]] = {
        "synthetic-networks": synthetic_networks,
        "synthetic-composites": synthetic_composites,
        "synthetic-proportions": synthetic_proportions,
        "synthetic-compromises": synthetic_compromises,
        "real": real,
        "real-differences": real_differences,
        "weak-sites": weak_sites,
        "randomisation": randomisation,
        "variants": variants,
        "images": images,
        "neurons": neurons,
        "handover": handover,
        "remedies": remedies,
    }
    text = PAGE.read_text()
    for name, table in tables.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda found, t=table: f"{found[1]}{t()}\n{found[2]}", text, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"RESULTS.md has {count} places for the table '{name}'")
    PAGE.write_text(text)
    plot_proportions()
    print(f"wrote {PAGE.name} and {len(tables)} tables")


def rows_of(name: str) -> Any:
    return json.loads((RESULTS / f"{name}_cpu.json").read_text())["rows"]


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
    return f"{values.mean():.3f} ± {values.std(ddof=0):.3f}"


def synthetic() -> pd.DataFrame:
    table = pd.DataFrame(rows_of("synthetic")[0]["rows"])
    table["p"] = table["p"].astype(str)
    return table


def synthetic_networks() -> str:
    table = pd.DataFrame(rows_of("synthetic")[0]["networks"])
    grouped = table.groupby(["task", "background", "network"], sort=False)["auroc of the labels"]
    rows = [[*key, len(values), values.min(), values.max()] for key, values in grouped]
    return markdown(["task", "background", "network", "seeds", "AUROC of the labels, least", "most"], rows)


SYNTHETIC = [*METRICS, "deletion_drop", "insertion_rise", "kept_neurons"]


def _synthetic_rows(table: pd.DataFrame) -> str:
    rows = []
    for (method, composite, p), part in table.groupby(["method", "composite", "p"], sort=False):
        rows.append([method, composite, p, *(spread(part[column]) for column in SYNTHETIC)])
    header = [
        "method",
        "composite",
        "p",
        *METRICS.values(),
        "deletion drop",
        "insertion rise",
        "kept neurons",
    ]
    return markdown(header, rows)


def synthetic_composites() -> str:
    table = synthetic()
    plain = table["method"] == "LRP"
    pruned = (table["method"] == "PLRP-lambda") & table["p"].isin(["0.25", "0.9"])
    return _synthetic_rows(table[plain | pruned])


def synthetic_proportions() -> str:
    table = synthetic()
    table = table[
        (table["composite"] == "epsilon-plus") & table["method"].isin(["LRP", "PLRP-lambda", "PLRP-M"])
    ]
    order = table["method"].map({"LRP": 0, "PLRP-lambda": 1, "PLRP-M": 2})
    return _synthetic_rows(table.assign(order=order).sort_values("order", kind="stable"))


def synthetic_compromises() -> str:
    table = synthetic()
    return _synthetic_rows(table[table["method"].str.contains("then|only|auto")])


def real() -> str:
    found = rows_of("real")
    everything = {row["method"]: row for row in found["all windows"]["methods"]}
    some = {row["method"]: row for row in found["some windows"]["methods"]}
    rows = []
    for name, row in some.items():
        metrics = everything.get(name, row)
        rows.append(
            [
                name, *(number(metrics, column) for column in METRICS), number(row, "deletion_drop"),
                number(row, "insertion_rise"), number(row, "strand_agreement"),
            ]
        )  # fmt: skip
    header = ["method", *METRICS.values(), "deletion drop", "insertion rise", "strands"]
    return markdown(header, rows)


def number(row: dict[str, Any], column: str) -> float:
    value = row.get(column)
    return float("nan") if value is None else float(value)


def real_differences() -> str:
    found = rows_of("real")
    wanted = ("mass_in_sites", "auroc", "auprc", "gini", "deletion_drop", "insertion_rise")
    rows = []
    for part in ("all windows", "some windows"):
        for line in found[part]["differences"]:
            model_needed = line["metric"] in ("deletion_drop", "insertion_rise")
            chosen = line["method"].endswith(
                ("epsilon-plus p=0.25", "epsilon-plus p=0.9", "auto epsilon-plus")
            )
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
    rows = rows_of("real")["weak sites"]
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


def randomisation() -> str:
    rows = rows_of("real")["randomised"]
    columns = ["method", "layers_shuffled", "correlation", "sd_over_draws", "correlation_of_magnitudes"]
    header = ["method", "layers shuffled, from the last", "correlation", "sd over draws", "of magnitudes"]
    return markdown(header, [[row[column] for column in columns] for row in rows])


def variants() -> str:
    rows = rows_of("variants")
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


def images() -> str:
    found = rows_of("images")[0]
    table = pd.DataFrame(found["rows"])
    table["p"] = table["p"].astype(str)
    rows = []
    columns = [*METRICS, "flipping_drop"]
    for (network, method, composite, p), part in table.groupby(
        ["network", "method", "composite", "p"], sort=False
    ):
        rows.append([network, method, composite, p, *(spread(part[column]) for column in columns)])
    return markdown(["network", "method", "composite", "p", *METRICS.values(), "flipping drop"], rows)


def neurons() -> str:
    table = pd.DataFrame(rows_of("images")[0]["neurons"])
    columns = ["kept", "overlap, one class", "overlap, two classes"]
    grouped = table.groupby(["network", "p", "layer from the output"], sort=False)[columns].mean()
    rows = [[*key, *(float(row[c]) for c in columns)] for key, row in grouped.iterrows()]  # type: ignore[misc]
    return markdown(["network", "p", "layer, from the output", "share kept", *columns[1:]], rows)


def handover() -> str:
    rows = sorted(rows_of("handover"), key=lambda row: (row["input"], row["p"]))
    header = ["input", "p", "zeros", "patterns", "of su(Hw)", "seqlets", "of su(Hw)", "Fi-NeMo hits"]
    keys = ("input", "p", "zero share", "patterns", "right patterns", "seqlets", "right seqlets", "hits")
    return markdown(header, [[row[key] for key in keys] for row in rows])


def remedies() -> str:
    rows = []
    for row in rows_of("remedies"):
        failed = "stops" if row["failed"] else "runs"
        keys = ("patterns", "right patterns", "motifs", "seqlets", "right seqlets")
        rows.append(
            [row["maps"], row["zero share"], row["remedy"], failed, *(row.get(key, "-") for key in keys)]
        )
    header = [
        "maps",
        "zeros",
        "what is handed over",
        "TF-MoDISco",
        "patterns",
        "right",
        "of 3 motifs",
        "seqlets",
    ]
    return markdown([*header, "right"], rows)


def plot_proportions() -> None:
    """Draw metrics against p: synthetic, su(Hw), images."""
    figure = Figure(figsize=(11, 8.2), layout="constrained")
    axes = figure.subplots(3, 4)
    table = synthetic()
    table = table[table["composite"] == "epsilon-plus"]
    panels = {"mass_in_sites": "mass in mask", "auprc": "AUPRC", "zero_share": "zeros"}
    for row, (data, last, label) in enumerate(
        (
            (table, "deletion_drop", "synthetic"),
            (_real_by_p(), "deletion_drop", "su(Hw)"),
            (_images_by_p(), "flipping_drop", "images"),
        )
    ):
        for axis, (column, title) in zip(
            axes[row], {**panels, last: last.replace("_", " ")}.items(), strict=True
        ):
            _by_p(axis, data, column)
            axis.set_title(f"{label}: {title}", fontsize=9)
    axes[0][0].legend(fontsize=8, frameon=False)
    for axis in axes[2]:
        axis.set_xlabel("p")
    figure.savefig(RESULTS / "proportions.png", dpi=100)


def _by_p(axis: Axes, data: pd.DataFrame, column: str) -> None:
    for number, method in enumerate(("PLRP-lambda", "PLRP-M", "PLRP-lambda, then LRP")):
        part = data[data["method"].isin([method, "LRP"])]
        part = part.assign(p=pd.to_numeric(part["p"], errors="coerce")).dropna(subset=["p"])
        if method not in set(part["method"]):
            continue
        grouped = part.groupby("p")[column]
        mean, sd = grouped.mean(), grouped.std(ddof=0)
        axis.plot(mean.index, mean, marker=MARKERS[number], ms=4, lw=1.2, color=f"C{number}", label=method)
        axis.fill_between(mean.index, mean - sd, mean + sd, color=f"C{number}", alpha=0.15, lw=0)
    axis.grid(lw=0.4, color="0.9")
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)


def _real_by_p() -> pd.DataFrame:
    found = rows_of("real")
    some = {row["method"]: row for row in found["some windows"]["methods"]}
    rows = []
    for row in found["all windows"]["methods"]:
        match = re.fullmatch(r"(P?LRP(?:-lambda|-M)?) epsilon-plus(?: p=(.*))?", row["method"])
        if match:
            faithful = some[row["method"]]["deletion_drop"]
            rows.append({**row, "method": match[1], "p": match[2] or "0", "deletion_drop": faithful})
    return pd.DataFrame(rows)


def _images_by_p() -> pd.DataFrame:
    table = pd.DataFrame(rows_of("images")[0]["rows"])
    return table[table["composite"] == "epsilon-plus"]


if __name__ == "__main__":
    main()
