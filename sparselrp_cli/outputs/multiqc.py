"""`PREFIX_mqc.tsv`: a run as a row of a MultiQC report."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.names import field as table_field

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


def _column(title: str, description: str, **keys: str) -> Mapping[str, str]:
    """Say how MultiQC shows a column: its title, what it is, and other keys as YAML."""
    return {"title": f"'{title}'", "description": f"'{description}'", **keys}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """The row of a run; each field is a column, and None is left empty."""

    model: str = field(metadata=_column("Model", "What was explained", scale="false"))
    target: str = field(metadata=_column("Target", "What of it, or how many targets", scale="false"))
    prune: str = field(
        # A number without a format is shown with one digit: 0.02 as 0.0.
        metadata=_column(
            "Prune", "Proportion of positive relevance pruned in each layer",
            format="'{:.10g}'", scale="false",
        )
    )  # fmt: skip
    windows: int = field(
        metadata=_column("Windows", "Windows explained", format="'{:,.0f}'", scale="'Blues'")
    )
    skipped: int = field(
        metadata=_column("Skipped", "Regions not scored", format="'{:,.0f}'", scale="'Oranges'")
    )
    mean_score: float | None = field(
        metadata=_column("Score", "Mean score", format="'{:.4g}'", scale="'RdYlGn'")
    )
    mean_relevance: float | None = field(
        metadata=_column("Relevance", "Mean relevance at the bases", format="'{:.4g}'", scale="'GnBu'")
    )
    mean_background: float | None = field(
        metadata=_column(
            "Background", "Mean of what the bases of a position share, which centring takes off",
            format="'{:.4g}'", scale="'Greys'",
        )
    )  # fmt: skip
    mean_absorbed: float | None = field(
        metadata=_column(
            "Absorbed", "Mean of what biases, constants and stabilisers took",
            format="'{:.4g}'", scale="'Purples'",
        )
    )  # fmt: skip
    mean_lost: float | None = field(
        metadata=_column(
            "Lost", "Mean of the mass of a sign that had no survivor", format="'{:.4g}'", scale="'Reds'"
        )
    )
    mean_zero_share: float | None = field(
        metadata=_column(
            "Zero share", "Mean share of bases whose contribution is exactly zero",
            format="'{:.3f}'", min="0", max="1", scale="'Greens'",
        )
    )  # fmt: skip
    largest_conservation_error: float | None = field(
        metadata=_column(
            "Conservation error",
            "Largest gap between the score and what it was distributed to, relative to the score",
            format="'{:.1e}'", scale="'Reds'",
        )
    )  # fmt: skip


COLUMNS = tuple(column.name for column in fields(RunRow))


def write_multiqc(row: RunRow, sample: str, path: Path) -> None:
    """Write a run as custom content for MultiQC: one row.

    Parameters
    ----------
    row : RunRow
    sample : str
        What the row is called, see `sample_name`.
    path : Path
        ``PREFIX_mqc.tsv``; MultiQC finds it by the end of its name.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    lines = [
        *(f"# {line}" for line in (HEADER + _headers()).splitlines()),
        "\t".join(["Sample", *COLUMNS]),
        "\t".join([_name(sample), *_cells(row)]),
    ]
    with replacing(path) as hidden:
        hidden.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace", newline="\n")


def _headers() -> str:
    lines = ["headers:"]
    for column in fields(RunRow):
        lines += [f"    {column.name}:", *(f"        {k}: {value}" for k, value in column.metadata.items())]
    return "\n".join(lines)


def _cells(row: RunRow) -> list[str]:
    named = replace(row, model=_as_text(row.model), target=_as_text(row.target))
    return [_cell(getattr(named, name)) for name in COLUMNS]


def _as_text(name: str) -> str:
    """Quote a name that would be taken for a number, such as the task 007."""
    try:
        float(name)
    except ValueError:
        return name
    return f"'{name}'"


def _cell(value: object) -> str:
    if isinstance(value, float):
        # MultiQC takes nan for a number and can't colour it.
        return f"{value:.9g}" if abs(value) < float("inf") else ""
    return "" if value is None else table_field(str(value))


def _name(sample: str) -> str:
    """Give the name as a first cell: a line that starts with # would be taken for the header."""
    name = table_field(sample.strip())
    return f"_{name[1:]}" if name.startswith("#") else name
