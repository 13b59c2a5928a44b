"""Variants: both alleles explained on the same windows, and what differs."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparselrp_cli.errors import InputError, OutputError, number_of
from sparselrp_cli.files.atomic import is_same_file, reported
from sparselrp_cli.files.belonging import listed, manifest_path, read_record
from sparselrp_cli.files.lock import locked
from sparselrp_cli.files.names import target_file_names
from sparselrp_cli.motifs.formats import MotifFile, read_motif_file
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.difference import Differences
from sparselrp_cli.outputs.tracks import write_bigwig
from sparselrp_cli.runs.attribute import Progress, attribute
from sparselrp_cli.runs.file_set import begin_set, end_set, identity_besides
from sparselrp_cli.runs.request import RunRequest
from sparselrp_cli.runs.run_files import path_of
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.runs.variant_effects import Effects, measure
from sparselrp_cli.runs.variant_motifs import MotifScan
from sparselrp_cli.runs.variant_null import Drawing, Significance, significance, write_null
from sparselrp_cli.runs.variant_tables import Found, Paths, write_null_table, write_tables
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.source import VariantSource
from sparselrp_cli.sequences.text import display_name, is_pipe
from sparselrp_cli.sequences.variants import Variant
from sparselrp_cli.sequences.vcf import read_header
from sparselrp_cli.sequences.windows import ALLELES

logger = logging.getLogger("sparselrp")


@dataclass(frozen=True, slots=True)
class VariantOptions:
    """What to find out of the variants, beside what differs.

    Attributes
    ----------
    null : int
        How many random changes each kind of variant is compared with; 0 for none.
    seed : int
        Of these.
    motifs : str or None
        A motif file: whose matches do variants make or break?
    """

    null: int = 0
    seed: int = 0
    motifs: str | None = None


@dataclass(frozen=True, slots=True)
class VariantSummary:
    """What was done.

    Attributes
    ----------
    explained, skipped : int
    first_reason : str
        Why the first of those skipped was.
    files : tuple of Path
    """

    explained: int
    skipped: int
    first_reason: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """What to do, with what it takes to do it."""

    request: RunRequest
    vcf: str
    options: VariantOptions
    known: MotifFile | None
    command: Sequence[str]
    progress: Progress
    stop: StopRequest

    @property
    def prefix(self) -> Path:
        return self.request.prefix

    def identity(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Give the manifest of the files, with what was found out of the variants."""
        asked: dict[str, Any] = {}
        if self.options.null:
            asked["null"] = {"changes": self.options.null, "seed": self.options.seed}
        if self.known is not None and self.options.motifs is not None:
            asked["motifs"] = {"name": display_name(self.options.motifs), "sha256": self.known.sha256}
        return {**manifest, "variants": asked} if asked else manifest


def explain_variants(
    request: RunRequest,
    command: Sequence[str],
    progress: Progress,
    stop: StopRequest,
    options: VariantOptions = VariantOptions(),
) -> VariantSummary:
    """Explain both alleles of every variant, and write tables, the annotated VCF and the track.

    Two runs, ``PREFIX.ref`` and ``PREFIX.alt``; then ``PREFIX.variants.tsv``, ``PREFIX.skipped.tsv``,
    ``PREFIX.vcf.gz`` and ``PREFIX.difference.bw`` (with several targets ``PREFIX.difference.TARGET.bw``);
    with a null ``PREFIX.null.vcf`` and ``.tsv``; with motifs ``PREFIX.variants.motifs.tsv``.

    Parameters
    ----------
    request : RunRequest
        Its `regions` are the VCF.
    options : VariantOptions

    Raises
    ------
    SparselrpError
        Nothing is left under a final name that isn't complete.
    """
    if request.regions is None:
        raise ValueError("the VCF is missing")
    if is_pipe(request.sequences):
        name = display_name(request.sequences)
        raise InputError(f"{name}: the genome is read several times and can't be a pipe; write it to a file")
    _require_other_files(request.prefix, [request.sequences, request.regions, options.motifs])
    # What can't be read is said now, and not after the long part.
    read_header(request.regions)
    known = None if options.motifs is None else read_motif_file(options.motifs)
    with locked(request.prefix):
        return _explain_and_compare(_Job(request, request.regions, options, known, command, progress, stop))


def _require_other_files(prefix: Path, inputs: Sequence[str | None]) -> None:
    for ending in (".vcf.gz", ".null.vcf"):
        path = path_of(prefix, ending)
        if any(file is not None and is_same_file(path, Path(file)) for file in inputs):
            raise OutputError(f"{path} is a file that is read, and would be lost; choose another --output")


def _explain_and_compare(job: _Job) -> VariantSummary:
    _explain(job, job.prefix, job.vcf)
    with ExitStack() as stack:
        ref, alt = stack.enter_context(_opened(job.prefix))
        genome = stack.enter_context(Genome(job.request.sequences))
        source = VariantSource(genome, job.vcf, ref.window_length, "ref")
        effects = measure(ref, alt, source.checked())
        null = stack.enter_context(_null(job, effects, genome, ref)) if job.options.null else None
        tested = null.significance if null is not None else None
        scan = MotifScan(job.known.motifs) if job.known else None
        found = Found(job.vcf, genome, ref.window_length, ref.target_names, effects, tested, scan)
        return _write(job, found, null, Differences(ref, alt, effects.changes), alt.manifest)


