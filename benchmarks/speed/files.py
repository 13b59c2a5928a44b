"""Processor time of files: packing, the archive, the track, shards put together, and the command around them.

    python -m benchmarks.speed.files --save
    python -m benchmarks.speed.files --windows 400 --rounds 1

The engine costs nothing: explained windows of the demo model are handed on, over and over. Seconds are user
and system time of all threads. Windows a second are of wall time, which only a machine with nothing else to
do tells; and of two cores that nobody else uses, by processor time: that of the thread that hands the rows on
and half of that of its helpers, as if these never worked beside it. What whole commands take over `import
torch` of the same round says more where others use the machine.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import truediv
from pathlib import Path

import h5py
import pandas as pd

from benchmarks.history import ROOT
from benchmarks.options import timing_parser
from benchmarks.record import Keeper
from benchmarks.speed.whole_command import inputs
from benchmarks.timing import ready_device
from sparselrp_cli.files.cores import usable_cores
from sparselrp_cli.outputs.archive import ArchiveReader, ArchiveRows, ArchiveWriter
from sparselrp_cli.outputs.archive.at_hand import AtHand
from sparselrp_cli.outputs.archive.blocks import ArchiveShape
from sparselrp_cli.outputs.tracks import write_bigwig
from sparselrp_cli.runs.journal import Journal
from sparselrp_cli.runs.recording import Done, Recorder, State, read_blocks
from sparselrp_cli.sequences.windows import Window

MODEL = ROOT / "models" / "suhw-dm3"
EXPLAINED, BATCH = 512, 32
ALONE = "windows a second (two cores, by processor time)"
COMMANDS = ("merge of two halves", "attribute")
YARDSTICK = "import torch"


def command(*arguments: str | Path) -> None:
    """Run a command of the tool, as this Python finds it."""
    subprocess.run([sys.executable, "-m", "sparselrp_cli", *map(str, arguments), "-q"], check=True)


def explain(folder: Path, windows: int, prefix: Path, *more: str) -> None:
    """Explain so many regions of a random genome."""
    regions = folder / f"{windows}.bed"
    lines = (folder / "regions.bed").read_text().splitlines(keepends=True)
    regions.write_text("".join(lines[:windows]))
    command("attribute", folder / "genome.fa", "-r", regions, "-m", MODEL, "-o", prefix, *more)


def rows_of(archive: Path, windows: int) -> Iterator[ArchiveRows]:
    """Give batches of explained windows, over and over at other places."""
    with ArchiveReader(archive) as reader:
        known = reader.rows(slice(None))
    n = len(known)
    for start in range(0, windows, BATCH):
        at = start % (n - BATCH + 1)
        part = known[at : at + min(BATCH, windows - start)]
        moved = [moved_to(400 * (start + i), window, start + i) for i, window in enumerate(part.windows)]
        yield ArchiveRows(
            moved, part.one_hot, part.hypothetical, part.accounting, part.n_unknown, part.spread
        )


def moved_to(place: int, window: Window, index: int) -> Window:
    """Give a window at another place of one chromosome."""
    return replace(window, chrom="chr0", start=place, end=place + window.end - window.start, index=index)


def write_all(rows: Sequence[ArchiveRows], folder: Path) -> None:
    """Write journal, archive and track of rows, as the command does."""
    length = rows[0].one_hot.shape[2]
    shape = ArchiveShape(length, ("t",))
    sizes = {"chr0": 400 * sum(map(len, rows)) + length}
    with Journal(folder / "run.partial") as journal:
        journal.clear()
        journal.append({})
        at_hand = AtHand(shape.dtype)
        recorder = Recorder(journal, shape, folder / "run.h5", State(0), usable_cores(), at_hand)
        for number, batch in enumerate(rows):
            recorder.add(Done(number, batch))
        recorder.finish()
        archive = ArchiveWriter(folder / "run.h5", window_length=length, target_names=shape.target_names)
        with archive as writer:
            for block, _ in read_blocks(journal, shape):
                if block is not None:
                    writer.write(block)
            writer.finish(sizes, {})
    with ArchiveReader(folder / "run.h5", at_hand) as reader:
        write_bigwig(reader, folder / "run.bw", "nearest-centre")


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a call.

    Attributes
    ----------
    processor : float
        Of all threads, and of child processes.
    own : float
        Of the thread that calls.
    wall : float
    """

    processor: float
    own: float
    wall: float

    @property
    def on_two_cores(self) -> float:
        """What it takes at most where two cores do nothing else."""
        return self.own + (self.processor - self.own) / 2

    @classmethod
    def of(cls, run: Callable[[], object]) -> "Spent":
        """Call, and say what it took."""
        began = processor_seconds(), time.thread_time(), time.perf_counter()
        run()
        ended = processor_seconds(), time.thread_time(), time.perf_counter()
        return cls(*(after - before for before, after in zip(began, ended, strict=True)))


def processor_seconds() -> float:
    """Give the user and system seconds of this process and of its children that are done."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measured(windows: int, rounds: int, folder: Path) -> list[dict[str, object]]:
    """Measure each part, the parts in turns."""
    inputs(folder, max(windows, EXPLAINED))
    explain(folder, min(windows, EXPLAINED), folder / "few")
    rows = list(rows_of(folder / "few.h5", windows))
    for i in (1, 2):
        explain(folder, windows, folder / f"half{i}", "--shard", f"{i}/2")
    halves = [folder / f"half{i}.h5" for i in (1, 2)]
    runs: dict[str, Callable[[], object]] = {
        YARDSTICK: lambda: subprocess.run([sys.executable, "-c", YARDSTICK], check=True),
        "archive and bigWig, engine free": lambda: write_all(rows, folder),
        "merge of two halves": lambda: command("merge", *halves, "-o", folder / "merged"),
        "attribute": lambda: explain(folder, windows, folder / "whole", "--restart"),
    }
    taken: dict[str, list[Spent]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(Spent.of(run))
    yardstick = [each.processor for each in taken.pop(YARDSTICK)]
    return [_row(name, windows, seconds, yardstick) for name, seconds in taken.items()]


def _row(name: str, windows: int, seconds: Sequence[Spent], yardstick: Sequence[float]) -> dict[str, object]:
    processor = [each.processor for each in seconds]
    if name in COMMANDS:
        last = {"times import torch": statistics.median(map(truediv, processor, yardstick))}
    else:
        last = {ALONE: windows / statistics.median(each.on_two_cores for each in seconds)}
    return {
        "what": name, "windows": windows, "processor, s": statistics.median(processor),
        "windows a second (wall)": windows / min(each.wall for each in seconds), **last,
    }  # fmt: skip


def sizes_of(folder: Path) -> list[dict[str, object]]:
    """Say how large the archive is, and its maps."""
    with h5py.File(folder / "run.h5") as file:
        maps = file["hyp_scores"]
        share = maps.id.get_storage_size() / (maps.size * maps.dtype.itemsize)
    shares = {"run.h5": share, "run.bw": None}
    return [
        {"file": name, "bytes": (folder / name).stat().st_size, "share of the maps": each}
        for name, each in shares.items()
    ]


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__, rounds=5)
    found.add_argument("--windows", type=int, default=10_000)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("files", given, ready_device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        rows = measured(given.windows, given.rounds, Path(name))
        sizes = sizes_of(Path(name))
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.2f"))
    print(pd.DataFrame(sizes).to_string(index=False, float_format="%.3f"))
    keeper.keep({"seconds": rows, "sizes": sizes})


if __name__ == "__main__":
    main()
