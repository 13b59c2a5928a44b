"""What lies beside an archive and is shown with it, if it was made of it.

What the user names and isn't of the archive is an error; what is found under its prefix and isn't, as a run
before left it, is left out with a warning.
"""

import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sparselrp_cli.errors import InputError, printable
from sparselrp_cli.files.belonging import is_made_of, listed, manifest_path, read_record, why_not
from sparselrp_cli.files.digest import sha256
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.report.content import read_motifs, read_skipped
from sparselrp_cli.report.hits import Hit, read_hits
from sparselrp_cli.settings.manifest import other_explanation, read_manifest

logger = logging.getLogger("sparselrp")

Motifs = tuple[dict[str, Any], dict[str, list[Hit]]]
Skipped = tuple[list[str], list[list[str]], int]

OF_MOTIFS = {
    "hits.bed": "hits of the motifs, BED for genome browsers",
    "seqlets.bed": "seqlets, BED",
    "motifs.meme": "motifs as matrices, MEME",
    "motifs.tsv": "motifs, a table with matches, p and q",
}
OF_RUN = {
    "windows.tsv": "every window with its score and accounts, a table",
    "skipped.tsv": "regions that weren't scored, and why",
    "bw": "contributions by base, bigWig for genome browsers",
    "bedgraph.gz": "contributions by base, bedGraph",
    "igv.xml": "session for IGV",
    "hub.txt": "track hub for UCSC",
    "h5": "the archive of which all is made",
    "manifest.json": "what was run on what",
}


def motifs_of(archive: Path, given: Path | None) -> Motifs | None:
    """Read what `motifs` found in an archive, and the hits by chromosome.

    Parameters
    ----------
    archive : Path
    given : Path or None
        What the user names; else ``PREFIX.motifs.json`` is looked for.

    Raises
    ------
    InputError
        If what is given was made of another archive, or is damaged.
    """
    path = given or _beside(archive, "motifs.json")
    if path is None:
        return None
    record = read_motifs(path)
    beginning = path.name.removesuffix("motifs.json")
    hits = path.with_name(f"{beginning}hits.bed")
    reason = ""
    if not is_made_of(record, sha256(archive)):
        reason = f"{path} was made of another archive than {archive}"
    elif hits.is_file() and (wrong := why_not(hits, listed(record, beginning))):
        reason = f"{hits} {wrong} by the search of {path.name}"
    if reason:
        _refuse(f"{reason}; run `sparselrp motifs` again", given)
        return None
    return record, read_hits(hits)


@contextmanager
def unpruned_of(reader: ArchiveReader, given: Path | None) -> Iterator[ArchiveReader | None]:
    """Open the archive of the same windows without pruning.

    Parameters
    ----------
    reader : ArchiveReader
    given : Path or None
        What the user names; else ``PREFIX.unpruned.h5`` is looked for.

    Raises
    ------
    InputError
        If what is given was explained otherwise in more than the pruning, or is of other sequences.
    """
    path = given or _beside(reader.path, "unpruned.h5")
    if path is None:
        yield None
        return
    with ArchiveReader(path) as unpruned:
        if reason := _why_no_twin(reader, unpruned):
            _refuse(f"{path} was made with {reason}, unlike {reader.path}; make it again", given)
        yield None if reason else unpruned


def skipped_of(reader: ArchiveReader) -> Skipped:
    """Read the first lines of ``PREFIX.skipped.tsv``: header, rows, and how many there are."""
    outcome = read_manifest(reader).outcome
    path = _beside(reader.path, "skipped.tsv")
    if path is None or outcome is None or outcome.skipped_sha256 in (None, sha256(path)):
        return read_skipped(reader.path)
    logger.warning("%s isn't the table of %s, and left out", path, reader.path)
    return [], [], outcome.skipped


def command_of(reader: ArchiveReader) -> str | None:
    """Give the command that made an archive, from the manifest beside it, if it is of this archive."""
    record = read_record(manifest_path(reader.path.with_name(reader.path.stem)))
    command = (record or {}).get("command")
    if record is None or not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        return None
    of_run = {name: value for name, value in record.items() if name not in ("command", "outputs")}
    return printable(shlex.join(command)) if of_run == reader.manifest else None


def downloads_of(archive: Path, page: Path, *, has_motifs: bool) -> list[tuple[str, str, str]]:
    """List the files beside an archive that are there: address from the page on, name, what it is.

    What `motifs` made is listed only where the page shows it, and so is of this archive.
    """
    kinds = {**(OF_MOTIFS if has_motifs else {}), **OF_RUN}
    found = []
    for suffix, what in kinds.items():
        if (path := _beside(archive, suffix)) is not None and path.resolve() != page.resolve():
            address = Path(os.path.relpath(path.resolve(), page.resolve().parent)).as_posix()
            found.append((f"./{quote(os.fsencode(address))}", printable(path.name), what))
    return found


def _why_no_twin(reader: ArchiveReader, unpruned: ArchiveReader) -> str:
    ours, theirs = read_manifest(reader), read_manifest(unpruned)
    settings = replace(
        theirs.settings, prune=ours.settings.prune, prune_negative=ours.settings.prune_negative
    )
    if other := other_explanation(ours, replace(theirs, settings=settings)):
        return other
    sequences = [manifest.inputs["sequences"].sha256 for manifest in (ours, theirs)]
    return "other sequences" if sequences[0] != sequences[1] else ""


def _refuse(reason: str, given: Path | None) -> None:
    if given is not None:
        raise InputError(reason)
    logger.warning("left out: %s", reason)


def _beside(archive: Path, suffix: str) -> Path | None:
    path = archive.with_name(f"{archive.stem}.{suffix}")
    return path if path.is_file() else None
