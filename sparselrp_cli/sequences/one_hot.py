"""One-hot encoding in the order A C G T, and its reverse complement."""

from typing import Any

import numpy as np
import numpy.typing as npt

OneHot = npt.NDArray[np.uint8]
UNKNOWN = b"N"
AMBIGUOUS = b"RYSWKMBDHV"
KNOWN = b"ACGTU"


def _codes() -> OneHot:
    table = np.zeros((256, 4), dtype=np.uint8)
    for index, letters in enumerate((b"Aa", b"Cc", b"Gg", b"TtUu")):
        table[list(letters), index] = 1
    return table


def _flags(letters: bytes) -> npt.NDArray[np.bool_]:
    table = np.zeros(256, dtype=bool)
    table[list(letters.upper() + letters.lower())] = True
    return table


_CODES = _codes()
_NUCLEOTIDE = _flags(KNOWN + UNKNOWN + AMBIGUOUS)
_IS_AMBIGUOUS = _flags(AMBIGUOUS)


def encode(sequence: bytes) -> OneHot:
    """Encode a sequence.

    Lower case is upper case, U is T; N and the other IUPAC nucleotide letters are all-zero columns.

    Parameters
    ----------
    sequence : bytes, length L

    Returns
    -------
    ndarray of uint8, shape (4, L)
    """
    return np.ascontiguousarray(_CODES[np.frombuffer(sequence, dtype=np.uint8)].T)


def reverse_complement(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Reverse-complement one-hot windows or maps of them, shape (..., 4, L)."""
    return values[..., ::-1, ::-1]


def first_invalid(sequence: bytes) -> int | None:
    """Find the first letter that isn't an IUPAC nucleotide; None where all are."""
    wrong = ~_NUCLEOTIDE[np.frombuffer(sequence, dtype=np.uint8)]
    return int(np.argmax(wrong)) if wrong.any() else None


def count_ambiguous(sequence: bytes) -> int:
    """Count the IUPAC letters other than N that stand for several bases."""
    return int(_IS_AMBIGUOUS[np.frombuffer(sequence, dtype=np.uint8)].sum())
