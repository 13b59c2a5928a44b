"""What `motifs` takes on many windows, from the start of Python to its end.

    python -m benchmarks.speed.motifs --save
    python -m benchmarks.speed.motifs --windows 500

Windows around the demo's 221 peaks, moved along by a few bp again and again, explained by the shipped model:
thousands of seqlets, and few motifs. `motifs` explains shuffled windows for its null, too. Wall seconds are
of a machine with nothing else to do. Processor seconds are those of the process and its children; what they
are over those of `import torch`, of the same round, says more where others use the machine.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from operator import truediv
from pathlib import Path

import pandas as pd

from benchmarks.history import ROOT
from benchmarks.options import timing_parser
from benchmarks.record import Keeper, Row
from benchmarks.speed.files import MODEL, YARDSTICK, Spent, command
from benchmarks.timing import ready_device

GENOME, PEAKS = ROOT / "data" / "chr2R-15-21Mb.fa.gz", ROOT / "data" / "suhw-peaks.bed"
WINDOWS, STEP = 10_000, 4


def write_regions(path: Path, windows: int) -> None:
    """Write regions around the demo's peaks, each peak again and again, moved along by a few bp."""
    peaks = [line.split("\t")[:3] for line in PEAKS.read_text().splitlines() if line]
    turns = -(-windows // len(peaks))
    places = [
        (chrom, int(start) + STEP * (turn - turns // 2), int(end) + STEP * (turn - turns // 2))
        for turn in range(turns)
        for chrom, start, end in peaks
    ]
    path.write_text("".join(f"{chrom}\t{start}\t{end}\n" for chrom, start, end in places[:windows]))


def explain(folder: Path, windows: int) -> Path:
    """Explain windows, and give the archive."""
    write_regions(folder / "regions.bed", windows)
    regions = ("-r", folder / "regions.bed", "--formats", "h5")
    command("attribute", GENOME, *regions, "-m", MODEL, "-o", folder / "run")
    return folder / "run.h5"


def measured(windows: int, rounds: int, folder: Path) -> Row:
    """Find the motifs of so many windows, so often."""
    archive = explain(folder, windows)
    yardstick, spent = [], []
    for number in range(rounds):
        yardstick.append(Spent.of(lambda: subprocess.run([sys.executable, "-c", YARDSTICK], check=True)))
        spent.append(Spent.of(partial(command, "motifs", archive, "-o", folder / f"found{number}")))
    processor = [each.processor for each in spent]
    return {
        "windows": windows, "rounds": rounds, "wall, s": statistics.median(each.wall for each in spent),
        "processor, s": statistics.median(processor),
        "times import torch": statistics.median(map(truediv, processor, (y.processor for y in yardstick))),
        "motifs": len(json.loads((folder / "found0.motifs.json").read_text())["motifs"]),
    }  # fmt: skip


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__, rounds=1)
    found.add_argument("--windows", type=int, default=WINDOWS, metavar="N")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("motifs", given, ready_device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        rows = [measured(given.windows, given.rounds, Path(name))]
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.2f"))
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
