"""What the scheduler's side of many shards takes: Snakemake plans the workflow, and nothing is run.

    python -m benchmarks.speed.scheduler --save
    python -m benchmarks.speed.scheduler --shards 10 100

Processor time and memory of `snakemake -n` for one sample and one model in so many shards, up to the report:
reading the workflow, building the graph of jobs, and asking for every file whether it is there.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper, package_version

CONFIG = """\
samples: samples.tsv
models:
  mine: {{folders: model}}
shards: {shards}
motifs: {{enabled: true}}
"""


def prepare(folder: Path, shards: int) -> None:
    """Write inputs that a plan only asks after."""
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_text("{}")
    for name in ("genome.fa", "peaks.bed", "model/weights.safetensors"):
        (folder / name).touch()
    (folder / "samples.tsv").write_text("sample\tgenome\tregions\npeaks\tgenome.fa\tpeaks.bed\n")
    (folder / "config.yaml").write_text(CONFIG.format(shards=shards))


def plan(shards: int) -> dict[str, float]:
    """Plan a run of so many shards in a process of its own; gives what it took."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, shards)
        start = time.monotonic()
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "-s",
                 str(ROOT / "workflow" / "Snakefile"), "--configfile", "config.yaml"],
                cwd=folder, stdout=said, stderr=said,
            )  # fmt: skip
            _, status, used = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError((folder / "said").read_text())
    return {
        "shards": shards,
        "processor, s": used.ru_utime + used.ru_stime,
        "wall, s": time.monotonic() - start,
        "memory, MB": used.ru_maxrss / 1024,
    }


def options() -> argparse.ArgumentParser:
    """Say what can be set."""
    given = parser(__doc__)
    given.add_argument(
        "--shards", type=int, nargs="+", default=[10, 100, 1_000, 10_000],
        help="numbers of shards, each planned once (default: %(default)s)",
    )  # fmt: skip
    return given


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("scheduler", given, torch.device("cpu"))
    print(f"snakemake {package_version('snakemake')}")
    rows = []
    for shards in given.shards:
        rows.append(plan(shards))
        print({name: round(value, 1) for name, value in rows[-1].items()}, flush=True)
        keeper.keep_so_far({"plans": rows})
    keeper.keep({"plans": rows})


if __name__ == "__main__":
    main()
