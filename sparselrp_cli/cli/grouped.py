"""Help whose options stand in groups, with colour on terminals."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import click

from sparselrp_cli.cli.colour import painted

# The groups in the order of the help, each with the options it holds, by the names that functions take.
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Input": (
            "regions", "samples", "tile_overlap", "max_unknown", "unpruned", "motifs", "others", "bigwigs",
            "genes", "beds", "genome", "kind", "part", "windows", "n_windows",
        ),
        "Model": (
            "models", "model", "weights", "window", "alphabet", "layout", "inputs", "model_class", "tokens",
            "trust_model",
        ),
        "Target": ("targets", "target", "targets_file", "bins", "ends"),
        "Explanation": (
            "prune", "prune_negative", "redistribute", "composite", "select", "centre", "reverse_complement",
        ),
        "Comparison": ("normalise", "span"),
        "Motifs": (
            "background", "null", "database", "fdr", "max_seqlets", "min_seqlets", "hits_over",
            "known_motifs",
        ),
        "Significance": ("n_null",),
        "Probe": (
            "inserts", "pairs", "spacings", "at", "kind_of_background", "n_backgrounds", "deleted",
            "n_orders",
        ),
        "Known sites": ("motif", "min_bits", "sites", "min_score"),
        "What asks the model again": ("baselines", "mutagenesis", "draws", "strands", "randomise"),
        "Output": (
            "folder", "prefix", "output", "path", "formats", "overlap", "archive_dtype", "report", "name",
            "force", "bigbed", "url", "locus", "email", "as_json", "list", "shards", "profile",
            "figures", "highlights", "size", "dpi", "limits",
        ),
        "Run": (
            "batch_size", "device", "gpus", "dtype", "threads", "max_conservation_error", "strict", "shard",
            "resume", "no_cache", "seed", "quiet", "verbose", "help", "version",
        ),
    }
)  # fmt: skip


class ColourFormatter(click.HelpFormatter):
    """Headings bold and terms in a colour, where standard output wants it."""

    def write_heading(self, heading: str) -> None:
        super().write_heading(painted(heading, sys.stdout, bold=True))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        terms = [(painted(term, sys.stdout, "cyan"), text) for term, text in rows]
        super().write_dl(terms, col_max, col_spacing)


class HelpContext(click.Context):
    """A context whose help is written by `ColourFormatter`."""

    formatter_class = ColourFormatter


class Grouped(click.Command):
    """A command whose options stand in the groups of `GROUPS`."""

    context_class = HelpContext

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        for group, names in GROUPS.items():
            if records := self._records(ctx, names):
                with formatter.section(group):
                    formatter.write_dl(records)

    def _records(self, ctx: click.Context, names: Sequence[str]) -> list[tuple[str, str]]:
        """Give what help says of the options with these names, in the order they are declared."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option) and p.name in names]
        return [record for option in options if (record := option.get_help_record(ctx)) is not None]
