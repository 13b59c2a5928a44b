"""A command that another one starts ends with it, and its exit code is the other's."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from sparselrp_cli.cli import following
from sparselrp_cli.cli.following import run_command
from sparselrp_cli.errors import SparselrpError

SLOW = """
import os, pathlib, time
pathlib.Path({file!r}).write_text(str(os.getpid()))
time.sleep(60)
"""
SECONDS = 30


@pytest.fixture
def started(tmp_path):
    """A process that has started a command, which loads a model for a minute; and the command's id."""
    file = tmp_path / "pid"
    (tmp_path / "slow.py").write_text(SLOW.format(file=str(file)))
    code = (
        "from sparselrp_cli.cli.following import run_command\n"
        f"run_command(['inspect', {str(tmp_path / 'slow.py')!r} + ':Net'], quiet=True)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(lambda: file.exists() and file.read_text())
        yield parent, int(file.read_text())
    finally:
        parent.kill()
        parent.communicate()


def wait_until(happened):
    end = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_ends_where_the_one_that_started_it_is_killed(started, number):
    parent, command = started
    assert is_running(command)
    parent.send_signal(number)
    wait_until(lambda: not is_running(command))


def test_the_exit_code_of_a_command_is_handed_on(tmp_path, capfd):
    with pytest.raises(click.exceptions.Exit) as caught:
        run_command(["export", tmp_path / "no.h5"], quiet=True)
    assert caught.value.exit_code == 1
    assert "no.h5: no such file" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            signal.SIGKILL,
            "was killed by SIGKILL, as a system does that is out of memory; run the same command",
        ),
        (signal.SIGSEGV, "was killed by SIGSEGV; run the same command again, with --resume"),
        (signal.SIGRTMIN + 3, f"was killed by signal {signal.SIGRTMIN + 3}; run the same command again"),
    ],
)
def test_a_command_that_was_killed_is_named_with_the_signal(monkeypatch, number, said):
    monkeypatch.setattr(following, "code_of", lambda given: -int(number))
    with pytest.raises(SparselrpError) as caught:
        run_command(["motifs", Path("run.h5")], quiet=True)
    assert str(caught.value).startswith("'sparselrp motifs', which this command runs, was killed by ")
    assert said in str(caught.value)


@pytest.mark.parametrize("given", ["", "x", "-1", "99999", "0"])
def test_a_number_that_is_no_pipe_is_not_waited_for(given):
    done = subprocess.run(
        [sys.executable, "-m", "sparselrp_cli", "--version"], stdin=subprocess.DEVNULL, capture_output=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path), "SPARSELRP_PARENT": given}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
