"""Motif databases, and which of their motifs ours are like."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.motifs.alignment import Floats, frequencies
from sparselrp_cli.motifs.null import q_values

FORMATS = ("jaspar", "transfac")
# Tomtom's null is made of the database's own columns.
LEAST_MOTIFS = 25
REPORTED = 5


@dataclass(frozen=True, eq=False)
class KnownMotif:
    """A motif of a database.

    Attributes
    ----------
    name, alt_name : str
        Such as ``MA0533.1`` and ``su(Hw)``; the latter may be empty.
    frequencies : ndarray of float64, shape (w, 4)
    """

    name: str
    alt_name: str
    frequencies: npt.NDArray[np.float64]


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
        Column of ours at which the known motif begins, on `strand`.
    overlap : int
        Columns in both.
    """

    name: str
    alt_name: str
    p: float
    q: float
    strand: str
    offset: int
    overlap: int


def read_database(given: str) -> list[KnownMotif]:
    """Read a motif database.

    Parameters
    ----------
    given : str
        A file in MEME, JASPAR or TRANSFAC format; or ``jaspar2026``, ``jaspar2026:insects`` and so on:
        JASPAR's CORE collection (of one taxonomic group) from the package `pyjaspar`.

    Raises
    ------
    InputError
        If it can't be read, is too small for p-values, or pyjaspar is not installed.
    """
    is_release = not Path(given).exists() and given.lower().startswith("jaspar")
    found = _from_pyjaspar(given) if is_release else _from_file(Path(given))
    if len(found) < LEAST_MOTIFS:
        raise InputError(
            f"{given}: {len(found)} motifs are too few; p-values come from the database's own columns"
            f" and need at least {LEAST_MOTIFS} motifs; give a larger one, such as jaspar2026"
        )
    return found


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
    p, _, offsets, overlaps, strands = (np.asarray(part)[0] for part in found)
    q = q_values(p.astype(np.float64))
    best = np.lexsort((np.arange(len(p)), p))[:REPORTED]
    return [
        Match(
            database[i].name, database[i].alt_name, float(p[i]), float(q[i]), "-" if strands[i] else "+",
            int(offsets[i]), int(overlaps[i]),
        )
        for i in best
    ]  # fmt: skip


def _from_file(path: Path) -> list[KnownMotif]:
    from Bio import motifs

    try:
        with path.open(errors="replace") as stream:
            is_meme = "MEME version" in stream.read(4096)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from error
    if is_meme:
        return _from_meme(path)
    for form in FORMATS:
        try:
            with path.open() as stream:
                found = list(motifs.parse(stream, form))  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 - the parsers raise many kinds; the next format may fit
            continue
        if found:
            return [_known(motif) for motif in found]
    raise InputError(f"{path}: holds no motif in MEME, JASPAR or TRANSFAC format")


def _from_meme(path: Path) -> list[KnownMotif]:
    """Biopython's parser leaves out the second name."""
    from memelite.io import read_meme

    try:
        found = read_meme(str(path))
    except Exception as error:  # whatever its conversions raise
        raise InputError(f"{path}: a motif is damaged ({' '.join(str(error).split())})") from error
    if not found:
        raise InputError(f"{path}: holds no motif")
    known = []
    for names, matrix in found.items():
        name, _, alternative = names.partition(" ")
        if not np.isfinite(matrix).all() or (matrix < 0).any():
            raise InputError(f"{path}: motif {name} has a value that is no probability")
        known.append(KnownMotif(name, alternative, _normalised(matrix.T)))
    return known


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
    """Take a motif of Biopython, which has an identifier in JASPAR and an accession in TRANSFAC."""
    identifier = getattr(motif, "matrix_id", None)
    if identifier is None and isinstance(motif, dict):
        identifier = motif.get("AC") or motif.get("ID")
    alternative = motif.get("NA", "") if isinstance(motif, dict) else motif.name
    counts = np.array([motif.counts[base] for base in "ACGT"], np.float64).T
    return KnownMotif(str(identifier or motif.name), str(alternative or ""), _normalised(counts))


def _normalised(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    sums = matrix.sum(axis=1, keepdims=True)
    return np.where(sums > 0, matrix / np.where(sums > 0, sums, 1), 0.25)
