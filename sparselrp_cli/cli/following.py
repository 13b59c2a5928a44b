"""What `attribute --report` does after the run: motifs and the report, each as its own command.

Each runs in a fresh process: TF-MoDISco forks, which a process that has used torch's threads must not.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparselrp_cli.errors import SparselrpError
from sparselrp_cli.runs.stopping import GRACE, PARENT

if TYPE_CHECKING:
    from sparselrp_cli.runs.attribute import Progress
    from sparselrp_cli.runs.request import RunRequest
    from sparselrp_cli.runs.stopping import StopRequest


def motifs_and_report(
    request: "RunRequest", command: list[str], progress: "Progress", stop: "StopRequest",
    *, database: str | None, genes: str | None, quiet: bool,
) -> None:  # fmt: skip
    """Explain shuffled windows and the best ones unpruned, then find motifs and write the report.

    Raises
    ------
    click.exceptions.Exit
        With the exit code of the command that failed, which has said why.
    """
    import logging

    from sparselrp_cli.files.names import target_file_names
    from sparselrp_cli.outputs.archive import ArchiveReader
    from sparselrp_cli.runs.follow_ups import explain_shuffled, explain_unpruned

    logger = logging.getLogger("sparselrp")
    prefix = request.prefix
    archive = prefix.with_name(f"{prefix.name}.h5")
    logger.info("explaining shuffled windows, for the null of the seqlets")
    background = explain_shuffled(request, command, progress, stop)
    logger.info("explaining the best windows without pruning, for the report")
    unpruned = explain_unpruned(request, command, progress, stop)
    with ArchiveReader(archive) as reader:
        targets = reader.target_names
    names = [f".{name}" for name in target_file_names(targets)] if len(targets) > 1 else [""]
    for target, name in zip(targets, names, strict=True):
        own = prefix.with_name(prefix.name + name)
        naming = ["--database", database] if database is not None else []
        run_command(
            ["motifs", archive, "-o", own, "-t", target, "--background", background, *naming], quiet=quiet
        )
        beside: list[str | Path] = ["--unpruned", unpruned] if unpruned is not None else []
        beside += ["--genes", genes] if genes is not None else []
        record = own.with_name(f"{own.name}.motifs.json")
        page = own.with_name(f"{own.name}.report.html")
        run_command(["report", archive, "-o", page, "-t", target, "--motifs", record, *beside], quiet=quiet)


def run_command(arguments: list[str | Path], *, quiet: bool) -> None:
    """Run a command of ours in a process of its own, which ends where this one is killed.

    Raises
    ------
    click.exceptions.Exit
        With its exit code, where that isn't 0; it has said why.
    SparselrpError
        If it was killed, and so can't have said anything.
    """
    code = code_of([*map(str, arguments), *(["-q"] if quiet else [])])
    if code < 0:
        raise SparselrpError(
            f"'sparselrp {arguments[0]}', which this command runs, was killed by {_name(-code)}"
            f"{', as a system does that is out of memory' if -code == signal.SIGKILL else ''};"
            " run the same command again, with --resume"
        )
    if code != 0:
        raise click.exceptions.Exit(code)


def code_of(given: Sequence[str]) -> int:
    """Run a command of ours in a process of its own: its exit code, or minus the signal that ended it."""
    theirs, ours = os.pipe()
    try:
        # The system closes our end of the pipe however we end.
        process = subprocess.Popen(
            [sys.executable, "-m", "sparselrp_cli", *given], pass_fds=[theirs],
            env={**os.environ, PARENT: str(theirs)},
        )  # fmt: skip
        try:
            return process.wait()
        except BaseException:
            _end(process)
            raise
    finally:
        os.close(theirs)
        os.close(ours)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Let a command end in good order, so that it leaves nothing; kill it where that takes too long."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
