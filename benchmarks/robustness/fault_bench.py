"""A command that is run again and again, with a fault or a signal each time, and what came of it."""

import hashlib
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.robustness.failing_disk import FailingDisk, Fault
from benchmarks.robustness.fault_commands import Inputs, Trial, contents, laid
from benchmarks.robustness.fault_verdicts import Ending, verdict
from benchmarks.robustness.forked import Child

WRONG = "WRONG"
AGAIN = 10
"""Kills after which the time that a run takes is measured again."""


@dataclass
class Bench:
    """Runs a trial again and again.

    Attributes
    ----------
    outcomes : Counter
        How often there was each outcome, since they were last taken.
    problems : list of str
    """

    disk: FailingDisk
    trial: Trial
    folder: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    whole: dict[str, bytes] = field(default_factory=dict)
    before: dict[str, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    reruns: dict[str, Sequence[str]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def kept(self) -> Path:
        return self.folder / "before"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def begin(self, given: Inputs) -> None:
        """Make what lies there before, then run undisturbed: what is written, and in how many calls."""
        self.disk.disarm()
        self.disk.watch(None)
        shutil.rmtree(self.work, ignore_errors=True)
        for name in ("out", "cache", "tmp"):
            (self.work / name).mkdir(parents=True)
        shutil.copy(given / "genome.fa", self.work)
        for typed in self.trial.before:
            self._require(typed)
        shutil.rmtree(self.kept, ignore_errors=True)
        shutil.copytree(self.work, self.kept)
        self.before = contents(self.work)
        self._require(self.trial.typed)  # what it loads is kept from now on
        laid(self.work, self.kept)
        self.disk.watch(self.work)
        self._time()
        self.counts = self.disk.counts()
        self.whole = contents(self.work)

    def _time(self) -> None:
        """Run undisturbed, to know how long that takes now."""
        start = time.perf_counter()
        self._require(self.trial.typed)
        self.seconds = time.perf_counter() - start

    def _require(self, typed: Sequence[str]) -> None:
        self.log.unlink(missing_ok=True)
        if code := Child.started(typed, self.log).ended():
            sys.exit(f"undisturbed, '{' '.join(typed)}' ends with {code}:\n{self.log.read_text()}")

    def inject(self, fault: Fault, at: int) -> None:
        """Let a call fail, or a signal come at it, and judge."""
        laid(self.work, self.kept)
        self.log.unlink(missing_ok=True)
        self.disk.watch(self.work)
        self.disk.arm(fault, at)
        code = Child.started(self.trial.typed, self.log).ended()
        hits = self.disk.hits()
        self.disk.disarm()
        error = None if fault.sent else fault
        self._judge(f"{fault.name} at {fault.call} {at}", Ending(code, hits, error, fault.sent, self._said()))

    def kill_often(self, how: signal.Signals, times: int, chance: random.Random) -> None:
        """Send a signal at random moments; on a machine that others use these are measured now and then."""
        for number in range(times):
            if number % AGAIN == 0:
                laid(self.work, self.kept)
                self.disk.watch(None)
                self._time()
            self.kill(how, chance.uniform(0, self.seconds))

    def kill(self, how: signal.Signals, after: float) -> None:
        """Send a signal after so many seconds, and judge."""
        laid(self.work, self.kept)
        self.log.unlink(missing_ok=True)
        self.disk.watch(None)
        child = Child.started(self.trial.typed, self.log)
        time.sleep(after)
        os.kill(child.pid, how)
        self._judge(f"{how.name} after {after:.3f} s", Ending(child.ended(), 1, None, how, self._said()))

    def _said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _judge(self, which: str, ending: Ending) -> None:
        left = contents(self.work)
        found = verdict(ending, left, self.whole, self.before, self.work)
        done = found.is_whole and ending.code == 0
        problems = [*found.problems, *(() if done else self._rerun(left, whole=found.is_whole))]
        self.outcomes[WRONG if problems else found.outcome] += 1
        self.problems += [f"{which}: {problem}" for problem in problems]
        for problem in problems:
            print(f"  {self.trial.name}: {which}: {problem}", flush=True)

    def _rerun(self, left: dict[str, bytes], *, whole: bool) -> Sequence[str]:
        """Say what is wrong when the command is run again, once for all that left the same files."""
        state = hashlib.sha256(repr(sorted(left.items())).encode()).hexdigest()
        if state not in self.reruns:
            self.reruns[state] = self._run_again(whole=whole)
        return self.reruns[state]

    def _run_again(self, *, whole: bool) -> Sequence[str]:
        self.log.unlink(missing_ok=True)
        self.disk.watch(None)
        has_work = any(self.work.rglob("*.partial"))
        typed = [*self.trial.typed, *(self.trial.again if has_work else ())]
        code = Child.started(typed, self.log).ended()
        if whole and self.trial.refusal:
            found = verdict(
                Ending(0, 0, None, None, ""), contents(self.work), self.whole, self.before, self.work
            )
            refused = code == 1 and self.trial.refusal in self._said()
            return found.problems if refused else (f"run again, it ends with {code}: {self._said()[-300:]}",)
        if code:
            return (f"run again, it ends with {code}: {self._said()[-300:].strip()}",)
        again = Ending(code, 0, None, None, self._said())
        found = verdict(again, contents(self.work), self.whole, self.before, self.work)
        return tuple(f"run again: {problem}" for problem in found.problems)
