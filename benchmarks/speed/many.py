"""Processor time of what there can be many of: contigs, FASTA records, windows in one place, variants.

    python -m benchmarks.speed.many --save
    python -m benchmarks.speed.many --rounds 1 --contigs 2000 --windows 200

A genome of contigs of 100 bp is opened without an index and again with it, and its records are counted and
read as windows of 100 bp. Windows of 600 bp, one base further each, are merged to a track. The scores of
variants are read as `variants` reads them. No model is run. Seconds are user and system time.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.options import timing_parser
from benchmarks.record import Keeper
from benchmarks.timing import ready_device
from sparselrp_cli.outputs.archive import ACCOUNTING, ArchiveReader, ArchiveRows, ArchiveWriter
from sparselrp_cli.outputs.archive.blocks import ArchiveShape
from sparselrp_cli.outputs.track_runs import track_runs
from sparselrp_cli.runs.variant_effects import measure
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.source import RecordSource
from sparselrp_cli.sequences.variants import Variant
from sparselrp_cli.sequences.windows import Window

CONTIG, LENGTH = 100, 600


def write_contigs(path: Path, count: int) -> None:
    """Write random contigs, in lines of 60 bp."""
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, (1000, CONTIG))]
    texts = [row.tobytes().decode() for row in letters]
    with path.open("w") as file:
        for i in range(count):
            text = texts[i % len(texts)]
            file.write(f">contig_{i}\n{text[:60]}\n{text[60:]}\n")


def write_windows(path: Path, count: int) -> None:
    """Write an archive of windows that begin at neighbouring bases."""
    rng = np.random.default_rng(0)
    shape = ArchiveShape(LENGTH, ("t",))
    with ArchiveWriter(path, window_length=LENGTH, target_names=shape.target_names) as writer:
        for start in range(0, count, 256):
            n = min(256, count - start)
            windows = [
                Window("chr1", start + i, start + i + LENGTH, f"w{i}", ".", start + i) for i in range(n)
            ]
            one_hot = (rng.integers(0, 4, (n, 1, LENGTH)) == np.arange(4)[:, None]).astype(np.uint8)
            maps = rng.normal(size=(1, n, 4, LENGTH)).astype(np.float32)
            accounts = {name: rng.normal(size=(1, n)) for name in ACCOUNTING}
            writer.append(ArchiveRows(windows, one_hot, maps, accounts, np.zeros(n, np.int64)))
        writer.finish({"chr1": count + LENGTH}, {})


def open_new(path: Path) -> None:
    """Open a genome that has no index."""
    path.with_name(path.name + ".fai").unlink(missing_ok=True)
    open_again(path)


def open_again(path: Path) -> None:
    """Open a genome with the index beside it."""
    with Genome(str(path)) as genome:
        genome.fetch("contig_0", 0, CONTIG)


def read_batches(path: Path) -> None:
    """Count the records of a file, and read them as windows."""
    source = RecordSource(str(path), CONTIG)
    source.count()
    for _ in source.batches(256):
        pass


def merge_windows(path: Path) -> None:
    """Make the track of an archive, but for the file."""
    with ArchiveReader(path) as reader:
        for _ in track_runs(reader, "mean"):
            pass


def compare_alleles(path: Path) -> None:
    """Measure variants, whose alleles are the windows of one archive."""
    with ArchiveReader(path) as reader:
        every = (Variant("chr1", start, ".", "A", "C") for start in range(reader.n_windows))
        measure(reader, reader, ((variant, "") for variant in every))


def measured(given: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Measure each, in turns."""
    fasta, archive = folder / "contigs.fa", folder / "run.h5"
    write_contigs(fasta, given.contigs)
    write_windows(archive, given.windows)
    runs: dict[tuple[str, int], Callable[[], object]] = {
        ("open a genome of contigs", given.contigs): lambda: open_new(fasta),
        ("open it with its index", given.contigs): lambda: open_again(fasta),
        ("count and read records", given.contigs): lambda: read_batches(fasta),
        ("merge windows in one place", given.windows): lambda: merge_windows(archive),
        ("compare alleles", given.windows): lambda: compare_alleles(archive),
    }
    taken: dict[tuple[str, int], list[float]] = {name: [] for name in runs}
    for _ in range(given.rounds):
        for name, run in runs.items():
            began = time.process_time()
            run()
            taken[name].append(time.process_time() - began)
    return [
        {"what": name, "of": n, "processor, s": statistics.median(seconds)}
        for (name, n), seconds in taken.items()
    ]


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__, rounds=3)
    found.add_argument("--contigs", type=int, default=300_000)
    found.add_argument("--windows", type=int, default=20_000)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("many", given, ready_device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        rows = measured(given, Path(name))
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