def _write(
    job: _Job, found: Found, null: "_Null | None", differences: Differences, manifest: dict[str, Any]
) -> VariantSummary:  # fmt: skip
    """Write what was found, as one set of files."""
    paths = Paths(
        path_of(job.prefix, ".variants.tsv"),
        path_of(job.prefix, ".skipped.tsv"),
        path_of(job.prefix, ".vcf.gz"),
        path_of(job.prefix, ".variants.motifs.tsv") if job.known else None,
    )
    drawn = [path_of(job.prefix, ending) for ending in (".null.vcf", ".null.tsv") if null is not None]
    tracks = _tracks(job.prefix, found.targets)
    tables = [p for p in (paths.table, paths.skipped, paths.vcf, paths.motifs) if p is not None]
    files = [*tables, *drawn, *tracks]
    identity = job.identity(manifest)
    kept = begin_set(job.prefix, identity, [path.name for path in files])
    skipped, first_reason = write_tables(paths, found)
    if null is not None:
        write_null_table(drawn[-1], null.changes, null.effects, found.targets)
    for target, track in enumerate(tracks):
        write_bigwig(differences, track, job.request.settings.overlap, target)
    end_set(job.prefix, identity, job.command, files, kept)
    return VariantSummary(len(found.effects.changes), skipped, first_reason, tuple(files))


def _explain(job: _Job, prefix: Path, vcf: str) -> None:
    """Explain both alleles of a VCF, each a run."""
    for allele in ALLELES:
        settings = replace(job.request.settings, allele=allele, formats=("h5",))
        of_allele = path_of(prefix, f".{allele}")
        resume = job.request.resume and not _is_left_of_another(of_allele, path_of(prefix, f".{ALLELES[0]}"))
        request = replace(job.request, prefix=of_allele, settings=settings, regions=vcf, resume=resume)
        attribute(request, job.command, job.progress, job.stop)


def _is_left_of_another(prefix: Path, first: Path) -> bool:
    """Whether an allele's files are of an earlier run than those of the first, which has just been resumed.

    So it is where the run was interrupted before it came to this allele. There is nothing to resume of it.
    """
    if prefix == first or path_of(prefix, ".partial").exists():
        return False
    records = [read_record(manifest_path(each)) for each in (prefix, first)]
    there, just_made = (record and identity_besides(record, "allele") for record in records)
    return there is not None and there != just_made


@contextmanager
def _opened(prefix: Path) -> Iterator[tuple[ArchiveReader, ArchiveReader]]:
    """Open the archives of both alleles."""
    ref, alt = (path_of(prefix, f".{allele}.h5") for allele in ALLELES)
    with ArchiveReader(ref) as before, ArchiveReader(alt) as after:
        yield before, after


def _tracks(prefix: Path, targets: Sequence[str]) -> list[Path]:
    """Name the track of each target."""
    names = [f".{name}" for name in target_file_names(targets)] if len(targets) > 1 else [""]
    return [path_of(prefix, f".difference{name}.bw") for name in names]


@dataclass(frozen=True, slots=True, eq=False)
class _Null:
    """Random changes, each with its kind, and what they and the variants come to."""

    changes: list[tuple[str, Variant]]
    effects: Effects
    significance: Significance


@contextmanager
def _null(job: _Job, effects: Effects, genome: Genome, ref: ArchiveReader) -> Iterator[_Null]:
    """Explain random changes of each kind of variant; their two runs go when the numbers are written."""
    drawing = Drawing(genome, effects.places, ref.window_length)
    n, seed = job.options.null, job.options.seed
    changes = [
        (kind, variant)
        for kind, like in sorted(effects.examples.items())
        for variant in drawing.draw(like, n, seed)
    ]
    logger.info(
        "null: %s for each of %s", number_of(n, "random change"), number_of(len(effects.examples), "kind")
    )
    prefix, vcf = path_of(job.prefix, ".null"), path_of(job.prefix, ".null.vcf")
    write_null(vcf, changes)
    settings = replace(job.request.settings, max_conservation_error=None, strict=False)
    request = replace(job.request, settings=settings, multiqc=False)
    _explain(replace(job, request=request), prefix, str(vcf))
    with _opened(prefix) as (before, after):
        drawn = measure(before, after, ((variant, "") for _, variant in changes))
    tested = drawn.tested()
    of_kind = {kind: tested[:, :, i * n : (i + 1) * n] for i, kind in enumerate(sorted(effects.examples))}
    yield _Null(changes, drawn, significance(effects.tested(), effects.kinds, of_kind))
    for allele in ALLELES:
        _remove_run(path_of(prefix, f".{allele}"))


def _remove_run(prefix: Path) -> None:
    """Remove the files of a run that only led to others."""
    record = manifest_path(prefix)
    files = [prefix.with_name(name) for name in listed(read_record(record))]
    for path in (record, *files):
        with reported(path):
            path.unlink(missing_ok=True)
