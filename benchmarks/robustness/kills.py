"""Runs killed at random moments, each resumed: the files must be those of an uninterrupted run, all bytes.

    python -m benchmarks.robustness.kills                 # 200 kills, SIGKILL and SIGTERM in turns
    python -m benchmarks.robustness.kills --kills 10 --windows 1500

After each kill no final name may hold anything but its complete file; after `--resume` nothing else is left.
Every run is a process of its own, forked from one that has loaded the libraries and computed nothing.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.export._trace  # what tracing loads, once for all
from torch import nn

import sparselrp_cli.runs.attribute  # noqa: F401 - loaded once for all
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.cli.main import run

WINDOW = 60
HIDDEN = ".sparselrp-"


class Tiny(nn.Module):
    """Two tasks on windows of 60 bp."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scan = nn.Conv1d(4, 8, 7, padding=3)
        self.mix = nn.Conv1d(8, 8, 5, padding=2)
        self.head = nn.Linear(8 * 6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score."""
        h = torch.relu(self.mix(torch.relu(self.scan(x))))
        return self.head(nn.functional.max_pool1d(h, 10).flatten(1))


def inputs(folder: Path, count: int) -> None:
    """Write a genome and regions; some are off it, or on no known chromosome."""
    rng = np.random.default_rng(1)
    letters = "".join(rng.choice(list("ACGTN"), 20_000))
    (folder / "genome.fa").write_text(f">chr1\n{letters}\n>chr2\n{letters[:900]}\n")
    chroms = rng.choice(["chr1", "chr1", "chr1", "chr2", "chr9"], count)
    lines = [f"{c}\t{s}\t{s + 30}\tr{i}\t0\t{'+-'[i % 2]}\n" for i, (c, s) in
             enumerate(zip(chroms, rng.integers(0, 2000, count).tolist(), strict=True))]  # fmt: skip
    (folder / "regions.bed").write_text("".join(lines))


def started(folder: Path, prefix: str, *more: str) -> int:
    """Start a run in a child and give its number."""
    pid = os.fork()
    if pid:
        return pid
    with (folder / "log").open("w") as log:
        os.dup2(log.fileno(), 2)
    torch.set_num_threads(1)
    arguments = [
        "attribute", str(folder / "genome.fa"), "-r", str(folder / "regions.bed"), "-m", f"{__file__}:Tiny",
        "-t", "1", "-o", str(folder / prefix), "-b", "48", *more,
    ]  # fmt: skip
    sys.argv = ["sparselrp", *arguments]
    os._exit(run(arguments))


def ended(pid: int) -> int:
    """Wait for a child; minus the signal that ended it, or its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def contents(folder: Path, prefix: str) -> dict[str, bytes]:
    """The files of a run, and what is hidden or partial."""
    return {
        path.name.removeprefix(prefix): path.read_bytes()
        for path in folder.iterdir()
        if path.name.startswith((prefix + ".", HIDDEN))
    }


def unfinished(name: str) -> bool:
    """Whether a name says that the file isn't complete."""
    return name.startswith(HIDDEN) or name == ".partial"


def require(right: bool, what: str, folder: Path) -> None:
    """Stop with what is wrong, and the log of the run."""
    if not right:
        sys.exit(f"{what}\n{(folder / 'log').read_text()}")


def kill_once(folder: Path, whole: dict[str, bytes], chance: random.Random, last: float, how: int) -> str:
    """Kill a run, check what it left, resume, compare; say what was met."""
    pid = started(folder, "run", "--resume")
    time.sleep(chance.uniform(0, last))
    os.kill(pid, how)
    code = ended(pid)
    left = contents(folder, "run")
    for name, content in left.items():
        require(unfinished(name) or content == whole[name], f"{name} is a half file", folder)
    work = len(left.get(".partial", b""))
    wanted = (-how, 0, 75)
    require(code in wanted, f"exit code {code} after signal {how}", folder)
    resumed = ended(started(folder, "run", "--resume"))
    require(resumed == 0, f"exit code {resumed} of --resume", folder)
    now = contents(folder, "run")
    require(now.keys() == whole.keys(), f"files: {sorted(now)} instead of {sorted(whole)}", folder)
    for name, content in now.items():
        require(content == whole[name], f"{name} differs after --resume", folder)
        (folder / f"run{name}").unlink()
    return "complete" if code == 0 else "with work kept" if work > 2000 else "before any work was kept"


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--kills", type=int, default=200)
    found.add_argument("--windows", type=int, default=4000)
    found.add_argument("--seed", type=int, default=0)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill and compare."""
    given = options().parse_args(arguments)
    keeper = Keeper.start("kills", given, torch.device("cpu"))
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs(folder, given.windows)
        # The command line is in the manifest: the reference has the same prefix, and is moved away.
        ended(started(folder, "run"))
        start = time.perf_counter()
        require(ended(started(folder, "run")) == 0, "the uninterrupted run failed", folder)
        last = time.perf_counter() - start
        whole = contents(folder, "run")
        for file in whole:
            (folder / f"run{file}").unlink()
        met: Counter[str] = Counter()
        for number in range(given.kills):
            how = (signal.SIGKILL, signal.SIGTERM)[number % 2]
            met[f"{how.name} {kill_once(folder, whole, chance, last, how)}"] += 1
        print(f"{given.kills} kills of a run of {last:.1f} s over {given.windows} regions;")
        print("all were resumed to the same bytes:")
        for what, count in sorted(met.items()):
            print(f"  {count:4d} {what}")
    run = {"kills": given.kills, "windows": given.windows, "seconds": last}
    keeper.keep(
        {"run": [run], "met": [{"moment": what, "kills": count} for what, count in sorted(met.items())]}
    )


if __name__ == "__main__":
    main()
