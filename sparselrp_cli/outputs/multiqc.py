"""`PREFIX_mqc.tsv`: a run as a row of a MultiQC report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.names import field

# MultiQC joins the rows of all files with this id into one table, and reads the lines of the header as YAML.
HEADER = """\
id: 'sparselrp'
section_name: 'sparselrp'
description: 'Relevance of runs. Means are over windows, and over targets where a run has several.'
plot_type: 'table'
pconfig:
    id: 'sparselrp_table'
    title: 'sparselrp: runs'
"""
# Name, title, description and other keys of each column.
COLUMNS: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
    ("model", "Model", "What was explained", {"scale": "false"}),
    ("target", "Target", "What of it, or how many targets", {"scale": "false"}),
    # MultiQC shows a number that has no format with one digit: 0.02 as 0.0.
    ("prune", "Prune", "Proportion of positive relevance pruned in each layer",
     {"format": "'{:.10g}'", "scale": "false"}),
    ("windows", "Windows", "Windows explained", {"format": "'{:,.0f}'", "scale": "'Blues'"}),
    ("skipped", "Skipped", "Regions not scored", {"format": "'{:,.0f}'", "scale": "'Oranges'"}),
    ("mean_score", "Score", "Mean score", {"format": "'{:.4g}'", "scale": "'RdYlGn'"}),
    ("mean_relevance", "Relevance", "Mean relevance at the bases", {"format": "'{:.4g}'", "scale": "'GnBu'"}),
    ("mean_absorbed", "Absorbed", "Mean of what biases, constants and stabilisers took",
     {"format": "'{:.4g}'", "scale": "'Purples'"}),
    ("mean_lost", "Lost", "Mean of the mass of a sign that had no survivor",
     {"format": "'{:.4g}'", "scale": "'Reds'"}),
    ("mean_zero_share", "Zero share", "Mean share of bases whose contribution is exactly zero",
     {"format": "'{:.3f}'", "min": "0", "max": "1", "scale": "'Greens'"}),
    ("largest_conservation_error", "Conservation error",
     "Largest gap between the score and what it was distributed to, relative to the score",
     {"format": "'{:.1e}'", "scale": "'Reds'"}),
)  # fmt: skip
# Of a run's path, its own name the last.
NAME_PARTS = 3


def sample_name(prefix: Path) -> str:
    """Call a run by its name and the two folders that it lies in: ``project/out/run``.

    MultiQC keeps one row of a name, and runs in different folders often have the same.

    Parameters
    ----------
    prefix : Path

    Returns
    -------
    str
    """
    parts = [part for part in prefix.resolve().parts if part != prefix.anchor]
    return "/".join(parts[-NAME_PARTS:])


def write_multiqc(manifest: Mapping[str, Any], sample: str, path: Path) -> None:
    """Write a run as custom content for MultiQC: one row, from its manifest.

    Of several targets the row has the means over them, each with the same weight, and their number instead of
    a name. What a manifest doesn't have, such as means where no window was explained, is left empty.

    Parameters
    ----------
    manifest : mapping
        Of one run, as `build_manifest` makes it.
    sample : str
        What the row is called, see `sample_name`.
    path : Path
        ``PREFIX_mqc.tsv``; MultiQC finds it by the end of its name.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    values = _values(manifest)
    cells = [_name(sample), *(_cell(values.get(name)) for name, *_ in COLUMNS)]
    lines = [
        *(f"# {line}" for line in (HEADER + _headers()).splitlines()),
        "\t".join(["Sample", *(name for name, *_ in COLUMNS)]),
        "\t".join(cells),
    ]
    with replacing(path) as hidden:
        hidden.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace", newline="\n")


def _headers() -> str:
    lines = ["headers:"]
    for name, title, description, more in COLUMNS:
        keys = {"title": f"'{title}'", "description": f"'{description}'", **more}
        lines += [f"    {name}:", *(f"        {key}: {value}" for key, value in keys.items())]
    return "\n".join(lines)


def _values(manifest: Mapping[str, Any]) -> dict[str, Any]:
    accounting = manifest["accounting"]
    targets: Mapping[str, Mapping[str, float]] = accounting.get("targets", {})
    models = manifest["models"] if "models" in manifest else [manifest["model"]]
    settings = manifest["settings"]
    means = {
        name: _mean([of_target[name] for of_target in targets.values() if name in of_target])
        for name, *_ in COLUMNS
        if name.startswith("mean_")
    }
    return {
        "model": _as_text(" + ".join(str(model["name"]) for model in models)),
        "target": _as_text(_targets_in_words(list(targets) or list(settings.get("targets", [])))),
        "prune": str(settings.get("prune", "")),
        "windows": manifest["counts"].get("windows"),
        "skipped": manifest["counts"].get("skipped"),
        **means,
        "largest_conservation_error": accounting.get("largest_conservation_error"),
    }


def _targets_in_words(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} targets"


def _as_text(name: str) -> str:
    """Quote a name that would be taken for a number, such as the task 007."""
    try:
        float(name)
    except ValueError:
        return name
    return f"'{name}'"


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _cell(value: object) -> str:
    if isinstance(value, float):
        # MultiQC takes nan for a number and can't colour it.
        return f"{value:.9g}" if abs(value) < float("inf") else ""
    return "" if value is None else field(str(value))


def _name(sample: str) -> str:
    """Give the name as a first cell: a line that starts with # would be taken for the header."""
    name = field(sample.strip())
    return f"_{name[1:]}" if name.startswith("#") else name
