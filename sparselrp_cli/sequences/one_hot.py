"""One-hot encoding in the order A C G T, and its reverse complement."""

from typing import Any

import numpy as np
import numpy.typing as npt

OneHot = npt.NDArray[np.uint8]
UNKNOWN = b"N"
AMBIGUOUS = b"RYSWKMBDHVryswkmbdhv"
NUCLEOTIDES = b"ACGTUNacgtun" + AMBIGUOUS

# For each base a table that turns the letters that stand for it into 1, all others into 0.
_IS_BASE = [bytes(byte in letters for byte in range(256)) for letters in (b"Aa", b"Cc", b"Gg", b"TtUu")]


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
    rows = bytearray().join(sequence.translate(table) for table in _IS_BASE)
    return np.frombuffer(rows, dtype=np.uint8).reshape(4, len(sequence))


def reverse_complement(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Reverse-complement one-hot windows or maps of them, shape (..., 4, L)."""
    return values[..., ::-1, ::-1]


def first_invalid(sequence: bytes) -> int | None:
    """Find the first letter that isn't an IUPAC nucleotide; None where all are."""
    strange = sequence.translate(None, NUCLEOTIDES)
    return sequence.index(strange[:1]) if strange else None


def count_ambiguous(sequence: bytes) -> int:
    """Count the IUPAC letters other than N that stand for several bases."""
    return len(sequence) - len(sequence.translate(None, AMBIGUOUS))
