"""What `variants` writes: tables, and the VCF with what was found in its INFO column."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.outputs.annotated_vcf import BETWEEN, AnnotatedVcf, InfoKey, Value, escaped, key_part
from sparselrp_cli.outputs.tables import Table
from sparselrp_cli.runs.variant_effects import NUMBERS, Effects
from sparselrp_cli.runs.variant_motifs import EFFECTS, MotifEffect, MotifScan
from sparselrp_cli.runs.variant_null import Significance
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.variants import Variant, alternatives, why_not
from sparselrp_cli.sequences.vcf import read_header, read_records

VARIANT = ("chrom", "pos", "id", "ref", "alt")
SIGNIFICANCE = ("score_p", "score_q", "relevance_p", "relevance_q")
OF_MOTIFS = (
    "effect", "motif", "motif_name", "bits_ref", "bits_alt", "bits_difference",
    "p_ref", "p_alt", "strand_ref", "strand_alt", "offset_ref", "offset_alt",
)  # fmt: skip
OF_NULL = ("kind", "chrom", "pos", "ref", "alt")
_AT_ONCE, _MOST_BYTES = 256, 1 << 26


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the files go; those of what wasn't asked for are None."""

    table: Path
    skipped: Path
    vcf: Path
    motifs: Path | None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What is known of the variants of a VCF.

    Attributes
    ----------
    vcf : str
        The file that is annotated.
    genome : Genome
    length : int
        Of a window, in bp.
    targets : sequence of str
    effects : Effects
    significance : Significance or None
    scan : MotifScan or None
    """

    vcf: str
    genome: Genome
    length: int
    targets: Sequence[str]
    effects: Effects
    significance: Significance | None
    scan: MotifScan | None

    def numbers(self, number: int, target: int) -> list[float]:
        """Give the columns of a variant from ``score_ref`` on."""
        found = self.effects.numbers[:, target, number].tolist()
        if self.significance is None:
            return list(found)
        p, q = self.significance.p, self.significance.q
        return [*found, *(float(v[s, target, number]) for s in range(len(p)) for v in (p, q))]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the VCF with its alternatives; those with a reason weren't explained."""

    record: bytes
    alternatives: list[tuple[Variant, str]]

    @property
    def explained(self) -> list[Variant]:
        return [variant for variant, reason in self.alternatives if not reason]


def write_tables(paths: Paths, found: Found) -> tuple[int, str]:
    """Write all tables, and the annotated VCF; give how many were skipped, and why the first was.

    Raises
    ------
    OutputError
    """
    skipped, first_reason, number = 0, "", 0
    with ExitStack() as stack:
        several = ("target",) if len(found.targets) > 1 else ()
        tested = SIGNIFICANCE if found.significance is not None else ()
        columns = (*VARIANT, "start", "end", *several, *NUMBERS, *tested)
        table = stack.enter_context(Table(paths.table, columns))
        left_out = stack.enter_context(Table(paths.skipped, (*VARIANT, "reason")))
        of_motifs = stack.enter_context(Table(paths.motifs, (*VARIANT, *OF_MOTIFS))) if paths.motifs else None
        keys = Keys(found)
        vcf = stack.enter_context(AnnotatedVcf(paths.vcf, read_header(found.vcf), keys.all()))
        for lines in _chunks(found):
            explained = [variant for line in lines for variant in line.explained]
            motifs = iter(
                found.scan.effects(explained, found.genome) if found.scan else [[]] * len(explained)
            )
            for line in lines:
                of_line: list[dict[str, Value]] = []
                for variant, reason in line.alternatives:
                    if reason:
                        skipped, first_reason = skipped + 1, first_reason or reason
                        left_out.write((*place(variant), reason))
                        of_line.append({"NOTE": escaped(reason)})
                        continue
                    changed = next(motifs)
                    _write_variant(table, variant, number, found)
                    for effect in changed if of_motifs else ():
                        of_motifs.write((*place(variant), *_motif_columns(effect)))  # type: ignore[union-attr]
                    of_line.append(keys.of(number, changed))
                    number += 1
                vcf.write(line.record, _by_key(of_line))
    return skipped, first_reason


def write_null_table(
    path: Path, changes: Sequence[tuple[str, Variant]], effects: Effects, targets: Sequence[str]
) -> None:
    """Write what random changes do, a line for each and target.

    Raises
    ------
    OutputError
    """
    several = ("target",) if len(targets) > 1 else ()
    names = ("score_difference", "total_difference")
    with Table(path, (*OF_NULL, *several, *names)) as table:
        for number, (kind, v) in enumerate(changes):
            for t, target in enumerate(targets):
                of_target = (target,) if several else ()
                numbers = (f"{x:.9g}" for x in effects.tested()[:, t, number])
                table.write((kind, v.chrom, str(v.start + 1), v.ref, v.alt, *of_target, *numbers))


