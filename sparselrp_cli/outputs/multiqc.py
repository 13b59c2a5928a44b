"""`PREFIX_mqc.tsv`, `PREFIX.motifs_mqc.tsv`: a run and what was found in it, as rows of a MultiQC report."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.names import field as table_field
from sparselrp_cli.outputs.choices import WARN_ABOVE

# MultiQC joins the rows of all files with one id into one table, tables of one parent into one section, and
# reads the lines of the header as YAML.
HEADER = """\
id: '{id}'
parent_id: 'sparselrp_runs'
parent_name: 'sparselrp'
parent_description: 'which bases mattered to a sequence model, and what was found there.'
section_name: '{section}'
description: '{description}'
plot_type: 'table'
pconfig:
    id: '{id}_table'
    title: 'sparselrp: {section}'
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


def _column(
    title: str, description: str, *, warn: str = "", fail: str = "", **keys: str
) -> Mapping[str, str]:
    """Say how MultiQC shows a column: its title, what it is, and other keys as YAML.

    Where `warn` or `fail` are met, such as ``gt: 0.1``, the cell has the colour of a warning or of a failure.
    """
    rules = {name: f"[{{{rule}}}]" for name, rule in (("warn", warn), ("fail", fail)) if rule}
    coloured = {"cond_formatting_rules": _as_yaml(rules)} if rules else {}
    return {"title": f"'{title}'", "description": f"'{description}'", **keys, **coloured}


def _as_yaml(rules: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {rule}" for name, rule in rules.items()) + "}"


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
        metadata=_column("Windows", "Windows explained", fail="eq: 0", format="'{:,.0f}'", scale="'Blues'")
    )
    skipped: int = field(
        metadata=_column("Skipped", "Regions not scored", format="'{:,.0f}'", scale="'Oranges'")
    )
    skipped_share: float | None = field(
        metadata=_column(
            "Share skipped", "Share of the regions that was not scored",
            warn="gt: 0.01", fail="gt: 0.1", format="'{:.3f}'", min="0", max="1", scale="'Oranges'",
        )
    )  # fmt: skip
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
            fail="gt: 0.9999", format="'{:.3f}'", min="0", max="1", scale="'Greens'",
        )
    )  # fmt: skip
    largest_conservation_error: float | None = field(
        metadata=_column(
            "Conservation error",
            "Largest gap between the score and what it was distributed to, relative to the score",
            warn=f"gt: {WARN_ABOVE}", fail=f"gt: {10 * WARN_ABOVE:g}", format="'{:.1e}'", scale="'Reds'",
        )
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MotifsRow:
    """The row of what `motifs` found for a target of a run; each field is a column."""

    target: str = field(metadata=_column("Target", "What was explained", scale="false"))
    windows: int = field(
        metadata=_column("Windows", "Windows looked through", format="'{:,.0f}'", scale="'Blues'")
    )
    seqlets: int = field(
        metadata=_column(
            "Seqlets", "Stretches of more relevance than the null gives", warn="eq: 0", format="'{:,.0f}'",
            scale="'Greens'",
        )
    )  # fmt: skip
    motifs: int = field(
        metadata=_column(
            "Motifs", "Motifs that the seqlets were clustered to", warn="eq: 0", format="'{:,.0f}'",
            scale="'Greens'",
        )
    )  # fmt: skip
    named: int = field(
        metadata=_column("Named", "Motifs with a name in the database", format="'{:,.0f}'", scale="'Greens'")
    )
    hits: int = field(
        metadata=_column(
            "Hits", "Matches of the motifs with more relevance than the null gives", warn="eq: 0",
            format="'{:,.0f}'", scale="'Greens'",
        )
    )  # fmt: skip
    calibrated: str = field(
        metadata=_column(
            "Calibrated", "Whether p and q come from shuffled windows that the model explained",
            fail="s_eq: 'no'", scale="false",
        )
    )  # fmt: skip


Row = RunRow | MotifsRow
COLUMNS = tuple(column.name for column in fields(RunRow))
_TABLES: Mapping[type[Row], Mapping[str, str]] = MappingProxyType(
    {
        RunRow: {
            "id": "sparselrp",
            "section": "runs",
            "description": "Relevance of runs. Means are over windows and, where a run has several, targets.",
        },
        MotifsRow: {
            "id": "sparselrp_motifs",
            "section": "motifs",
            "description": "What was found where the relevance is.",
        },
    }
)


def write_multiqc(row: Row, sample: str, path: Path) -> None:
    """Write a run, or what was found in it, as custom content for MultiQC: one row.

    Parameters
    ----------
    row : RunRow or MotifsRow
    sample : str
        What the row is called, see `sample_name`.
    path : Path
        ``PREFIX_mqc.tsv`` or ``PREFIX.motifs_mqc.tsv``; MultiQC finds it by the end of its name.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    lines = [
        *(f"# {line}" for line in (HEADER.format_map(_TABLES[type(row)]) + _headers(row)).splitlines()),
        "\t".join(["Sample", *(column.name for column in fields(row))]),
        "\t".join([_name(sample), *_cells(row)]),
    ]
    with replacing(path) as hidden:
        hidden.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace", newline="\n")


def _headers(row: Row) -> str:
    lines = ["headers:"]
    for column in fields(row):
        lines += [f"    {column.name}:", *(f"        {k}: {value}" for k, value in column.metadata.items())]
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    named: Row = replace(row, target=_as_text(row.target))
    if isinstance(named, RunRow):
        named = replace(named, model=_as_text(named.model))
    return [_cell(getattr(named, column.name)) for column in fields(named)]


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
