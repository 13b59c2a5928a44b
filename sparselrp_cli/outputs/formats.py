"""The formats of output: one row each. Help texts, choices and the files of a run follow from the table.

A new format is a file with its writer and a row here. Nothing heavy is loaded before a writer is called.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparselrp_cli.outputs.archive import ArchiveReader
    from sparselrp_cli.outputs.bigwig import ShardTrack


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """What is exported from an archive.

    Attributes
    ----------
    reader : ArchiveReader
    target : int
    overlap : str
        What a base covered by several windows gets in a track.
    spread : bool
        Whether the spread over several models is written, in place of the contributions.
    shards : sequence of ShardTrack
        Of a bigWig, those of the shards that the archive was put together from, where they can be used.
    """

    reader: "ArchiveReader"
    target: int
    overlap: str
    spread: bool = False
    shards: "Sequence[ShardTrack]" = ()


@dataclass(frozen=True, slots=True)
class Product:
    """Files that one writer makes together.

    Attributes
    ----------
    endings : tuple of str
        How their names go on after ``PREFIX.`` and, of several targets, the target.
    write : callable
        Takes an `Export` and a path for each ending.
    per_target : bool
        Whether there is one for each target.
    of_spread : bool
        Whether an archive of several models has one of the spread, too: ``PREFIX.sd.ENDING``.
    """

    endings: tuple[str, ...]
    write: Callable[[Export, Sequence[Path]], None]
    per_target: bool = True
    of_spread: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """A format: what it is called, what it is, what is written."""

    name: str
    what: str
    products: tuple[Product, ...]

    def __str__(self) -> str:
        return f"{self.name} ({self.what})"


def _bigwig(export: Export, paths: Sequence[Path]) -> None:
    from sparselrp_cli.outputs.tracks import write_bigwig

    write_bigwig(
        export.reader, paths[0], export.overlap, export.target, spread=export.spread, shards=export.shards
    )


def _bedgraph(export: Export, paths: Sequence[Path]) -> None:
    from sparselrp_cli.outputs.tracks import write_bedgraph

    write_bedgraph(export.reader, paths[0], export.overlap, export.target, spread=export.spread)


def _arrays(export: Export, paths: Sequence[Path]) -> None:
    from sparselrp_cli.outputs.motif_files import write_modisco

    write_modisco(export.reader, paths[0], paths[1], export.target)


def _regions(export: Export, paths: Sequence[Path]) -> None:
    from sparselrp_cli.outputs.motif_files import write_regions

    write_regions(export.reader, paths[0])


def _best(export: Export, paths: Sequence[Path]) -> None:
    from sparselrp_cli.outputs.best import write_best

    write_best(export.reader, paths[0])


def _modisco_h5(export: Export, paths: Sequence[Path]) -> None:
    from sparselrp_cli.outputs.motif_files import write_modisco_h5

    write_modisco_h5(export.reader, paths[0], export.target)


ARRAYS = Product(("ohe.npz", "attr.npz"), _arrays)
REGIONS = Product(("regions.narrowPeak",), _regions, per_target=False)
BEST = Product(("top.narrowPeak",), _best, per_target=False)

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        row.name: row
        for row in (
            Format("h5", "the archive", ()),
            Format("bigwig", "tracks", (Product(("bw",), _bigwig, of_spread=True),)),
            Format("bedgraph", "tracks as text", (Product(("bedgraph.gz",), _bedgraph, of_spread=True),)),
            Format("modisco", "arrays for TF-MoDISco", (ARRAYS, REGIONS)),
            Format("finemo", "arrays and regions for Fi-NeMo", (ARRAYS, REGIONS)),
            Format("modisco-h5", "the arrays in one file", (Product(("modisco.h5",), _modisco_h5),)),
            Format("top", "regions of the best windows", (BEST,)),
        )
    }
)
TRACKS = ("bigwig", "bedgraph")
"""What is made of the contributions of all windows."""
EXPORTED = ("bigwig", "modisco", "finemo")
"""What `export` writes unless told."""


def standard_formats(*, on_genome: bool, of_shard: bool = False) -> tuple[str, ...]:
    """Give what a run writes unless told: the archive and tracks, along a genome or along FASTA records.

    Of a shard it is what `merge` reads or copies, which a bedGraph isn't.
    """
    if on_genome:
        return ("h5", "bigwig")
    return ("h5",) if of_shard else ("h5", "bedgraph")


def help_on_formats(default: str) -> str:
    """Give the help of --formats: what there is, and what is written unless told."""
    listed = ", ".join(map(str, FORMATS.values()))
    return f"Files to write, separated by commas, of: {listed}.  [default: {default}]"


def products(formats: Iterable[str]) -> list[Product]:
    """List what the formats are made of, in the order of the table, each product once."""
    wanted = set(formats)
    rows = (row for row in FORMATS.values() if row.name in wanted)
    return list(dict.fromkeys(product for row in rows for product in row.products))
