"""What lies beside an archive and is shown with it, if it was made of it.

What the user names and isn't of the archive is an error; what is found under its prefix and isn't, as a run
before left it, is left out with a warning.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparselrp_cli.errors import InputError
from sparselrp_cli.files.belonging import is_made_of, listed, why_not
from sparselrp_cli.files.digest import sha256
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.report.content import read_hits, read_motifs, read_skipped
from sparselrp_cli.report.figures import Span
from sparselrp_cli.settings.manifest import other_explanation, read_manifest

logger = logging.getLogger("sparselrp")

Motifs = tuple[dict[str, Any], dict[str, list[Span]]]
Skipped = tuple[list[str], list[list[str]], int]


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
