"""Every file that is made from an archive, by format."""

from collections.abc import Sequence
from pathlib import Path

from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.motif_files import write_modisco, write_modisco_h5, write_regions
from sparselrp_cli.outputs.tracks import write_bedgraph, write_bigwig


def export_files(reader: ArchiveReader, prefix: Path, formats: Sequence[str], overlap: str) -> list[Path]:
    """Write the files of some formats, for every target of the archive.

    An archive of several models also has tracks of the spread of contributions: ``PREFIX.sd.bw`` and so on.

    Parameters
    ----------
    formats : sequence of str
        Of ``bigwig``, ``bedgraph``, ``modisco``, ``modisco-h5``, ``finemo``; ``h5`` is the archive itself
        and adds nothing.
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
    written: list[Path] = []

    def path(name: str, suffix: str) -> Path:
        middle = f".{name}" if name else ""
        target = prefix.with_name(f"{prefix.name}{middle}.{suffix}")
        written.append(target)
        return target

    for target, name in enumerate(names):
        if "bigwig" in formats:
            write_bigwig(reader, path(name, "bw"), overlap, target)
            if reader.has_spread:
                write_bigwig(reader, path(name, "sd.bw"), overlap, target, spread=True)
        if "bedgraph" in formats:
            write_bedgraph(reader, path(name, "bedgraph.gz"), overlap, target)
            if reader.has_spread:
                write_bedgraph(reader, path(name, "sd.bedgraph.gz"), overlap, target, spread=True)
        if "modisco" in formats or "finemo" in formats:
            write_modisco(reader, path(name, "ohe.npz"), path(name, "attr.npz"), target)
        if "modisco-h5" in formats:
            write_modisco_h5(reader, path(name, "modisco.h5"), target)
    if "modisco" in formats or "finemo" in formats:
        write_regions(reader, path("", "regions.narrowPeak"))
    return written
