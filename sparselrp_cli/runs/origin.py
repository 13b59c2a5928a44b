"""What made an archive, as far as the manifest beside it says."""

import json
from pathlib import Path

from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.settings.manifest import difference, without_results


def command_of(archive: Path) -> list[str]:
    """Read from ``PREFIX.manifest.json``, beside the archive, the command that made it.

    Returns
    -------
    list of str
        Empty where there is no manifest, or it is of another archive.

    Raises
    ------
    OutputError
        If the archive can't be read.
    """
    with ArchiveReader(archive) as reader:
        of_archive = without_results(reader.manifest)
    try:
        manifest = json.loads(archive.with_suffix(".manifest.json").read_text(encoding="utf-8"))
        if difference(of_archive, without_results(manifest)):
            return []
        command = manifest["command"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    is_command = isinstance(command, list) and all(isinstance(word, str) for word in command)
    return command if is_command else []
