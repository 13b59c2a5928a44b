"""The suite itself: ids and examples that are always the same, and an interruption that is no failure."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
COMMAND = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
A_DAY_LATER = """
import time

_time = time.time
time.time = lambda: _time() + 86_400
"""
INTERRUPTED = """
import time
from pathlib import Path

import pytest

from sparselrp_cli.errors import Stopped
from sparselrp_cli.runs.stopping import stop_request


def test_a_command_that_stops_in_good_order():
    with pytest.raises(Stopped), stop_request():
        Path("ready").touch()
        time.sleep(60)
    pytest.fail("the command has stopped")


def test_the_next():
    pass
"""


def test_ids_are_the_same_in_every_process(tmp_path):
    """Another order of hashes, another clock, another folder for temporary files."""
    (tmp_path / "a_day_later.py").write_text(A_DAY_LATER)
    collecting = [*COMMAND, "--collect-only", "-p", "no:xdist"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    found = []
    for seed, plugins in (("1", []), ("2", ["-p", "a_day_later"])):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TMPDIR": str(folder), "PYTHONPATH": path}
        done = subprocess.run(
            [*collecting, *plugins],
            cwd=TESTS.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.append([line for line in done.stdout.splitlines() if "::" in line])
    assert len(found[0]) > 1000
    assert found[0] == found[1]


def test_every_law_is_tried_on_the_same_examples_however_long_it_takes():
    said = re.compile(r"deadline=|derandomize=")
    files = {
        path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py") if said.search(path.read_text())
    }
    assert files - {Path(__file__).name} == {"conftest.py"}, "the profile in conftest.py holds for every law"


@pytest.mark.parametrize("plugin", [["-p", "no:xdist"], ["-n", "1"]], ids=["alone", "worker"])
def test_a_session_that_is_stopped_is_interrupted_and_no_test_has_failed(tmp_path, plugin):
    (tmp_path / "test_stopped.py").write_text(INTERRUPTED)
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    command = [*COMMAND, "-p", "helpers.interruption", *plugin]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    ) as session:
        deadline = time.monotonic() + 120
        while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        session.send_signal(signal.SIGTERM)
        said, _ = session.communicate(timeout=120)
    assert session.returncode == pytest.ExitCode.INTERRUPTED
    assert "SIGTERM" in said
    assert not re.search(r"\d (failed|passed)", said)
