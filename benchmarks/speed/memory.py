"""Resident memory and disk over a run of a million windows, sampled from outside.

    python -m benchmarks.speed.memory --save
    python -m benchmarks.speed.memory --windows 20000

A random genome of 24 chromosomes, 480 Mb; regions sorted, some of them twice. A tiny model on windows of
2,114 bp (one convolution of 4 filters, maximum, linear) explains a target or more, by the default. Memory is
VmRSS of the process, phase by phase: what a phase gains between a tenth of it and its end is what would grow
with the number of windows.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.options import parser
from benchmarks.record import Keeper

CHROMS, LENGTH = 24, 20_000_000
WINDOW = 2114
MODEL = """
import torch
from torch import nn

class Tiny(nn.Module):
    window = 2114

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.scan = nn.Conv1d(4, 4, 12, stride=2)
        self.head = nn.Linear(4 * 16, 2)

    def forward(self, x):
        return self.head(nn.functional.max_pool1d(torch.relu(self.scan(x)), 65).flatten(1))
"""


def inputs(folder: Path, count: int) -> tuple[Path, Path, Path]:
    """Write a genome, regions and a model."""
    rng = np.random.default_rng(0)
    fasta, bed, model = folder / "genome.fa", folder / "regions.bed", folder / "tiny.py"
    model.write_text(MODEL)
    with fasta.open("wb") as genome, bed.open("w") as regions:
        for chrom in range(CHROMS):
            letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, LENGTH)].reshape(-1, 100)
            lines = np.concatenate([letters, np.full((len(letters), 1), ord("\n"), np.uint8)], axis=1)
            genome.write(b">chr%d\n" % (chrom + 1) + lines.tobytes())
            share = count // CHROMS + (chrom < count % CHROMS)
            starts = np.sort(rng.integers(0, LENGTH - 200, share))
            starts[1::50] = starts[: len(starts[1::50]) * 50 : 50]
            regions.writelines(f"chr{chrom + 1}\t{start}\t{start + 200}\n" for start in starts.tolist())
    return fasta, bed, model


def resident(pid: int) -> int:
    """Resident memory in MiB; 0 once the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("VmRSS")), 0)


def phase(folder: Path) -> str:
    """What the command is at, told by its files."""
    if (folder / "run.windows.tsv").exists():
        return "tracks"
    if not (folder / "run.partial").exists():
        return "start"
    return "assembly" if (folder / "run.skipped.tsv").exists() or _assembling(folder) else "explaining"


def _assembling(folder: Path) -> bool:
    return any(folder.glob(".sparselrp-*.tmp"))


def watch(command: list[str], folder: Path, every: float) -> list[tuple[float, str, int]]:
    """Run a command; sample seconds, phase and MiB."""
    start = time.perf_counter()
    samples = []
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            samples.append((time.perf_counter() - start, phase(folder), resident(process.pid)))
            time.sleep(every)
    if process.returncode:
        sys.exit(f"the command failed with {process.returncode}")
    return samples


def summarise(samples: list[tuple[float, str, int]]) -> dict[str, dict[str, float]]:
    """Seconds, and memory at a tenth, in the middle, at the end and at most, for each phase."""
    found = {}
    for name in dict.fromkeys(name for _, name, _ in samples):
        of_phase = [(at, mib) for at, each, mib in samples if each == name]
        tenth, middle = of_phase[len(of_phase) // 10][1], of_phase[len(of_phase) // 2][1]
        found[name] = {
            "seconds": round(of_phase[-1][0] - of_phase[0][0], 1),
            "mib_at_a_tenth": tenth,
            "mib_in_the_middle": middle,
            "mib_at_the_end": of_phase[-1][1],
            "mib_at_most": max(mib for _, mib in of_phase),
        }
    return found


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--windows", type=int, default=1_000_000)
    found.add_argument("--targets", type=int, default=1, choices=(1, 2))
    found.add_argument("--folder", help="where to write (tens of GB for a million)")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    given = options().parse_args(arguments)
    keeper = Keeper.start("memory", given, torch.device("cpu"))
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        fasta, bed, model = inputs(folder, given.windows)
        command = [
            sys.executable, "-m", "sparselrp_cli", "attribute", str(fasta), "-r", str(bed), "-q",
            "-m", f"{model}:Tiny", "-o", str(folder / "run"), "-b", "256",
            *(option for target in range(given.targets) for option in ("-t", str(target))),
        ]  # fmt: skip
        samples = watch(command, folder, max(0.05, given.windows / 1_000_000))
        phases = summarise(samples)
        files = {path.name: path.stat().st_size >> 20 for path in sorted(folder.glob("run.*"))}
    for phase_name, figures in phases.items():
        print(phase_name, figures)
    print("MiB on disk:", files)
    run = {"windows": given.windows, "targets": given.targets, "window_bp": WINDOW}
    keeper.keep(
        {
            "run": [run],
            "phases": [{"phase": phase_name, **figures} for phase_name, figures in phases.items()],
            "files": [{"file": file, "mib": mib} for file, mib in files.items()],
        }
    )


if __name__ == "__main__":
    main()
