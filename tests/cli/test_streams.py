"""Standard streams that are closed or full: one line where that matters, else the command runs."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.archives import random_rows, write_archive
from helpers.commands import command, left_behind

VERSION, HELP = ("--version",), ("export", "--help")
FULL = "sparselrp: error: standard output can't be written (no space left on device); check where it goes, or"
CLOSED = "sparselrp: error: standard output can't be written (bad file descriptor); check where it goes, or"


def redirected(redirections: str, *given: object, unbuffered: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command from a shell that redirects its streams."""
    command = [sys.executable, "-m", "sparselrp_cli", *map(str, given)]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *command],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "in.h5", random_rows([("chr1", 3), ("chr2", 8)], 8))


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("given", [VERSION, HELP])
@pytest.mark.parametrize(("where", "said"), [(">/dev/full", FULL), (">&-", CLOSED)])
def test_what_cannot_be_printed_is_one_line(unbuffered, given, where, said):
    done = redirected(where, *given, unbuffered=unbuffered)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", ">&-", "<&- >&- 2>&-", "<&-"])
def test_a_command_that_prints_nothing_needs_no_stream(archive, tmp_path, where):
    whole = tmp_path / "whole"
    whole.mkdir()
    assert command("export", archive, "-o", whole / "run", "--formats", "bigwig,modisco-h5") == 0
    out = tmp_path / "out"
    out.mkdir()
    done = redirected(where, "export", archive, "-o", out / "run", "--formats", "bigwig,modisco-h5")
    assert done.returncode == 0
    assert left_behind(out) == left_behind(whole) == ["run.bw", "run.manifest.json", "run.modisco.h5"]
    for name in ("run.bw", "run.modisco.h5"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_a_failure_that_nobody_hears_of_still_has_its_code(tmp_path, where):
    assert redirected(where, "export", tmp_path / "no.h5").returncode == 1


def test_standard_input_that_is_closed_is_said(tmp_path):
    done = redirected("<&-", "evaluate", tmp_path / "no.h5", "--sites", "-")
    assert done.returncode == 1
    assert "internal error" not in done.stderr
