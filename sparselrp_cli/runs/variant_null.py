"""The null of variants' effects: random changes of the same kind in the same windows."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.motifs.null import q_values
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.variants import Variant
from sparselrp_cli.sequences.windows import around

Doubles = npt.NDArray[np.float64]

TRIES = 10_000
"""Places that are drawn for one change before it is given up."""
EQUAL = 1e-6
"""Effects that differ by a smaller share are equal: those of one change differ by rounding."""
_BASES = frozenset("ACGT")


def kind_of(variant: Variant) -> str:
    """Name what a variant is compared with: ``A>N`` substitutes an A, ``-2+0`` deletes 2 bp."""
    removed, inserted = variant.removed, variant.inserted
    if len(removed) == len(inserted) == 1:
        return f"{removed}>N"
    return f"-{len(removed)}+{len(inserted)}"


@dataclass(frozen=True)
class Drawing:
    """Draws random changes around variants.

    Attributes
    ----------
    genome : Genome
    places : sequence of (str, int)
        Chromosome and first base that differs of each variant.
    length : int
        Of a window, in bp.
    """

    genome: Genome
    places: Sequence[tuple[str, int]]
    length: int

    def draw(self, like: Variant, n: int, seed: int) -> list[Variant]:
        """Draw changes of the kind of a variant.

        The window of a random variant is taken, and in it a random place: for a substitution one with the
        same base, which becomes any of the three others; for others one where as many bases can be taken
        away. What is put in is a random stretch of a random window. All bases are known.

        Parameters
        ----------
        like : Variant
        n : int
        seed : int
            What is drawn depends on it, the kind and the places only.

        Raises
        ------
        InputError
            If there is no such place.
        """
        kind = kind_of(like)
        rng = np.random.Generator(np.random.Philox(key=[seed, zlib.crc32(kind.encode())]))
        return [self._drawn(like, kind, rng) for _ in range(n)]

    def _drawn(self, like: Variant, kind: str, rng: np.random.Generator) -> Variant:
        for _ in range(TRIES):
            if kind.endswith(">N"):
                found = self._substitution(like.removed, rng)
            else:
                found = self._other(len(like.removed), len(like.inserted), rng)
            if found is not None and kind_of(found) == kind:
                return found
        raise InputError(
            f"--null: no place for a change of the kind {kind} in the windows after {TRIES} tries; leave"
            " --null out, or such variants"
        )

    def _substitution(self, base: str, rng: np.random.Generator) -> Variant | None:
        chrom, start, letters = self._window(rng)
        at = np.flatnonzero(np.frombuffer(letters.encode(), np.uint8) == ord(base))
        if not len(at):
            return None
        others = [other for other in "ACGT" if other != base]
        place = int(rng.choice(at))
        return Variant(chrom, start + place, ".", base, others[int(rng.integers(3))])

    def _other(self, removed: int, inserted: int, rng: np.random.Generator) -> Variant | None:
        chrom, start, letters = self._window(rng)
        *_, source = self._window(rng)
        if len(letters) < removed + 1 or len(source) < inserted:
            return None
        at = int(rng.integers(len(letters) - removed))
        taken = int(rng.integers(len(source) - inserted + 1))
        # The base in front stays, as VCF writes insertions and deletions.
        ref = letters[at : at + 1 + removed]
        alt = letters[at] + source[taken : taken + inserted]
        return Variant(chrom, start + at, ".", ref, alt) if _BASES.issuperset(ref + alt) else None

    def _window(self, rng: np.random.Generator) -> tuple[str, int, str]:
        """Give a random variant's window, as far as the chromosome goes: where it begins, and its letters."""
        chrom, place = self.places[int(rng.integers(len(self.places)))]
        start, end = around(place, self.length)
        start, end = max(start, 0), min(end, self.genome.chrom_sizes[chrom])
        return chrom, start, self.genome.fetch(chrom, start, end).decode().upper()


def write_null(path: Path, changes: Iterable[tuple[str, Variant]]) -> None:
    """Write random changes as a VCF, each with its kind.

    Raises
    ------
    OutputError
    """
    with replacing(path) as hidden, hidden.open("w", encoding="utf-8", newline="\n") as file:
        file.write("##fileformat=VCFv4.3\n")
        file.write(
            '##INFO=<ID=KIND,Number=1,Type=String,Description="Kind of variant it is compared with">\n'
        )
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for kind, v in changes:
            file.write(f"{v.chrom}\t{v.start + 1}\t.\t{v.ref}\t{v.alt}\t.\t.\tKIND={kind}\n")


@dataclass(frozen=True)
class Significance:
    """How variants compare with random changes of their kind.

    Attributes
    ----------
    p, q : ndarray of float64, shape (S, T, V)
        Of each statistic, target and variant; q is over the variants.
    """

    p: Doubles
    q: Doubles


def significance(effects: Doubles, kinds: Sequence[str], null: Mapping[str, Doubles]) -> Significance:
    """Compare the size of effects with the null of their kind.

    Parameters
    ----------
    effects : ndarray of float64, shape (S, T, V)
    kinds : sequence of str, length V
    null : mapping of str to ndarray, shape (S, T, n)
        Effects of the random changes of each kind.
    """
    p = np.ones_like(effects)
    of = np.array(kinds, object)
    for kind, drawn in null.items():
        here = of == kind
        for s, t in np.ndindex(effects.shape[:2]):
            p[s, t, here] = empirical_p(np.abs(effects[s, t, here]), np.abs(drawn[s, t]))
    q = np.empty_like(p)
    for s, t in np.ndindex(effects.shape[:2]):
        q[s, t] = q_values(p[s, t])
    return Significance(p, q)


def empirical_p(observed: Doubles, null: Doubles) -> Doubles:
    """Give (1 + how many of the null are as large) / (1 + how many there are) (Phipson & Smyth 2010).

    Parameters
    ----------
    observed : ndarray of float64, shape (n,)
    null : ndarray of float64, shape (m,)
    """
    ascending = np.sort(null)
    as_large = len(null) - np.searchsorted(ascending, observed * (1 - EQUAL), side="left")
    return (as_large + 1) / (len(null) + 1)
