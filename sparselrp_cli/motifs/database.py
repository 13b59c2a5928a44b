"""Motif databases, and which of their motifs ours are like."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sparselrp_cli.errors import InputError, number_of
from sparselrp_cli.motifs.alignment import Floats, frequencies
from sparselrp_cli.motifs.formats import LARGEST, KnownMotif, read_motif_file
from sparselrp_cli.motifs.null import q_values
from sparselrp_cli.sequences.text import is_pipe, read_packed

# Tomtom's null is made of the database's own columns.
LEAST_MOTIFS = 25
REPORTED = 5


@dataclass(frozen=True, eq=False)
class Database:
    """Known motifs, and where they are from.

    Attributes
    ----------
    name : str
        Of the file, or as in ``jaspar2026:insects``.
    motifs : tuple of KnownMotif
    sha256 : str or None
        Of the file; None where it is none.
    """

    name: str
    motifs: tuple[KnownMotif, ...]
    sha256: str | None

    def as_record(self) -> dict[str, str]:
        """Say which database it is, as JSON."""
        return {"name": self.name} | ({"sha256": self.sha256} if self.sha256 is not None else {})


@dataclass(frozen=True)
class Match:
    """How a motif is like one of a database (Tomtom, Gupta et al. 2007).

    Attributes
    ----------
    name, alt_name : str
    p, q : float
        q is over the database (Benjamini & Hochberg).
    strand : str
        ``-`` where ours is like the reverse complement.
    offset : int
        Column of ours at which the known motif, turned to our strand, begins; negative where that is before
        ours.
    overlap : int
        Columns in both.
    frequencies : ndarray, shape (w, 4)
        Of the known motif, on its own strand.
    """

    name: str
    alt_name: str
    p: float
    q: float
    strand: str
    offset: int
    overlap: int
    frequencies: Floats = field(compare=False, repr=False)


def open_database(given: str) -> Database:
    """Read a motif database, once.

    Parameters
    ----------
    given : str
        A file, see `read_motif_file`; or ``jaspar2026``, ``jaspar2026:insects`` and so on: JASPAR's CORE
        collection (of one taxonomic group) from the package `pyjaspar`.

    Raises
    ------
    InputError
        If it can't be read, is too small for p-values, or pyjaspar is not installed.
    """
    is_release = given != "-" and not Path(given).exists() and given.lower().startswith("jaspar")
    if is_release:
        database = Database(given, tuple(_from_pyjaspar(given)), None)
    else:
        file = read_motif_file(given)
        database = Database(Path(given).name, file.motifs, file.sha256)
    if len(database.motifs) < LEAST_MOTIFS:
        raise InputError(
            f"{given}: {number_of(len(database.motifs), 'motif is', 'motifs are')} too few; p-values come"
            f" from the database's own columns and need at least {LEAST_MOTIFS} motifs; give a larger one,"
            " such as jaspar2026"
        )
    return database


def read_database(given: str) -> list[KnownMotif]:
    """Read the motifs of a database, see `open_database`."""
    return list(open_database(given).motifs)


@contextmanager
def database_at_hand(given: str) -> Iterator[str]:
    """Check a database that is needed later, and keep what comes from a pipe until the end of the block.

    Yields
    ------
    str
        What to give to `open_database`.

    Raises
    ------
    InputError
        If it can't be read.
    """
    if not is_pipe(given):
        open_database(given)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="sparselrp-") as folder:
        kept = Path(folder) / (Path(given).name if given != "-" else "database")
        kept.write_bytes(read_packed(given, LARGEST))
        open_database(str(kept))
        yield str(kept)


def match(motif: Floats, database: Sequence[KnownMotif]) -> list[Match]:
    """Find the motifs of a database that one is like, best first.

    Parameters
    ----------
    motif : ndarray, shape (w, 4)
        Counts.
    database : sequence of KnownMotif

    Returns
    -------
    list of Match
        At most `REPORTED`.
    """
    from memelite import tomtom

    found = tomtom([frequencies(motif).T], [known.frequencies.T for known in database], n_jobs=1)
    # memelite's offset is that of our motif in the known one, as it lies on our strand.
    p, _, offsets, overlaps, strands = (np.asarray(part)[0] for part in found)
    q = q_values(p.astype(np.float64))
    best = np.lexsort((np.arange(len(p)), p))[:REPORTED]
    return [
        Match(
            database[i].name, database[i].alt_name, float(p[i]), float(q[i]), "-" if strands[i] else "+",
            -int(offsets[i]), int(overlaps[i]), database[i].frequencies,
        )
        for i in best
    ]  # fmt: skip


def _from_pyjaspar(given: str) -> list[KnownMotif]:
    release, _, group = given.partition(":")
    try:
        from pyjaspar import jaspardb
    except ImportError as error:
        raise InputError(
            f"{given}: pyjaspar, which holds JASPAR, isn't installed; `pip install 'sparselrp[jaspar]'`, or"
            " give a MEME file"
        ) from error
    names = {name.lower(): name for name in jaspardb().get_releases()}
    if release.lower() not in names:
        raise InputError(f"{given}: pyjaspar has no release {release}; it has {', '.join(sorted(names))}")
    options = {"tax_group": [group]} if group else {}
    found = list(jaspardb(release=names[release.lower()]).fetch_motifs(collection="CORE", **options))
    if not found:
        raise InputError(
            f"{given}: no motif of '{group}'; the groups are vertebrates, plants, insects, nematodes, fungi,"
            " urochordates"
        )
    return [_known(motif) for motif in sorted(found, key=lambda motif: str(motif.matrix_id))]


def _known(motif: Any) -> KnownMotif:
    """Take a motif of Biopython."""
    counts = np.array([motif.counts[base] for base in "ACGT"], np.float64).T
    return KnownMotif(str(motif.matrix_id), str(motif.name or ""), counts)
