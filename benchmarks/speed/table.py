"""How fast everything is, beside what it should take: the whole table in one command.

    python -m benchmarks.speed.table              measure everything, which takes an hour, and print the table
    python -m benchmarks.speed.table --rounds 1   the same in less time, from one round of each
    python -m benchmarks.speed.table --save       the same as the first, and keep the figures
    python -m benchmarks.speed.table --records    print it from the figures that are kept

Unless the figures are kept, engines are timed without their memory, and at the batch that is shown alone.

Ratios of engines are of processor time. Seconds of whole commands are processor time over that of `import
torch` in the same round, times the 0.95 s that this takes on a quiet machine: so a busy one says the same.
Windows a second are by processor time, too.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import RESULTS, Record, load

IMPORT_TORCH = 0.95
"""Seconds that importing torch takes on the machine of the targets, with nobody else on it."""
SCRIPTS = ("engine_speed", "commands", "whole_command", "files", "targets", "motifs")
SHOWN_ALONE: Mapping[str, Sequence[str]] = MappingProxyType(
    {"engine_speed": ("--batches", "8", "--no-memory"), "whole_command": ("--models", "suhw-dm3")}
)
"""Of what a script measures, that which is in the table."""
ALWAYS: Mapping[str, Sequence[str]] = MappingProxyType({"engine_speed": ("--clock", "cpu")})
"""What makes a script's figures those of a quiet machine."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table.

    Attributes
    ----------
    what : str
    target : float
    unit : str
        Empty of a ratio.
    record : str
        The experiment whose record has the figure.
    table : str
        Its table.
    figure : callable
        Takes a row of that table, and gives the figure, or None where it is of something else.
    more_is_better : bool
    """

    what: str
    target: float
    unit: str
    record: str
    table: str
    figure: Callable[[Row], float | None]
    more_is_better: bool = False

    def met(self, figure: float) -> bool:
        return figure >= self.target if self.more_is_better else figure <= self.target


def _command(name: str) -> Callable[[Row], float | None]:
    def figure(row: Row) -> float | None:
        ours = row["what"] == name and row["checkout"] == "this"
        return IMPORT_TORCH * row["times import torch"] if ours else None

    return figure


def _of_two_halves(row: Row) -> float | None:
    return IMPORT_TORCH * row["times import torch"] if row["what"] == "merge of two halves" else None


def _column(name: str, **wanted: object) -> Callable[[Row], float | None]:
    return lambda row: row.get(name) if all(row[key] == value for key, value in wanted.items()) else None


def _of_command(what: str, target: float) -> Line:
    return Line(what, target, "s", "commands", "rows", _command(what))


def _of_engine(what: str, target: float, network: str, reference: str, method: str) -> Line:
    def figure(row: Row) -> float | None:
        ours = row["network"].startswith(network) and (row["batch"], row["reference"]) == (8, reference)
        return row[method] if ours else None

    return Line(what, target, "", "engine_speed", "time", figure)


DEFAULT, PLUS = "PLRP-lambda epsilon-gamma, p=0.1", "PLRP-lambda epsilon-plus, p=0.02"
WHOLE, CROPPED = "gradient", "gradient of the cropped input"
LINES = (
    _of_command("attribute, one window", 1.8),
    _of_command("attribute, 221 windows", 2.4),
    Line(
        "attribute, 10,000 windows, to its engine alone", 1.4, "", "whole_command", "rows",
        _column("ratio", model="suhw-dm3", windows=10_000),
    ),
    Line(
        "archive and bigWig, engine free", 4000, "windows/s", "files", "seconds",
        _column("windows a second (two cores, by processor time)", what="archive and bigWig, engine free"),
        more_is_better=True,
    ),
    _of_engine("PLRP epsilon-plus, BPNet-like, to the gradient", 0.9, "BPNet", WHOLE, PLUS),
    _of_engine("PLRP split gamma, BPNet-like, to the gradient", 1.2, "BPNet", WHOLE, DEFAULT),
    _of_engine("the same, 2,001 bp seen, to the cropped gradient", 0.7, "SpliceAI-like", CROPPED, DEFAULT),
    _of_engine("the same, 10,001 bp seen, to the gradient", 0.7, "CI-SpliceAI", WHOLE, DEFAULT),
    Line(
        "64 targets, each beyond the first, in forwards", 1.0, "", "targets", "rows",
        _column("each, in forwards", targets=64, network="Basset-like 4x1000"),
    ),
    Line("motifs, 10,000 windows", 100, "s, wall", "motifs", "rows", _column("wall, s", windows=10_000)),
    _of_command("report", 2),
    _of_command("plot of 600 bp", 0.8),
    _of_command("plot of 10 kb", 1.2),
    _of_command("evaluate", 1.5),
    Line("merge of two halves", 1, "s", "files", "seconds", _of_two_halves),
    _of_command("variants, 1,000", 5),
)  # fmt: skip


def read_records(folders: Sequence[Path]) -> dict[str, Record]:
    """Read the records of the CPU, those of later folders in the place of earlier ones."""
    paths = [path for folder in folders for path in sorted(folder.glob("*_cpu.json"))]
    return {record.experiment: record for record in map(load, paths)}


def figure_of(line: Line, records: Mapping[str, Record]) -> float | None:
    """Give a line's figure, the median of its rounds; None where no record has it."""
    record = records.get(line.record)
    found = map(line.figure, record.tables[line.table]) if record else ()
    figures = [figure for figure in found if figure is not None]
    return statistics.median(figures) if figures else None


def table(records: Mapping[str, Record]) -> pd.DataFrame:
    """Make the table."""
    return pd.DataFrame([_shown(line, figure_of(line, records), records.get(line.record)) for line in LINES])


def _shown(line: Line, figure: float | None, record: Record | None) -> dict[str, str]:
    digits = ".0f" if line.target >= 100 else ".2f"
    known = figure is not None and record is not None
    return {
        "what": line.what,
        "today": format(figure, digits) if figure is not None else "not measured",
        "target": f"{line.target:g}",
        "unit": line.unit,
        "met": ("yes" if line.met(figure) else "no") if figure is not None else "-",
        "commit": (record.origin.commit or "unknown")[:9] if known and record is not None else "",
    }


def measure(options: Sequence[str], *, whole: bool) -> None:
    """Run every script, the whole of it or what the table shows."""
    for script in SCRIPTS:
        command = [
            sys.executable,
            "-m",
            f"benchmarks.speed.{script}",
            *options,
            *given_to(script, whole=whole),
        ]
        subprocess.run(command, cwd=ROOT, check=True)


def given_to(script: str, *, whole: bool) -> tuple[str, ...]:
    """Give the options of a script."""
    return (*ALWAYS.get(script, ()), *(() if whole else SHOWN_ALONE.get(script, ())))


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--records", action="store_true", help="measure nothing; show what is kept")
    found.add_argument("--rounds", type=int, help="time each so often (default: as often as its script does)")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        new = given.out or (RESULTS if given.save else Path(name))
        if not given.records:
            rounds = [] if given.rounds is None else ["--rounds", str(given.rounds)]
            measure(["--out", str(new.resolve()), *rounds], whole=given.save or given.out is not None)
        print(table(read_records([RESULTS, new])).to_string(index=False))


if __name__ == "__main__":
    main()
