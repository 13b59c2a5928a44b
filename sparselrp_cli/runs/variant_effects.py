"""What variants do: numbers of every variant and target, of the two runs that explained its alleles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Doubles
from sparselrp_cli.outputs.difference import Change, difference
from sparselrp_cli.runs.variant_null import kind_of
from sparselrp_cli.sequences.variants import Variant

NUMBERS = (
    "score_ref", "score_alt", "score_difference", "prediction_ref", "prediction_alt", "prediction_difference",
    "site_ref", "site_alt", "largest_difference", "largest_pos", "total_difference",
)  # fmt: skip
TESTED = ("score_difference", "total_difference")
"""What is compared with random changes: the effect on the score, and that on relevance in the window."""
AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """What was measured of the variants that were explained, V of them.

    Attributes
    ----------
    numbers : ndarray of float64, shape (11, T, V)
        The columns `NUMBERS`; the place is on the chromosome, 1-based.
    changes : list of Change
    places : list of (str, int)
        Chromosome and first base that differs.
    kinds : list of str
        See `kind_of`.
    examples : dict of str to Variant
        One of each kind.
    """

    numbers: Doubles
    changes: list[Change]
    places: list[tuple[str, int]]
    kinds: list[str]
    examples: dict[str, Variant]

    def tested(self) -> Doubles:
        """Give the statistics `TESTED`, shape (2, T, V)."""
        return self.numbers[[NUMBERS.index(name) for name in TESTED]]


def measure(ref: ArchiveReader, alt: ArchiveReader, checked: Iterable[tuple[Variant, str]]) -> Effects:
    """Measure every variant that was explained.

    Parameters
    ----------
    ref, alt : ArchiveReader
    checked : iterable of (Variant, str)
        All variants of the VCF; those with a reason weren't explained.

    Raises
    ------
    OutputError
        If the archives are of other variants.
    """
    parts: list[Doubles] = []
    effects = Effects(np.zeros((len(NUMBERS), ref.n_targets, 0)), [], [], [], {})
    waiting: list[Variant] = []
    for variant, reason in checked:
        if reason:
            continue
        kind = kind_of(variant)
        effects.kinds.append(kind)
        effects.examples.setdefault(kind, variant)
        waiting.append(variant)
        if len(waiting) == AT_ONCE:
            parts.append(_numbers(ref, alt, waiting, effects))
            waiting.clear()
    parts.append(_numbers(ref, alt, waiting, effects))
    if not len(effects.changes) == ref.n_windows == alt.n_windows:
        raise _of_another(ref, alt)
    numbers = np.concatenate(parts, axis=2)
    return Effects(numbers, effects.changes, effects.places, effects.kinds, effects.examples)


def _numbers(ref: ArchiveReader, alt: ArchiveReader, variants: Sequence[Variant], before: Effects) -> Doubles:
    """Measure variants whose windows follow those before, and add them: shape (11, T, n)."""
    first, length = len(before.changes), ref.window_length
    rows = slice(first, first + len(variants))
    if rows.stop > min(ref.n_windows, alt.n_windows):
        raise _of_another(ref, alt)
    changes = [Change(length // 2, len(v.removed), len(v.inserted)) for v in variants]
    before.changes.extend(changes)
    before.places.extend((v.chrom, v.changed_at) for v in variants)
    found = np.zeros((len(NUMBERS), ref.n_targets, len(variants)))
    for column, name in enumerate(("score", "prediction")):
        values = [np.asarray(reader.stored(name, rows), np.float64) for reader in (ref, alt)]
        if len(variants):
            found[3 * column : 3 * column + 3] = *values, values[1] - values[0]
    for target in range(ref.n_targets):
        maps = [r.contributions(rows, target).astype(np.float64) for r in (ref, alt)]
        for i, (variant, change) in enumerate(zip(variants, changes, strict=True)):
            start = variant.changed_at - length // 2
            found[6:, target, i] = _of_maps(maps[0][i], maps[1][i], change, start)
    return found


def _of_maps(before: Doubles, after: Doubles, change: Change, start: int) -> tuple[float, ...]:
    """Give the columns `NUMBERS` from ``site_ref`` on."""
    moved = difference(before, after, change)
    largest = int(np.abs(moved).argmax())
    # The relevance of the bases that the variant takes away, and of those it puts there.
    site_ref = before[change.at : change.at + change.removed].sum()
    site_alt = after[change.at : change.at + change.inserted].sum()
    return site_ref, site_alt, moved[largest], start + largest + 1, np.abs(moved).sum()


def _of_another(ref: ArchiveReader, alt: ArchiveReader) -> OutputError:
    return OutputError(f"{alt.path} and {ref.path} are of another VCF; run again without --resume")
