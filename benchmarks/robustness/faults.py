"""Faults at every call that writes, and kills at random moments, of every command that writes files.

    python -m benchmarks.robustness.faults                              # every k of every command: hours
    python -m benchmarks.robustness.faults --command export --kills 4   # one command, fewer kills
    python -m benchmarks.robustness.faults --at-most 5 --kills 5        # five calls of each kind, drawn

As SQLite is tested: a command is run once to count its calls to write, fsync, rename, open, truncate and
close beneath its folder. Then the k-th of each kind fails, for every k: no space (from then on), an I/O
error, an interrupted call, a short write. Native writers are hit as Python is, see faults.c. After each one:

* exit code 0 means that all files have the bytes of an undisturbed run; 1 comes with one line that names a
  file and the cause; nothing else comes;
* every final name holds the file of this run, or of the one that was there before; nothing hidden is left;
* a record, such as PREFIX.manifest.json, lists files that are there as it lists them, or isn't there;
* the same command, with --resume where it has kept work, then gives the bytes of an undisturbed run.

Each run is forked from this process, which has loaded the libraries. What --report starts is forked, too.
Equal seqlets are clustered once.
"""

import argparse
import ctypes
import gc
import hashlib
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import click
import torch

from benchmarks.options import parser
from benchmarks.record import Keeper
from benchmarks.robustness.failing_disk import (
    CALLS,
    FAULTS,
    LIBRARY,
    FailingDisk,
    Fault,
    why_not,
    with_failing_disk,
)
from benchmarks.robustness.fault_commands import Inputs, Trial, contents, laid, trials
from benchmarks.robustness.fault_verdicts import Ending, verdict

MODULE = "benchmarks.robustness.faults"
SECONDS = 120
Clusters = Callable[..., Any]


def warm() -> None:
    """Load what the commands load, which computes nothing and starts no thread."""
    from importlib import import_module

    import torch.export._trace

    from sparselrp_cli.cli.main import COMMANDS

    torch.set_num_threads(1)
    for name in (
        *(f"sparselrp_cli.cli.{module}" for module in COMMANDS.values()),
        "sparselrp_cli.runs.attribute", "sparselrp_cli.runs.variants", "sparselrp_cli.runs.merge",
        "sparselrp_cli.runs.exporting", "sparselrp_cli.runs.pack", "sparselrp_cli.model.importing",
        "sparselrp_cli.motifs.search", "sparselrp_cli.motifs.files", "sparselrp_cli.motifs.database",
        "sparselrp_cli.report.page", "sparselrp_cli.report.plotting", "sparselrp_cli.comparison.compare",
        "sparselrp_cli.evaluation.evaluate", "sparselrp_cli.evaluation.figures",
        "sparselrp_cli.outputs.browser", "sparselrp_cli.outputs.bigbed",
        "memelite", "modiscolite.tfmodisco", "logomaker", "scipy.stats",
        "matplotlib.backends.backend_svg", "sparselrp_cli.relevance.explainer",
    ):  # fmt: skip
        import_module(name)
    gc.collect()
    gc.freeze()


def clustering_once(clusters: Clusters, folder: Path) -> Clusters:
    """Keep what TF-MoDISco finds in a folder: equal seqlets take it from there."""

    def clustered(context: Any, chosen: Any, *more: Any) -> Any:
        key = hashlib.sha256(pickle.dumps((context.one_hot, context.hypothetical, chosen, more))).hexdigest()
        kept = folder / f"clusters-{key[:16]}"
        if not kept.is_file():
            found = clusters(context, chosen, *more)
            kept.with_suffix(".tmp").write_bytes(pickle.dumps(found))
            kept.with_suffix(".tmp").replace(kept)
        return pickle.loads(kept.read_bytes())  # noqa: S301 - our own, of a moment ago

    return clustered


