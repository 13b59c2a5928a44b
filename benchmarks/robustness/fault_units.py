"""What a sweep has done already: a unit is a command with one kind of fault, at every call or at some.

Units of the same code are kept in the cache, so that a sweep that was stopped goes on where it was.
"""

import hashlib
import json
import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.history import ROOT, git, uncommitted
from benchmarks.robustness.failing_disk import FAULTS, Fault

CODE = ("sparselrp_cli", "benchmarks/robustness")
FOLDER = ROOT / "benchmarks" / "cache" / "faults"
CALLS = "calls"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unit:
    """One kind of fault, or a signal at random moments.

    Attributes
    ----------
    what : Fault or Signals
    times : int or None
        Calls of a kind, drawn, or kills; None for all.
    seed : int
    """

    what: Fault | signal.Signals
    times: int | None
    seed: int

    @property
    def name(self) -> str:
        """As it is called in the record."""
        what = self.what
        return f"{what.name} at {what.call}" if isinstance(what, Fault) else what.name

    @property
    def key(self) -> str:
        return f"{self.name}, {'all' if self.times is None else self.times}, seed {self.seed}"

    def chance(self, command: str) -> random.Random:
        """Give the chance of a command's units, the same however they are ordered."""
        return random.Random(f"{command} {self.key}")


def units(calls: Sequence[str], at_most: int | None, kills: int, seed: int) -> list[Unit]:
    """Give all units of a command, or those of some kinds of calls, and the kills."""
    faults = [Unit(fault, at_most, seed) for fault in FAULTS if not calls or fault.call in calls]
    signals = (signal.SIGKILL, signal.SIGTERM) if kills else ()
    return [*faults, *(Unit(how, kills, seed) for how in signals)]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of the units of a command.

    Attributes
    ----------
    path : Path or None
        A line of JSON for each; None where files differ from the commit, of which nothing is kept.
    """

    path: Path | None

    @classmethod
    def of(cls, command: str, folder: Path | None) -> "Kept":
        return cls(folder and folder / f"{command.replace(' ', '_')}.jsonl")

    def rows(self) -> dict[str, Row]:
        """Give what was kept, by key."""
        if self.path is None or not self.path.is_file():
            return {}
        lines = self.path.read_text().splitlines(keepends=True)
        return {row["key"]: row for row in map(json.loads, (s for s in lines if s.endswith("\n")))}

    def add(self, row: Row) -> None:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")


def folder_of_this_code() -> Path | None:
    """Give where units of the code as it is are kept; None where it isn't committed."""
    trees = [git("rev-parse", f"HEAD:{path}") for path in CODE]
    if None in trees or uncommitted(CODE):
        return None
    return FOLDER / hashlib.sha256(" ".join(map(str, trees)).encode()).hexdigest()[:16]
