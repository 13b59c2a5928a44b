"""The settings of a run: every option of `attribute` that says how, each in one place."""

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields, replace
from typing import Any, Literal, Self

from sparselrp_cli import __version__
from sparselrp_cli.outputs.choices import ARCHIVE_DTYPES, OVERLAPS, ArchiveDtype
from sparselrp_cli.outputs.formats import FORMATS, help_on_formats, standard_formats
from sparselrp_cli.relevance.choices import (
    COMPOSITE,
    COMPOSITES,
    DTYPES,
    ENDS,
    PROPORTION,
    REDISTRIBUTIONS,
    SELECTING,
    UNIFORM,
    Ends,
    Redistribution,
)
from sparselrp_cli.sequences.windows import ALLELES, Allele
from sparselrp_cli.settings.kinds import (
    BatchSize,
    BinsKind,
    Choice,
    Composition,
    Device,
    Flag,
    NameList,
    PresetOrFile,
    Proportion,
    Real,
    Shard,
    ShardKind,
    Whole,
)
from sparselrp_cli.settings.reading import WrongValueError
from sparselrp_cli.settings.setting import ARCHIVING, Setting, setting, settings_of
from sparselrp_cli.settings.targets import AskedTarget, Targets

MOST_THREADS = 1024
"""More than any machine has use for; a million of them crash the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a run explains and what it writes; the help of each says what it means.

    As the user gives them, some are open (None, ``auto`` or empty); the run fills them in, and only then are
    they written to the manifest.
    """

    targets: tuple[AskedTarget, ...] = setting(
        (), Targets(), "-t", "--target", metavar="TARGET", section="settings", explains=False,
        help="What to explain: a task's NAME or INDEX, or OUTPUT/TASK; several, A,B or I:J or * for all, are"
        " their mean. On outputs with positions @POS, @START:END, @centre[:WIDTH] (the mean over them),"
        " @profile, or @blocks (the bins under the blocks of each BED12 line); on maps by pairs of bins @IxJ."
        " Sums: A-B, 0.5*A+B, (A-B)@POS, log(A,B)-log(C). Names with such signs stand in quotes inside a sum."
        " Such as 0, suhw, 1-0, counts/0@centre. More: `sparselrp help targets`; `sparselrp inspect MODEL`"
        " prints examples for a model. Repeatable; optional for one scalar.",
    )  # fmt: skip
    bins: tuple[int, ...] | None = setting(
        None, BinsKind(), "--bins", commands=("attribute",), section="settings", explains=True,
        only_where_set=True,
        help="For @blocks: how many bp each position of the outputs stands for, and where in the window the"
        " first begins.  [default: as the model's layers say; without START in the middle]",
    )  # fmt: skip
    window: int | None = setting(None, Whole(1), section="settings", explains=False)
    prune: float | Literal["auto"] = setting(
        PROPORTION, Proportion(auto=True), "-p", "--prune", section="settings", explains=True,
        help="Proportion of positive relevance mass pruned in each layer: 0 is plain LRP; the more, the fewer"
        " sites are left, the strongest.",
    )  # fmt: skip
    prune_negative: float | Literal["auto"] | None = setting(
        None, Proportion(), "--prune-negative", section="settings", explains=True,
        help="The same for negative relevance.  [default: P/2]",
    )  # fmt: skip
    redistribute: Redistribution = setting(
        REDISTRIBUTIONS[0], Choice(REDISTRIBUTIONS), "--redistribute", section="settings", explains=True,
        help="Where pruned mass goes: to all survivors of its sign in the layer (lambda), or to the survivors"
        " that feed the same neurons (m).",
    )  # fmt: skip
    composite: str = setting(
        COMPOSITE, PresetOrFile(COMPOSITES), "--composite", section="settings", explains=True,
        help="Which rule for which layer: a preset (listed by `sparselrp inspect`) or a TOML file.",
    )  # fmt: skip
    select: str | None = setting(
        None, Choice(SELECTING), "--select", section="settings", explains=True,
        help="Select neurons by the relevance of this rule in the convolutions, and let the composite's rules"
        " carry the relevance of those selected: z-plus gives sharper maps of deep networks, at the cost of a"
        " second walk.  [default: the composite's own rules]",
    )  # fmt: skip
    centre: tuple[float, ...] = setting(
        UNIFORM, Composition(), "--centre", shown_default="uniform", section="settings", explains=True,
        help="Give contributions against this base composition of the strand that the model reads: what the"
        " four bases of a position share is booked as background.",
    )  # fmt: skip
    ends: Ends = setting(
        ENDS[0], Choice(ENDS), "--ends", section="settings", explains=True,
        help="What is done with a final sigmoid, softmax, exp, log or softplus: undo explains what goes into"
        " it; linear does so weighed by its slope at each window, which is right for means over positions or"
        " tasks; auto takes undo where one entry is read, linear elsewhere.",
    )  # fmt: skip
    reverse_complement: bool = setting(
        False, Flag(), "--reverse-complement", section="settings", explains=True,
        help="Average with the reverse complement of each window.",
    )  # fmt: skip
    tile_overlap: int | None = setting(
        None, Whole(0), "--tile-overlap", metavar="BP", commands=("attribute", "probe"), section="settings",
        explains=False,
        help="Without -r: overlap of neighbouring windows on records longer than the model's window."
        "  [default: half a window]",
    )  # fmt: skip
    max_unknown: float = setting(
        1.0, Real(1), "--max-unknown", metavar="SHARE", commands=("attribute", "probe"), section="settings",
        explains=False, help="Skip windows with a larger share of N.",
    )  # fmt: skip
    formats: tuple[str, ...] = setting(
        (), NameList(tuple(FORMATS), "format"), "--formats", commands=("attribute",), section="settings",
        explains=False, own_of_shard=True,
        help=help_on_formats(
            f"{','.join(standard_formats(on_genome=True))}; without --regions"
            f" {','.join(standard_formats(on_genome=False))}, or with --shard"
            f" {','.join(standard_formats(on_genome=False, of_shard=True))}"
        ),
    )  # fmt: skip
    overlap: str = setting(
        OVERLAPS[0], Choice(OVERLAPS), "--overlap", commands=ARCHIVING, section="settings", explains=False,
        own_of_shard=True,
        help="What a base covered by several windows gets in a track.",
    )  # fmt: skip
    batch_size: int | None = setting(
        None, BatchSize(), "-b", "--batch-size", shown_default="auto", section="settings", explains=False,
        help="Windows at a time; halved when memory runs out.",
    )  # fmt: skip
    device: str = setting(
        "auto", Device(), "--device", section="runtime", explains=False,
        help="auto, cpu or cuda[:N]; a GPU that was asked for and is missing is an error.",
    )  # fmt: skip
    dtype: str = setting(
        "float32", Choice(tuple(DTYPES)), "--dtype", section="runtime", explains=True,
        help="Precision of the computation; of tf32 and bfloat16 the distance from float32 is reported.",
    )  # fmt: skip
    archive_dtype: ArchiveDtype | None = setting(
        None, Choice(ARCHIVE_DTYPES), "--archive-dtype", commands=ARCHIVING, section="settings",
        explains=False,
        help="Precision of PREFIX.h5.  [default: float32; float64 with --dtype float64]",
    )  # fmt: skip
    threads: int | None = setting(
        None, Whole(1, MOST_THREADS), "--threads", metavar="N", section=None, explains=False,
        help="CPU threads.  [default: as many as there are cores to use]",
    )  # fmt: skip
    no_cache: bool = setting(
        False, Flag(), "--no-cache", section=None, explains=False,
        help="Trace and check the model again: read and keep nothing in the cache of traced graphs.",
    )  # fmt: skip
    max_conservation_error: float | None = setting(
        None, Real(), "--max-conservation-error", commands=ARCHIVING, metavar="X", section="settings",
        explains=False,
        help="Fail if |score - relevance - background - absorbed - lost| is more than X of the score in any"
        " window.",
    )  # fmt: skip
    strict: bool = setting(
        False, Flag(), "--strict", commands=ARCHIVING, section="settings", explains=False,
        help="Fail on what is otherwise skipped or warned about.",
    )  # fmt: skip
    shard: Shard | None = setting(
        None, ShardKind(), "--shard", commands=("attribute",), section="settings", explains=False,
        own_of_shard=True, only_where_set=True,
        help="Do part I of N; `sparselrp merge` puts the parts together.",
    )  # fmt: skip
    allele: Allele | None = setting(
        None, Choice(ALLELES), section="settings", explains=False, only_where_set=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if (self.prune == "auto") != (self.prune_negative == "auto") and self.prune_negative is not None:
            raise WrongValueError("--prune-negative goes with a number for --prune, not with auto")
        if self.select is not None and self.redistribute == "m":
            raise WrongValueError("--select goes with --redistribute lambda, not with m")

    @property
    def is_plain(self) -> bool:
        """Whether nothing is pruned."""
        return self.prune == 0 and not self.prune_negative

    def wanted_formats(self, *, on_genome: bool) -> tuple[str, ...]:
        """Give the formats, or those that a run writes unless told."""
        if self.formats:
            return self.formats
        return standard_formats(on_genome=on_genome, of_shard=self.shard is not None)

    def without_shard(self) -> Self:
        """Give what the shards of one run have in common, the rest open."""
        own: dict[str, Any] = {
            each.name: each.default for each, declared in run_settings() if declared.own_of_shard
        }
        return replace(self, **own)

    def to_manifest(self) -> dict[str, dict[str, object]]:
        """Give the sections of the manifest that hold settings."""
        sections: dict[str, dict[str, object]] = {"settings": {}, "runtime": {}}
        for each, declared in run_settings():
            value = getattr(self, each.name)
            if declared.section is not None and not (declared.only_where_set and value is None):
                sections[declared.section][each.name] = declared.write(value)
        return sections

    @classmethod
    def from_manifest(cls, sections: Mapping[str, Mapping[str, object]]) -> Self:
        """Read what `to_manifest` gave; what no manifest has is as by default.

        Raises
        ------
        WrongValueError
            If a setting is missing, isn't of its kind, or isn't known, as one of a later version; the message
            begins with its name.
        """
        values: dict[str, Any] = {}
        for each, declared in run_settings():
            if declared.section is not None:
                where = f"{declared.section}.{each.name}"
                values[each.name] = _read(each, declared, sections[declared.section], where)
        for section, entries in sections.items():
            for name in entries:
                if name not in values:
                    raise WrongValueError(
                        f"{section}.{name} isn't a setting that version {__version__} knows"
                    )
        return cls(**values)


def run_settings() -> Iterator[tuple[Field[Any], Setting]]:
    """Go through the fields of `RunSettings`, each with what is declared of it."""
    return settings_of(fields(RunSettings))


def _read(each: Field[Any], declared: Setting, section: Mapping[str, object], where: str) -> object:
    try:
        if each.name not in section:
            return declared.when_absent()
        return declared.read(section[each.name], optional=each.default is None)
    except WrongValueError as error:
        raise WrongValueError(f"{where}: {error}") from error
