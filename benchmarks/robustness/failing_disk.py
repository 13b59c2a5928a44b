"""A disk that fails on demand, for all that a process writes, its libraries in C and Rust too.

The calls are those of faults.c, which the C compiler of the machine makes a library of, to be loaded before
all others. A process that wants it starts itself again, see `with_failing_disk`.
"""

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")
CALLS = ("write", "fsync", "rename", "open", "truncate", "close")
"""Kinds of calls, in the order of faults.c: open is for writing, truncate also reserves room."""
SHORT_WRITE = -1
FIRST_SIGNAL = -100
LIBRARY = "SPARSELRP_FAULTS"
"""Environment variable with the path of the library that was loaded."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and at which call.

    Attributes
    ----------
    call : str
        Of `CALLS`.
    name : str
        Such as ENOSPC, or "short write", or SIGTERM.
    lasting : bool
        Whether all that needs room fails from then on, as on a full disk.
    """

    call: str
    name: str
    lasting: bool = False

    @property
    def sent(self) -> signal.Signals | None:
        """What comes in place of an error, just before the call."""
        return getattr(signal, self.name, None)

    @property
    def code(self) -> int:
        """What faults.c takes: the error's number, or what stands for a signal."""
        if self.sent is not None:
            return FIRST_SIGNAL - self.sent
        return SHORT_WRITE if self.name == "short write" else int(getattr(errno, self.name))


FAULTS = (
    Fault("write", "ENOSPC", lasting=True),
    Fault("write", "EIO"),
    Fault("write", "EINTR"),
    Fault("write", "short write"),
    Fault("fsync", "EIO"),
    Fault("fsync", "ENOSPC"),
    Fault("rename", "EIO"),
    Fault("rename", "ENOSPC"),
    Fault("open", "ENOSPC", lasting=True),
    Fault("open", "EIO"),
    Fault("open", "EINTR"),
    Fault("truncate", "ENOSPC", lasting=True),
    Fault("truncate", "EIO"),
    Fault("close", "EIO"),
    Fault("open", "SIGTERM"),
    Fault("truncate", "SIGTERM"),
    Fault("fsync", "SIGTERM"),
    Fault("rename", "SIGTERM"),
    Fault("close", "SIGTERM"),
    Fault("truncate", "SIGKILL"),
    Fault("rename", "SIGKILL"),
)


class FailingDisk:
    """The library that this process was started with; children of fork share its counts."""

    def __init__(self) -> None:
        self._calls = ctypes.CDLL(os.environ[LIBRARY])

    def watch(self, folder: Path | None) -> None:
        """Count calls on files beneath a folder, from 0; None watches nothing."""
        self._calls.faults_watch(os.fsencode(folder.resolve()) if folder else b"")

    def arm(self, fault: Fault, at: int) -> None:
        """Let the call of a number fail, the first being 0."""
        self._calls.faults_arm(CALLS.index(fault.call), at, fault.code, int(fault.lasting))

    def disarm(self) -> None:
        self._calls.faults_arm(0, -1, 0, 0)

    def counts(self) -> dict[str, int]:
        """Give how many calls of each kind there were."""
        return {name: int(self._calls.faults_count(i)) for i, name in enumerate(CALLS)}

    def hits(self) -> int:
        """Give how many calls failed."""
        return int(self._calls.faults_hits())


def why_not() -> str:
    """Say why there can't be one here; nothing where it can."""
    if not sys.platform.startswith("linux"):
        return "faults are injected with LD_PRELOAD and /proc, which only Linux has"
    if compiler() is None:
        return "no C compiler (cc, gcc or clang) is on PATH, which makes the library that injects faults"
    return ""


def compiler() -> str | None:
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def with_failing_disk(module: str, arguments: Sequence[str]) -> int:
    """Run a module of ours again in a process that has the library; give its exit code."""
    with tempfile.TemporaryDirectory(prefix="sparselrp-") as folder:
        library = Path(folder) / "faults.so"
        subprocess.run(
            [str(compiler()), "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True
        )
        environment = {**os.environ, "LD_PRELOAD": str(library), LIBRARY: str(library)}
        environment |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        return subprocess.run(
            [sys.executable, "-m", module, *arguments], env=environment, check=False
        ).returncode
