"""Every file that is made from an archive, by format."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.bigwig import ShardTrack
from sparselrp_cli.outputs.formats import Export, Product, products


@dataclass(frozen=True, slots=True)
class Planned:
    """Files that will be written together.

    Attributes
    ----------
    product : Product
    paths : tuple of Path
    target : int
    spread : bool
        Whether they are of the spread over several models.
    """

    product: Product
    paths: tuple[Path, ...]
    target: int
    spread: bool


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """Files of a shard that an archive was put together from.

    Attributes
    ----------
    prefix : Path
    n_windows : int
        Of the shard.
    names : frozenset of str
        Of files that are as the shard left them, and made as they would be now.
    """

    prefix: Path
    n_windows: int
    names: frozenset[str]


def export_files(
    reader: ArchiveReader,
    prefix: Path,
    formats: Iterable[str],
    overlap: str,
    only: Container[str] | None = None,
    shards: Sequence[ShardFiles] = (),
) -> list[Path]:
    """Write the files of some formats, for every target of the archive.

    Parameters
    ----------
    formats : iterable of str
        Names of rows of `formats.FORMATS`; ``h5`` is the archive itself and adds nothing.
    overlap : str
        What a base covered by several windows gets in a track.
    only : container of str, optional
        Names of files; what has none of these is left as it is.
    shards : sequence of ShardFiles
        In the order of their windows in the archive; what can be copied from them is; that changes no byte.

    Returns
    -------
    list of Path
        What was written, each file once.
    """
    written: list[Path] = []
    for each in planned_files(prefix, formats, reader.target_names, spread=reader.has_spread):
        if only is not None and not any(path.name in only for path in each.paths):
            continue
        tracks = _of_shards(each.paths[0].name.removeprefix(prefix.name), shards)
        each.product.write(Export(reader, each.target, overlap, each.spread, tracks), each.paths)
        written += each.paths
    return written


def _of_shards(ending: str, shards: Sequence[ShardFiles]) -> list[ShardTrack]:
    """Give what each shard has in the place of a file; nothing where one of them has no such file."""
    paths = [shard.prefix.with_name(shard.prefix.name + ending) for shard in shards]
    if not all(path.name in shard.names for path, shard in zip(paths, shards, strict=True)):
        return []
    return [ShardTrack(path, shard.n_windows) for path, shard in zip(paths, shards, strict=True)]


def planned_files(
    prefix: Path, formats: Iterable[str], target_names: Sequence[str], *, spread: bool
) -> Iterator[Planned]:
    """Say which files some formats are, without writing them; parameters as for `export_files`.

    Parameters
    ----------
    target_names : sequence of str
        Of the archive.
    spread : bool
        Whether the archive is of several models.
    """
    endings = ("", ".sd") if spread else ("",)
    names = target_file_names(target_names, endings) if len(target_names) > 1 else [""]
    chosen = products(formats)
    for target, name in enumerate(names):
        for product in chosen:
            if product.per_target:
                yield Planned(product, _paths(product, prefix, name), target, False)
                if product.of_spread and spread:
                    yield Planned(product, _paths(product, prefix, name, "sd"), target, True)
    for product in chosen:
        if not product.per_target:
            yield Planned(product, _paths(product, prefix), 0, False)


def _paths(product: Product, prefix: Path, *middle: str) -> tuple[Path, ...]:
    """Name the files of a product; `middle` is the part that stands for the target, and for the spread."""
    parts = [prefix.name, *filter(None, middle)]
    return tuple(prefix.with_name(".".join([*parts, ending])) for ending in product.endings)
