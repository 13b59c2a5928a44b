"""A motif of a file, and the numbers it is made of."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError

Lines = Iterable[tuple[int, str]]
"""Lines with their numbers, from 1."""
Row = list[float]

BASES = "ACGT"
SITES = 20.0
"""Sites behind a matrix of probabilities that doesn't say how many: what MEME takes for granted."""
WIDEST = 1000
_LONGEST_NAME = 1000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class KnownMotif:
    """A motif of a database.

    Attributes
    ----------
    name, alt_name : str
        Such as ``MA0533.1`` and ``su(Hw)``; the latter may be empty.
    counts : ndarray of float64, shape (w, 4)
        Of A, C, G, T in the sites; of a matrix of probabilities, these times the number of sites.
    """

    name: str
    alt_name: str
    counts: npt.NDArray[np.float64]

    @property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """Shares of the bases, shape (w, 4); equal ones at a position without counts."""
        sums = self.counts.sum(axis=1, keepdims=True)
        return np.where(sums > 0, self.counts / np.where(sums > 0, sums, 1), 0.25)


def numbers(words: Sequence[str]) -> Row | None:
    """Read words as numbers; None if one isn't."""
    return [float(word) for word in words] if all(map(_NUMBER.fullmatch, words)) else None


def bases(letters: Sequence[str]) -> str | None:
    """Give the letters of four columns as bases, U as T; None where they aren't the four."""
    found = "".join(letters).upper().replace("U", "T")
    return found if sorted(found) == list(BASES) else None


def add(row: Row, rows: list[Row], where: str) -> None:
    """Add a row to those of a motif.

    Raises
    ------
    InputError
        If that has more than any motif.
    """
    if max(len(rows), len(row)) > WIDEST:
        raise InputError(f"{where}: a matrix of over {WIDEST} positions is no motif")
    rows.append(row)


def motif_of(
    rows: Sequence[Row], order: str, names: tuple[str, str], where: str, sites: float = SITES
) -> KnownMotif:
    """Make a motif of its rows.

    Parameters
    ----------
    rows : sequence of list of float
        One a position.
    order : str
        The bases of the columns.
    names : tuple of str
        The name and the second name.
    where : str
        For messages, such as ``known.meme line 7``.
    sites : float
        Behind probabilities.

    Raises
    ------
    InputError
        If the numbers are neither counts nor probabilities.
    """
    name = names[0]
    if not name:
        raise InputError(f"{where}: a motif without a name; name it")
    if max(map(len, names)) > _LONGEST_NAME:
        raise InputError(f"{where}: a name of over {_LONGEST_NAME} letters; shorten it")
    if not rows:
        raise InputError(f"{where}: motif '{name}' has no matrix")
    for number, row in enumerate(rows, 1):
        if len(row) != len(order):
            kind = "; dinucleotides aren't read" if len(row) == 16 else ""
            raise InputError(f"{where}: motif '{name}' is damaged; row {number} has {len(row)} numbers{kind}")
    values = np.array(rows, np.float64)[:, [order.index(base) for base in BASES]]
    if not np.isfinite(values).all():
        raise InputError(f"{where}: motif '{name}' is damaged; it has a value that is no number")
    if (values < 0).any():
        raise InputError(
            f"{where}: motif '{name}' has negative numbers, as log-odds have; give counts or probabilities"
        )
    if np.abs(values.sum(axis=1) - 1).max() < 0.05:
        values = values * sites
    return KnownMotif(name, names[1], values)