def place(variant: Variant) -> tuple[str, ...]:
    """Give the columns `VARIANT`."""
    return variant.chrom, str(variant.start + 1), variant.id, variant.ref, variant.alt


class Keys:
    """What is said of a variant in INFO.

    Parameters
    ----------
    found : Found
    """

    def __init__(self, found: Found) -> None:
        self.found = found
        names = target_file_names(found.targets)
        several = len(names) > 1
        self.parts = (
            [f".{part}" for part in target_file_names([key_part(n) for n in names])] if several else [""]
        )

    def all(self) -> list[InfoKey]:
        """Declare all keys."""
        keys = []
        for part, target in zip(self.parts, self.found.targets, strict=True):
            of = f" of {target}"
            keys += [
                InfoKey(f"SCORE{part}", "Float", f"Score{of} with this allele less that with the reference"),
                InfoKey(
                    f"RELEVANCE{part}", "Float", f"Sum of the absolute changes of relevance{of} in the window"
                ),
            ]
            if self.found.significance is not None:
                keys += _tested(part, of)
        if self.found.scan is not None:
            keys += [
                InfoKey(effect.upper(), "String", f"Motifs that {what}, {BETWEEN} between them")
                for effect, what in EFFECTS.items()
            ]
        return [*keys, InfoKey("NOTE", "String", "Why this allele wasn't explained")]

    def of(self, number: int, motifs: Sequence[MotifEffect]) -> dict[str, Value]:
        """Give the values of one variant."""
        values: dict[str, Value] = {}
        for target, part in enumerate(self.parts):
            numbers = self.found.numbers(number, target)
            values[f"SCORE{part}"] = numbers[NUMBERS.index("score_difference")]
            values[f"RELEVANCE{part}"] = numbers[NUMBERS.index("total_difference")]
            tested = ("SCORE_P", "SCORE_Q", "RELEVANCE_P", "RELEVANCE_Q")
            values |= {f"{name}{part}": x for name, x in zip(tested, numbers[len(NUMBERS) :], strict=False)}
        if self.found.scan is not None:
            for effect in EFFECTS:
                names = [escaped(m.name) for m in motifs if m.effect == effect]
                values[effect.upper()] = BETWEEN.join(names) or None
        return values


def _tested(part: str, of: str) -> list[InfoKey]:
    what = {"SCORE": f"effect on the score{of}", "RELEVANCE": f"change of relevance{of}"}
    return [
        key
        for name, text in what.items()
        for key in (
            InfoKey(
                f"{name}_P{part}", "Float", f"Share of random changes of the kind with as large an {text}"
            ),
            InfoKey(f"{name}_Q{part}", "Float", f"False discovery rate of the {text}, over the variants"),
        )
    ]


def _by_key(of_line: Sequence[Mapping[str, Value]]) -> dict[str, list[Value]]:
    """Turn the values of each allele into the values of each key that any allele has."""
    names = dict.fromkeys(name for values in of_line for name in values)
    return {name: [values.get(name) for values in of_line] for name in names}


def _write_variant(table: Table, variant: Variant, number: int, found: Found) -> None:
    start = variant.changed_at - found.length // 2
    for target, name in enumerate(found.targets):
        of_target = (name,) if len(found.targets) > 1 else ()
        numbers = map(_shown, (*NUMBERS, *SIGNIFICANCE), found.numbers(number, target))
        table.write((*place(variant), str(start), str(start + found.length), *of_target, *numbers))


def _shown(name: str, value: float) -> str:
    return str(int(value)) if name == "largest_pos" else f"{value:.9g}"


def _motif_columns(effect: MotifEffect) -> tuple[str, ...]:
    """Give the columns `OF_MOTIFS`; a match that there can't be is missing."""
    ref, alt = effect.ref, effect.alt
    difference = alt.bits - ref.bits
    bits = ("." if not np.isfinite(value) else f"{value:.2f}" for value in (ref.bits, alt.bits, difference))
    places = [(".", ".") if not np.isfinite(b.bits) else (b.strand, str(b.offset)) for b in (ref, alt)]
    strands, offsets = zip(*places, strict=True)
    p = (f"{b.p:.3g}" for b in (ref, alt))
    return (effect.effect, effect.motif.name, effect.name, *bits, *p, *strands, *offsets)


def _chunks(found: Found) -> Iterator[list[_Line]]:
    """Read the VCF again, some lines at a time."""
    waiting: list[_Line] = []
    size = 0
    for where, record in read_records(found.vcf, whole=True):
        checked = [(v, why_not(v, found.genome, found.length)) for v in alternatives(record, where)]
        waiting.append(_Line(record, checked))
        size += len(record)
        if len(waiting) >= _AT_ONCE or size > _MOST_BYTES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting
