"""Every file that is made from an archive, by format."""

from collections.abc import Iterable
from pathlib import Path

from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.formats import Export, Product, products


def export_files(reader: ArchiveReader, prefix: Path, formats: Iterable[str], overlap: str) -> list[Path]:
    """Write the files of some formats, for every target of the archive.

    Parameters
    ----------
    formats : iterable of str
        Names of rows of `formats.FORMATS`; ``h5`` is the archive itself and adds nothing.
    overlap : str
        What a base covered by several windows gets in a track.

    Returns
    -------
    list of Path
        What was written, each file once.
    """
    several = len(reader.target_names) > 1
    endings = ("", ".sd") if reader.has_spread else ("",)
    names = target_file_names(reader.target_names, endings) if several else [""]
    chosen = products(formats)
    written: list[Path] = []
    for target, name in enumerate(names):
        for product in chosen:
            if product.per_target:
                written += _write(product, prefix, name, Export(reader, target, overlap))
                if product.of_spread and reader.has_spread:
                    written += _write(product, prefix, name, Export(reader, target, overlap, spread=True))
    for product in chosen:
        if not product.per_target:
            written += _write(product, prefix, "", Export(reader, 0, overlap))
    return written


def _write(product: Product, prefix: Path, target: str, export: Export) -> list[Path]:
    """Write a product; `target` is the part of the file names that stands for the target, or empty."""
    middle = [part for part in (target, "sd" if export.spread else "") if part]
    paths = [prefix.with_name(".".join([prefix.name, *middle, ending])) for ending in product.endings]
    product.write(export, paths)
    return paths
