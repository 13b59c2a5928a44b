"""Commands run again and again, each in a process forked from this one, which has loaded the libraries."""

import ctypes
import gc
import hashlib
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

SECONDS = 240
HUNG = 124


def prepare(folder: Path) -> None:
    """Load what the commands load, and let them fork instead of starting anew; what takes longest is kept.

    Equal seqlets are clustered once, and equal histograms drawn once.

    Parameters
    ----------
    folder : Path
        Where that is kept.
    """
    warm()
    from sparselrp_cli.cli import following
    from sparselrp_cli.motifs import discovery
    from sparselrp_cli.report import page

    discovery._clusters = once(discovery._clusters, folder, _seqlets)
    page._histograms = once(page._histograms, folder, lambda accounts: accounts)
    following.code_of = code_of


def warm() -> None:
    """Load what the commands load, which computes nothing and starts no thread."""
    from importlib import import_module

    import torch
    import torch.export._trace

    from sparselrp_cli.cli.main import COMMANDS

    torch.set_num_threads(1)
    for name in (
        *(f"sparselrp_cli.cli.{module}" for module in COMMANDS.values()),
        "sparselrp_cli.runs.attribute", "sparselrp_cli.runs.variants", "sparselrp_cli.runs.merge",
        "sparselrp_cli.runs.exporting", "sparselrp_cli.runs.pack", "sparselrp_cli.runs.follow_ups",
        "sparselrp_cli.model.importing.keras", "sparselrp_cli.graph.traced_model",
        "sparselrp_cli.motifs.search", "sparselrp_cli.motifs.files", "sparselrp_cli.motifs.database",
        "sparselrp_cli.report.page", "sparselrp_cli.report.plotting", "sparselrp_cli.comparison.compare",
        "sparselrp_cli.evaluation.evaluate", "sparselrp_cli.evaluation.figures",
        "sparselrp_cli.evaluation.asking_again", "sparselrp_cli.evaluation.deeplift",
        "sparselrp_cli.outputs.browser", "sparselrp_cli.outputs.bigbed", "sparselrp_cli.outputs.motif_files",
        "memelite", "modiscolite.tfmodisco", "logomaker", "scipy.stats", "sympy.combinatorics",
        "matplotlib.backends.backend_svg", "sparselrp_cli.relevance.explainer",
    ):  # fmt: skip
        import_module(name)
    gc.collect()
    gc.freeze()


def once(function: Callable[..., Any], folder: Path, key: Callable[..., object]) -> Callable[..., Any]:
    """Let a function compute once for all processes what it gives for equal arguments.

    Parameters
    ----------
    key : function of the arguments
        Gives what can be pickled, and is all that counts.
    """

    def computed(*given: Any) -> Any:
        digest = hashlib.sha256(pickle.dumps(key(*given))).hexdigest()
        kept = folder / f"{function.__name__}-{digest[:16]}"
        if not kept.is_file():
            found = function(*given)
            aside = kept.with_suffix(f".{os.getpid()}")
            aside.write_bytes(pickle.dumps(found))
            aside.replace(kept)
        return pickle.loads(kept.read_bytes())  # noqa: S301 - our own, of a moment ago

    return computed


def _seqlets(context: Any, chosen: Any, *more: Any) -> object:
    return context.one_hot, context.hypothetical, chosen, more


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


@dataclass(frozen=True, slots=True)
class Child:
    """A command that runs in a child.

    Attributes
    ----------
    pid : int
    alive : int
        A pipe that ends when the child and all that it forked have ended.
    """

    pid: int
    alive: int

    @classmethod
    def started(cls, typed: Sequence[str], log: Path) -> "Child":
        """Run a command line, what it says in a file."""
        alive, theirs = os.pipe()
        pid = os.fork()
        if pid:
            os.close(theirs)
            return cls(pid, alive)
        os.close(alive)
        try:
            for path, number in ((Path(os.devnull), 1), (log, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), number)
            run_typed(typed)
        finally:
            os._exit(99)

    def ended(self) -> int:
        """Wait for it and for what it forked; minus the signal that ended it, or its exit code; `HUNG`."""
        try:
            code = self._ended_in_time()
            is_over = bool(select.select([self.alive], [], [], SECONDS)[0])
            return code if is_over else HUNG
        finally:
            os.close(self.alive)

    def _ended_in_time(self) -> int:
        end, pause = time.monotonic() + SECONDS, 0.001
        while time.monotonic() < end:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return HUNG


def code_of(given: Sequence[str]) -> int:
    """Do what `cli.following.code_of` does, but fork instead of starting anew."""
    from sparselrp_cli.runs.stopping import PARENT

    theirs, ours = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        os.environ[PARENT] = str(theirs)
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        try:
            run_typed(given)
        finally:
            os._exit(99)
    try:
        return _code(pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        _code(pid)
        raise
    finally:
        os.close(theirs)
        os.close(ours)


def _code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