def leave(code: int) -> NoReturn:
    """End this process, with what HDF5 does at the end, where it crashes if a write failed before."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    with Path("/proc/self/maps").open() as maps:
        libraries = {line.split()[-1] for line in maps if "/libhdf5" in line}
    for library in libraries:
        if hasattr(calls := ctypes.CDLL(library), "H5close"):
            calls.H5close()
    os._exit(code)


def run_typed(typed: Sequence[str]) -> NoReturn:
    """Run a command line in this process, and end it."""
    from sparselrp_cli.cli.main import main

    sys.argv = ["sparselrp", *typed]
    try:
        main(list(typed))
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else 1)
    leave(0)


def started(typed: Sequence[str], log: Path) -> int:
    """Run a command line in a child, what it says in a file; give its number."""
    pid = os.fork()
    if pid:
        return pid
    try:
        for path, number in ((Path(os.devnull), 1), (log, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), number)
        run_typed(typed)
    finally:
        os._exit(99)


def ended(pid: int) -> int:
    """Wait for a child; minus the signal that ended it, or its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_command(arguments: Sequence[str | Path], *, quiet: bool) -> None:
    """Do what `cli.following.run_command` does, but fork instead of starting anew."""
    from sparselrp_cli.runs.stopping import PARENT

    theirs, ours = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        os.environ[PARENT] = str(theirs)
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        try:
            run_typed([*map(str, arguments), *(["-q"] if quiet else [])])
        finally:
            os._exit(99)
    try:
        code = ended(pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        raise
    finally:
        os.close(theirs)
        os.close(ours)
    if code:
        raise click.exceptions.Exit(code)


@dataclass
class Bench:
    """Runs a trial again and again.

    Attributes
    ----------
    outcomes : Counter
        How often each fault had each outcome.
    problems : list of str
    """

    disk: FailingDisk
    trial: Trial
    folder: Path
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    whole: dict[str, bytes] = field(default_factory=dict)
    before: dict[str, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
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
        start = time.perf_counter()
        self._require(self.trial.typed)
        self.seconds = time.perf_counter() - start
        self.counts = self.disk.counts()
        self.whole = contents(self.work)

    def _require(self, typed: Sequence[str]) -> None:
        self.log.unlink(missing_ok=True)
        if code := ended(started(typed, self.log)):
            sys.exit(f"undisturbed, '{' '.join(typed)}' ends with {code}:\n{self.log.read_text()}")

    def inject(self, fault: Fault, at: int) -> None:
        """Let a call fail, and judge."""
        laid(self.work, self.kept)
        self.log.unlink(missing_ok=True)
        self.disk.watch(self.work)
        self.disk.arm(fault, at)
        pid = started(self.trial.typed, self.log)
        code = self._ended_in_time(pid)
        hits = self.disk.hits()
        self.disk.disarm()
        what = f"{fault.name} at {fault.call}"
        self._judge(f"{what} {at}", what, Ending(code, hits, fault, None, self._said()))

    def kill(self, how: signal.Signals, after: float) -> None:
        """Send a signal after a while, and judge."""
        laid(self.work, self.kept)
        self.log.unlink(missing_ok=True)
        self.disk.watch(None)
        pid = started(self.trial.typed, self.log)
        time.sleep(after)
        os.kill(pid, how)
        code = self._ended_in_time(pid)
        self._wait_for_followers()
        self._judge(f"{how.name} after {after:.3f} s", how.name, Ending(code, 1, None, how, self._said()))

    def _ended_in_time(self, pid: int) -> int:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return 124

    def _wait_for_followers(self) -> None:
        """Give a command that a killed one had started the time to end, as it does when it notices."""
        if "--report" in self.trial.typed:
            time.sleep(0.3)

    def _said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _judge(self, which: str, what: str, ending: Ending) -> None:
        found = verdict(ending, contents(self.work), self.whole, self.before, self.work)
        problems = list(found.problems)
        if not found.is_whole:
            problems += self._rerun(ending)
        self.outcomes[what, found.outcome if not problems else "WRONG"] += 1
        self.problems += [f"{self.trial.name}: {which}: {problem}" for problem in problems]
        for problem in problems:
            print(f"  {which}: {problem}", flush=True)

    def _rerun(self, ending: Ending) -> Iterator[str]:
        self.log.unlink(missing_ok=True)
        self.disk.watch(None)
        has_work = any(self.work.rglob("*.partial"))
        typed = [*self.trial.typed, *(self.trial.again if has_work else ())]
        code = self._ended_in_time(started(typed, self.log))
        again = Ending(code, 0, None, None, self._said())
        if code:
            yield f"run again, it ends with {code}: {self._said()[-300:].strip()}"
            return
        for problem in verdict(again, contents(self.work), self.whole, self.before, self.work).problems:
            yield f"run again: {problem}"


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument(
        "--command", action="append", default=[], metavar="NAME", help="only this one; repeatable"
    )
    found.add_argument("--at-most", type=int, metavar="N", help="calls of a kind, drawn (default: all)")
    found.add_argument("--call", choices=CALLS, action="append", default=[], help="only calls of this kind")
    found.add_argument("--kills", type=int, default=50, help="of each command, with each signal")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--list", action="store_true", help="count the calls of each command, and do no more")
    return found


def drawn(count: int, at_most: int | None, chance: random.Random) -> Sequence[int]:
    """Number the calls that shall fail: all, or some."""
    if at_most is None or count <= at_most:
        return range(count)
    return sorted(chance.sample(range(count), at_most))


def try_command(bench: Bench, given: argparse.Namespace, inputs: Inputs) -> None:
    """Inject every fault into a command, and kill it."""
    bench.begin(inputs)
    print(f"{bench.trial.name}: {bench.seconds:.2f} s, {bench.counts}", flush=True)
    if given.list:
        return
    chance = random.Random(given.seed)
    for fault in FAULTS:
        if not given.call or fault.call in given.call:
            for at in drawn(bench.counts[fault.call], given.at_most, chance):
                bench.inject(fault, at)
    for _ in range(given.kills):
        for how in (signal.SIGKILL, signal.SIGTERM):
            bench.kill(how, chance.uniform(0, bench.seconds))


def rows(bench: Bench) -> Iterator[dict[str, object]]:
    for (what, outcome), number in sorted(bench.outcomes.items()):
        yield {"command": bench.trial.name, "fault": what, "outcome": outcome, "times": number}


def main(arguments: Sequence[str] | None = None) -> int:
    typed = list(sys.argv[1:] if arguments is None else arguments)
    given = options().parse_args(typed)
    if reason := why_not():
        print(f"nothing was injected: {reason}")
        return 0
    if LIBRARY not in os.environ:
        return with_failing_disk(MODULE, typed)
    keeper = Keeper.start("faults", given, torch.device("cpu"))
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a real disk's syncs take most of the time
    folder = Path(tempfile.mkdtemp(prefix="sparselrp-faults-", dir=fast))
    try:
        return try_commands(given, keeper, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def try_commands(given: argparse.Namespace, keeper: Keeper, folder: Path) -> int:
    from sparselrp_cli.cli import following
    from sparselrp_cli.motifs import discovery

    (folder / "given").mkdir()
    inputs = Inputs.written(folder / "given")
    known = trials(inputs, folder / "work")
    if unknown := [name for name in given.command if name not in known]:
        raise SystemExit(f"--command {unknown[0]} isn't one of {', '.join(known)}")
    os.environ |= {"SPARSELRP_CACHE_DIR": str(folder / "work/cache"), "TMPDIR": str(folder / "work/tmp")}
    warm()
    discovery._clusters = clustering_once(discovery._clusters, inputs.folder)
    following.run_command = run_command
    disk, found, calls = FailingDisk(), [], []
    problems: list[str] = []
    for name in given.command or known:
        bench = Bench(disk, known[name], folder)
        try_command(bench, given, inputs)
        found += list(rows(bench))
        calls.append({"command": name, **bench.counts})
        problems += bench.problems
        keeper.keep_so_far({"calls": calls, "faults": found})
    for row in found:
        print(f"{row['command']:20s} {row['fault']:24s} {row['outcome']:40s} {row['times']:6d}")
    print(f"{sum(int(row['times']) for row in found)} faults and kills, {len(problems)} problems")
    if not given.list:
        keeper.keep({"calls": calls, "faults": found})
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
