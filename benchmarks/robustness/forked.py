"""Commands run again and again, each in a process forked from this one, which has loaded the libraries."""

import ctypes
import gc
import hashlib
import json
import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

SECONDS = 900
HUNG = 124
ASKING = "SPARSELRP_FAULTS_ASKING"
"""Environment variable of a child with the pipes on which it asks for another."""
PARENT = "SPARSELRP_PARENT"


def prepare(folder: Path) -> None:
    """Load what the commands load, and let them fork instead of starting anew; what takes longest is kept.

    Equal seqlets are clustered once, and equal figures drawn once. What is started can't start another:
    `demo` is as where the packages for motifs are missing, and starts no --report.

    Parameters
    ----------
    folder : Path
        Where that is kept.
    """
    warm()
    from sparselrp_cli.cli import following
    from sparselrp_cli.motifs import discovery
    from sparselrp_cli.report import frame, page
    from sparselrp_cli.runs import demo

    environment = frame._environment()
    environment.get_template("page.html.jinja")
    frame._environment = lambda: environment
    page._profile = once(page._profile, folder, _profiled)
    discovery._clusters = once(discovery._clusters, folder, _seqlets)
    page._histograms = once(page._histograms, folder, lambda accounts: accounts)
    demo.can_find_motifs = lambda: False
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
        "sparselrp_cli.probing.probe", "sparselrp_cli.runs.demo", "sparselrp_cli.runs.workflow_files",
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


def _profiled(reader: Any, maps: Any, hits: Any) -> object:
    return reader.n_windows, reader.window_length, maps.profile, hits


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


@dataclass(slots=True)
class Child:
    """A command that runs in a child, and what it starts itself.

    A process that has computed must not fork: OpenMP's threads don't come along. So a command that starts
    another asks this process to fork it, and gets its number and, once it has ended, its exit code.

    Attributes
    ----------
    pid : int
    log : Path
        Where what it says goes.
    asked : file
        Command lines that it wants to be started, each a line of JSON.
    answers : int
        Where the answers go.
    life : int
        A pipe that ends with the child; what it starts watches it.
    followers : set of int
        Those that it started and that run.
    """

    pid: int
    log: Path
    asked: IO[bytes]
    answers: int
    life: int
    followers: set[int] = field(default_factory=set)

    @classmethod
    def started(cls, typed: Sequence[str], log: Path) -> "Child":
        """Run a command line, what it says in a file."""
        (asked, ask), (answer, answers), (life, living) = os.pipe(), os.pipe(), os.pipe()
        if pid := os.fork():
            for theirs in (ask, answer, living):
                os.close(theirs)
            return cls(pid, log, os.fdopen(asked, "rb", buffering=0), answers, life)
        for ours in (asked, answers, life):
            os.close(ours)
        os.environ[ASKING] = f"{ask} {answer} {living}"
        return _run_logged(typed, log)

    def ended(self) -> int:
        """Wait for it and for what it started; minus the signal that ended it, or its exit code; `HUNG`."""
        end, pause, code = time.monotonic() + SECONDS, 0.001, None
        try:
            while (code is None or self.followers) and time.monotonic() < end:
                if select.select([self.asked], [], [], pause)[0] and (line := self.asked.readline()):
                    self._start(json.loads(line))
                elif code is not None:
                    time.sleep(pause)
                code = _code(self.pid) if code is None else code
                self._answer()
                pause = min(2 * pause, 0.02)
            return HUNG if code is None or self.followers else code
        finally:
            self._end(running=code is None)

    def _start(self, typed: Sequence[str]) -> None:
        if pid := os.fork():
            self.followers.add(pid)
            self._say(pid)
            return
        os.close(self.answers)
        os.environ[PARENT] = str(self.life)
        _run_logged(typed, self.log)

    def _answer(self) -> None:
        for pid in tuple(self.followers):
            if (code := _code(pid)) is not None:
                self.followers.discard(pid)
                self._say(code)

    def _say(self, number: int) -> None:
        with suppress(BrokenPipeError):  # who asked has ended
            os.write(self.answers, f"{number}\n".encode())

    def _end(self, *, running: bool) -> None:
        for pid in (*self.followers, *([self.pid] if running else [])):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.asked.close()
        os.close(self.answers)
        os.close(self.life)


def _code(pid: int) -> int | None:
    """Give how a child has ended; None where it hasn't."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _run_logged(typed: Sequence[str], log: Path) -> NoReturn:
    try:
        for path, number in ((Path(os.devnull), 1), (log, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), number)
        run_typed(typed)
    finally:
        os._exit(99)


def code_of(given: Sequence[str]) -> int:
    """Do what `cli.following.code_of` does, but ask the process that forked this one to start the command."""
    ask, answer, _ = map(int, os.environ[ASKING].split())
    os.write(ask, json.dumps(list(given)).encode() + b"\n")
    pid = _number(answer)
    try:
        return _number(answer)
    except BaseException:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _number(answer)
        raise


def _number(pipe: int) -> int:
    text = b""
    while not text.endswith(b"\n"):
        if not (letter := os.read(pipe, 1)):
            raise EOFError("the process that forked this one has ended")
        text += letter
    return int(text)
