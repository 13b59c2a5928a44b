"""The suite itself: ids and examples that are always the same, and an interruption that is no failure."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.collecting import COLLECTED, is_whole
from helpers.order import PLACES

TESTS = Path(__file__).parent
COMMAND = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
A_DAY_LATER = """
import time

_time = time.time
time.time = lambda: _time() + 86_400
"""
IMPATIENT = """
from xdist.workermanage import NodeManager

NodeManager.EXIT_TIMEOUT = 0.5  # Ten seconds for a worker that is asleep.
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


CAUGHT = """
import time
from pathlib import Path

try:
    Path("ready").touch()
    time.sleep(60)
except Exception:
    raise ValueError("half imported") from None
"""


def ids_elsewhere(folder: Path, seed: str, *options: str) -> list[str]:
    """The ids of all tests in a process with another order of hashes and another temporary folder."""
    (folder / "a_day_later.py").write_text(A_DAY_LATER)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*COMMAND, "--collect-only", "-p", "no:xdist", *options],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONHASHSEED": seed, "TMPDIR": str(folder), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.slow
def test_ids_are_the_same_in_every_process(request, tmp_path):
    """Another order of hashes, another clock, another folder for temporary files.

    Where there are several workers, pytest-xdist stops if their ids differ.

    A session of all tests has collected them already, in an order of hashes that isn't the fixed one here.
    """
    (first := tmp_path / "first").mkdir()
    (second := tmp_path / "second").mkdir()
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    elsewhere = ids_elsewhere(second, seed, "-p", "a_day_later")
    assert len(elsewhere) > 1000
    if not is_whole(request.config):
        assert ids_elsewhere(first, "3") == elsewhere
        return
    assert sorted(request.config.stash[COLLECTED]) == sorted(elsewhere)
    kept = [item.nodeid for item in request.session.items]
    chosen = set(kept)
    assert kept == [name for name in elsewhere if name in chosen]


def test_what_is_run_first_is_there():
    assert [place for place in PLACES if not place.exists()] == []


def test_every_law_is_tried_on_the_same_examples_however_long_it_takes():
    said = re.compile(r"deadline=|derandomize=")
    files = {
        path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py") if said.search(path.read_text())
    }
    assert files - {Path(__file__).name} == {"conftest.py"}, "the profile in conftest.py holds for every law"


@pytest.mark.parametrize(
    ("code", "plugin"),
    [
        (INTERRUPTED, ["-p", "no:xdist"]),
        (INTERRUPTED, ["-n", "1", "-p", "impatient"]),
        (CAUGHT, ["-p", "no:xdist"]),
    ],
    ids=["alone", "worker", "while it collects"],
)
def test_a_session_that_is_stopped_is_interrupted_and_no_test_has_failed(tmp_path, code, plugin):
    (tmp_path / "test_stopped.py").write_text(code)
    (tmp_path / "impatient.py").write_text(IMPATIENT)
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [*COMMAND, "--basetemp", tmp_path / "temporary", "-p", "helpers.interruption", *plugin]
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
    assert not re.search(r"\d (failed|passed|error)", said)
