"""Files made of an archive again, in the set of files of its prefix."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import is_same_file
from sparselrp_cli.files.lock import locked
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.export import export_files
from sparselrp_cli.runs.file_set import add_to_set, of_another
from sparselrp_cli.runs.run_files import path_of


def export_archive(
    archive: Path, prefix: Path, formats: Iterable[str], overlap: str, command: Sequence[str]
) -> list[Path]:
    """Write the files of some formats, and list them in ``PREFIX.manifest.json``.

    Parameters
    ----------
    archive, prefix : Path
    formats : iterable of str
    overlap : str
        What a base covered by several windows gets in a track.
    command : sequence of str
        The command line, for the manifest.

    Returns
    -------
    list of Path
        What was written, but the manifest.

    Raises
    ------
    OutputError
        If the archive can't be read, a file can't be written, another run has the prefix, or the archive
        itself is asked for under another one.
    """
    wanted = frozenset(formats)
    with ArchiveReader(archive) as reader, locked(prefix):
        is_elsewhere = not is_same_file(path_of(prefix, ".h5"), archive)
        if is_elsewhere and "h5" in wanted:
            raise OutputError(
                f"an export makes no {path_of(prefix, '.h5')}; copy {archive}, and leave h5 out of --formats"
            )
        if is_elsewhere and of_another(prefix, reader.manifest):
            raise OutputError(
                f"{prefix}.* are the files of another run than {archive}; choose another --output, or remove"
                " them"
            )
        files = export_files(reader, prefix, wanted, overlap)
        add_to_set(prefix, reader.manifest, command, files)
    return files
