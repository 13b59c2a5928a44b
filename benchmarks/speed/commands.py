"""Processor time of whole commands, from the start of Python to its end, in turns with `import torch`.

    python -m benchmarks.speed.commands --save
    python -m benchmarks.speed.commands --rounds 3 --only "attribute, one window" --against ../before

Seconds are user and system time of the process and its children, one thread. What they are over those of
`import torch`, of the same round, says more where others use the machine. `--against` times another checkout
in the same turns. The demo's regions and genome, the shipped model, and windows of 10,000 bp of no model.
"""

import argparse
import gzip
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.history import ROOT
from benchmarks.options import timing_parser
from benchmarks.record import Keeper
from benchmarks.speed.files import YARDSTICK, processor_seconds
from benchmarks.timing import ready_device
from sparselrp_cli.outputs.archive import ACCOUNTING, ArchiveRows, ArchiveWriter
from sparselrp_cli.sequences.windows import Window

DATA, MODEL = ROOT / "data", "suhw-dm3"
GENOME, PEAKS, MOTIF = (
    DATA / name for name in ("chr2R-15-21Mb.fa.gz", "suhw-peaks.bed", "suhw-MA0533.1.jaspar")
)
VARIANTS, LONG = 1000, 10_000
Arguments = tuple[str, ...]


def environment(checkout: Path) -> dict[str, str]:
    """Give the environment of a command: one thread, compiled files kept as pip does, no graphs of before."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "SPARSELRP_CACHE_DIR": ""}


def run(arguments: Arguments, folder: Path, checkout: Path = ROOT) -> None:
    """Run a command of Python in a folder."""
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment(checkout), check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def sparselrp(*arguments: str | Path) -> Arguments:
    return ("-m", "sparselrp_cli", *map(str, arguments), "-q")


def write_inputs(folder: Path) -> None:
    """Write one window, many variants, two archives of the demo, and one of a long window."""
    with gzip.open(GENOME, "rt") as file:
        name, *lines = file.read().splitlines()
    chrom, sequence = name[1:].split()[0], "".join(lines)
    (folder / "genome.fa").write_text("\n".join([f">{chrom}", *lines]) + "\n")
    first = next(i for i in range(100_000, len(sequence), 1000) if set(sequence[i : i + 600]) <= set("ACGT"))
    (folder / "one.fa").write_text(f">one\n{sequence[first : first + 600]}\n")
    rng = np.random.default_rng(0)
    places = [int(p) for p in np.sort(rng.integers(1000, len(sequence) - 1000, 4 * VARIANTS))]
    usable = [p for p in dict.fromkeys(places) if sequence[p] in "ACGT"][:VARIANTS]
    lines = [f"{chrom}\t{p + 1}\t.\t{sequence[p]}\t{'ACGT'['CGTA'.index(sequence[p])]}" for p in usable]
    (folder / "variants.vcf").write_text(
        "\n".join(["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT", *lines]) + "\n"
    )
    for prefix, share in (("plrp", "0.1"), ("lrp", "0")):
        run(sparselrp("attribute", GENOME, "-r", PEAKS, "-m", MODEL, "-o", prefix, "-p", share), folder)
    _write_long(folder / "long.h5")


def _write_long(path: Path) -> None:
    """Write an archive of one long window, most of it zero."""
    rng = np.random.default_rng(1)
    one_hot = (rng.integers(0, 4, (1, 1, LONG)) == np.arange(4)[:, None]).astype(np.uint8)
    maps = (rng.normal(size=(1, 1, 4, LONG)) * (rng.random((1, 1, 1, LONG)) < 0.1)).astype(np.float32)
    accounts = {name: rng.normal(size=(1, 1)) for name in ACCOUNTING}
    window = Window("chr1", 0, LONG, "long", ".", 0)
    with ArchiveWriter(path, window_length=LONG, target_names=["t"]) as writer:
        writer.append(ArchiveRows([window], one_hot, maps, accounts, np.zeros(1, np.int64)))
        writer.finish({"chr1": LONG}, {})


def commands(folder: Path) -> dict[str, Arguments]:
    """Give what is timed, by name."""
    row = (folder / "plrp.windows.tsv").read_text().splitlines()[1].split("\t")
    place = f"{row[0]}:{int(row[1]) + 1}-{row[2]}"
    return {
        YARDSTICK: ("-c", YARDSTICK),
        "attribute, one window": sparselrp("attribute", "one.fa", "-m", MODEL, "-o", "one"),
        "attribute, 221 windows": sparselrp("attribute", GENOME, "-r", PEAKS, "-m", MODEL, "-o", "demo"),
        "variants, 1,000": sparselrp("variants", "variants.vcf", "genome.fa", "-m", MODEL, "-o", "changes"),
        "report": sparselrp("report", "plrp.h5", "-o", "report.html"),
        "plot of 600 bp": sparselrp("plot", "plrp.h5", place, "-o", "short.png"),
        "plot of 10 kb": sparselrp("plot", "long.h5", f"chr1:1-{LONG}", "-o", "long.png"),
        "evaluate": sparselrp("evaluate", "lrp.h5", "plrp.h5", "--motif", MOTIF, "--min-score", "0"),
    }


def measured(given: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Time each command, in turns, after a round that warms up."""
    checkouts = {"this": ROOT, **({"before": given.against.resolve()} if given.against else {})}
    chosen = {
        name: arguments
        for name, arguments in commands(folder).items()
        if not given.only or name in (YARDSTICK, *given.only)
    }
    taken: dict[tuple[str, str], list[float]] = {}
    for number in range(given.rounds + 1):
        for name, arguments in chosen.items():
            for which, checkout in checkouts.items():
                began = processor_seconds()
                run(arguments, folder, checkout)
                if number:
                    taken.setdefault((name, which), []).append(processor_seconds() - began)
    return [_row(name, which, seconds, taken[YARDSTICK, which]) for (name, which), seconds in taken.items()]


def _row(name: str, which: str, seconds: Sequence[float], yardstick: Sequence[float]) -> dict[str, object]:
    beyond = statistics.median(s / y for s, y in zip(seconds, yardstick, strict=True))
    return {
        "what": name, "checkout": which, "rounds": len(seconds), "processor, s": statistics.median(seconds),
        "times import torch": beyond,
    }  # fmt: skip


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__, rounds=7)
    found.add_argument("--only", nargs="+", metavar="NAME", help="of the commands, by the names of the rows")
    found.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, timed in turns")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("commands", given, ready_device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        write_inputs(Path(name))
        rows: list[Mapping[str, object]] = [*measured(given, Path(name))]
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.2f"))
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
