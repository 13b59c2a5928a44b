"""Motifs that variants make or break: the best match over the change, in either allele."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from sparselrp_cli.motifs.formats import KnownMotif
from sparselrp_cli.motifs.hits import MATRIX_P
from sparselrp_cli.motifs.scan import UNKNOWN, Matrix, encoded
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.variants import Variant, window_sequence
from sparselrp_cli.sequences.windows import ALLELES, Allele

GAINED, LOST = "gained", "lost"
STRONGER, WEAKER = "stronger", "weaker"
EFFECTS: Mapping[str, str] = MappingProxyType(
    {
        GAINED: "only this allele has",
        LOST: "only the reference has",
        STRONGER: "match this allele better than the reference",
        WEAKER: "match this allele worse than the reference",
    }
)
"""What a variant can do to a motif."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best match of a motif that covers a change, in one allele.

    Attributes
    ----------
    bits : float
        Log-odds; minus infinity where no place covers the change.
    p : float
        The probability that one place of a uniform random sequence scores as much.
    strand : str
    offset : int
        Its first base, counted from the first base that differs.
    """

    bits: float
    p: float
    strand: str
    offset: int


@dataclass(frozen=True, slots=True)
class MotifEffect:
    """What a variant does to a motif.

    Attributes
    ----------
    effect : str
        ``gained`` where only the alternative has a match (p at most `MATRIX_P`), ``lost`` where only the
        reference has, ``stronger`` or ``weaker`` where both have.
    motif : KnownMotif
    ref, alt : Best
    """

    effect: str
    motif: KnownMotif
    ref: Best
    alt: Best

    @property
    def name(self) -> str:
        """What a reader calls the motif."""
        return self.motif.alt_name or self.motif.name


class MotifScan:
    """Looks for motifs that variants make or break.

    Parameters
    ----------
    motifs : sequence of KnownMotif
    """

    def __init__(self, motifs: Sequence[KnownMotif]) -> None:
        self.motifs = [(motif, Matrix.of(motif)) for motif in motifs]
        self.flank = max((matrix.width for _, matrix in self.motifs), default=1) - 1

    def effects(self, variants: Sequence[Variant], genome: Genome) -> list[list[MotifEffect]]:
        """Compare the alleles of some variants.

        A match counts if it covers a base that the variant changes; where an allele has no base of its own
        there, as the reference of an insertion, if it covers both neighbours.

        Parameters
        ----------
        variants : sequence of Variant
            That can be explained, see `why_not`.
        genome : Genome

        Returns
        -------
        list of list of MotifEffect
            For each variant, by the size of the difference in bits.
        """
        found: list[list[MotifEffect]] = [[] for _ in variants]
        around = {allele: self._around(variants, allele, genome) for allele in ALLELES}
        lengths = {
            "ref": np.array([len(v.removed) for v in variants]),
            "alt": np.array([len(v.inserted) for v in variants]),
        }
        for motif, matrix in self.motifs:
            ref, alt = (self._best(matrix, around[allele], lengths[allele]) for allele in ALLELES)
            for number, effect in _changes(motif, ref, alt):
                found[number].append(effect)
        return [sorted(effects, key=_by_difference) for effects in found]

    def _around(
        self, variants: Sequence[Variant], allele: Allele, genome: Genome
    ) -> npt.NDArray[np.int8]:  # fmt: skip
        """Encode what lies around the changes, padded behind: shape (n, L); a change begins at `flank`."""
        rows = []
        for v in variants:
            start = v.changed_at - self.flank
            end = v.changed_at + len(v.removed if allele == "ref" else v.inserted) + self.flank
            rows.append(encoded(window_sequence(v, allele, genome, start, end)))
        longest = max(max((len(row) for row in rows), default=0), self.flank + 1)
        padded = np.full((len(rows), longest), UNKNOWN, np.int8)
        for row, codes in zip(padded, rows, strict=True):
            row[: len(codes)] = codes
        return padded

    def _best(
        self, matrix: Matrix, codes: npt.NDArray[np.int8], lengths: npt.NDArray[np.int64]
    ) -> list[Best]:  # fmt: skip
        scores = matrix.scores(codes)
        starts = np.arange(scores.shape[2])
        # The last place that covers a base of the change, or of an empty one both neighbours.
        last = self.flank + np.where(lengths > 0, lengths, 0) - 1
        covers = (starts > self.flank - matrix.width) & (starts <= last[:, None])
        at = np.where(covers, scores, np.iinfo(np.int64).min).transpose(1, 2, 0).reshape(len(codes), -1)
        chosen = at.argmax(axis=1)
        best = at[np.arange(len(codes)), chosen]
        bits, p = matrix.bits(best), matrix.p_values(best)
        return [
            Best(float(bits[i]), float(p[i]), "+-"[int(place) % 2], int(place) // 2 - self.flank)
            for i, place in enumerate(chosen)
        ]


def _changes(
    motif: KnownMotif, ref: Sequence[Best], alt: Sequence[Best]
) -> Iterator[tuple[int, MotifEffect]]:
    """Give the number of each variant that a motif tells something of, and what."""
    for number, (before, after) in enumerate(zip(ref, alt, strict=True)):
        if before.bits != after.bits and min(before.p, after.p) <= MATRIX_P:
            yield number, MotifEffect(_effect(before, after), motif, before, after)


def _effect(ref: Best, alt: Best) -> str:
    if ref.p > MATRIX_P:
        return GAINED
    if alt.p > MATRIX_P:
        return LOST
    return STRONGER if alt.bits > ref.bits else WEAKER


def _by_difference(effect: MotifEffect) -> tuple[float, str]:
    return -abs(effect.alt.bits - effect.ref.bits), effect.motif.name
