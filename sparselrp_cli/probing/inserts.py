"""What is put into backgrounds: motifs by name, or letters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparselrp_cli.errors import InputError, printable
from sparselrp_cli.motifs.formats import KnownMotif
from sparselrp_cli.sequences.one_hot import OneHot, encode, reverse_complement

LONGEST = 10_000
_BASES = frozenset("ACGT")
_SHOWN = 5
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Insert:
    """Letters that replace those of a background.

    Attributes
    ----------
    name : str
    letters : str
        A, C, G and T; of a motif the most frequent base of each position.
    """

    name: str
    letters: str

    def __len__(self) -> int:
        return len(self.letters)

    def one_hot(self, strand: str = "+") -> OneHot:
        """Encode it, on a strand: shape (4, w)."""
        forward = encode(self.letters.encode())
        return reverse_complement(forward) if strand == "-" else forward


def find_inserts(asked: Sequence[str], motifs: Sequence[KnownMotif]) -> list[Insert]:
    """Find what is asked for; all motifs where nothing is.

    Parameters
    ----------
    asked : sequence of str
        The name or second name of a motif, letters, or ``NAME=LETTERS``.
    motifs : sequence of KnownMotif

    Raises
    ------
    InputError
    """
    if not asked:
        return [_of_motif(motif) for motif in motifs]
    return [find_insert(text, motifs) for text in dict.fromkeys(asked)]


def find_insert(text: str, motifs: Sequence[KnownMotif]) -> Insert:
    """Find one insert, see `find_inserts`.

    Raises
    ------
    InputError
    """
    for exact in (True, False):
        wanted = text if exact else text.casefold()
        for motif in motifs:
            names = (motif.name, motif.alt_name)
            if wanted in (names if exact else [name.casefold() for name in names]):
                return _of_motif(motif)
    name, _, letters = text.rpartition("=")
    letters = letters.strip().upper()
    if not letters or not _BASES.issuperset(letters):
        raise InputError(f"'{printable(text)}' is neither letters A, C, G, T nor a motif{_which(motifs)}")
    if len(letters) > LONGEST:
        raise InputError(f"an insert of {len(letters)} bp; at most {LONGEST} are put in")
    return Insert(name or letters, letters)


def put(one_hot: OneHot, insert: OneHot, start: int) -> OneHot:
    """Give windows (n, 4, L) with letters (4, w), or letters of each (n, 4, w), at a place."""
    changed = one_hot.copy()
    changed[:, :, start : start + insert.shape[-1]] = insert
    return changed


def shuffled(insert: Insert, n: int, seed: int) -> OneHot:
    """Give the columns of an insert in other orders, see `reordered`: shape (n, 4, w)."""
    rng = np.random.Generator(np.random.Philox(key=[seed, len(insert)]))
    return np.stack([reordered(insert.one_hot(), rng) for _ in range(n)])


def reordered(columns: OneHot, rng: np.random.Generator) -> OneHot:
    """Put letters in another order, one that spells something else where there is any: shape (4, w)."""
    width = columns.shape[1]
    for _ in range(_TRIES):
        other = columns[:, rng.permutation(width)]
        if not np.array_equal(other, columns):
            break
    return other


def _of_motif(motif: KnownMotif) -> Insert:
    letters = "".join("ACGT"[i] for i in motif.frequencies.argmax(axis=1))
    return Insert(motif.alt_name or motif.name, letters)


def _which(motifs: Sequence[KnownMotif]) -> str:
    if not motifs:
        return "; give a file of motifs with --motifs"
    names = [printable(motif.alt_name or motif.name) for motif in motifs[:_SHOWN]]
    more = ", ..." if len(motifs) > _SHOWN else ""
    return f" of the file, which has {', '.join(names)}{more}"
