"""Whichever call fails, a command says so in a line and leaves whole files, and gives the same bytes again.

What fails here are Python's own calls. benchmarks/robustness/faults.py lets those of libraries fail as well.
"""

import errno
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.commands import attribute, command, error_line
from helpers.tiny_net import MODEL

from benchmarks.robustness.failing_disk import why_not

ROOT = Path(__file__).parents[2]
CALLS = {
    "fsync": (os, "fsync"),
    "truncate": (os, "ftruncate"),
    "rename": (Path, "replace"),
    "open": (os, "open"),
}
COMMANDS = {
    "export": ("export", "run.h5", "--formats", "bigwig,bedgraph,finemo,modisco-h5", "-q"),
    "merge": ("merge", "part1.h5", "part2.h5", "-o", "whole", "-q"),
    "shuffle": ("shuffle", "run.h5", "-o", "bg.fa", "-q"),
    "browser": ("browser", "run", "--genome", "dm3", "-q"),
    "plot": ("plot", "run.h5", "chr1:121-130", "-o", "site.svg", "-q"),
}


@pytest.fixture(scope="module")
def explained(tmp_path_factory, genome):
    """A folder with a run and its two shards."""
    folder = tmp_path_factory.mktemp("runs")
    peaks = folder / "peaks.bed"
    peaks.write_text("chr1\t100\t140\ta\t0\t+\nchr1\t110\t150\tb\t0\t-\n")
    given = (genome, "-r", peaks, "-m", MODEL, "-t", "0", "-q", "--formats", "h5,bigwig", "-b", "1")
    assert attribute(*given, "-o", folder / "run") == 0
    for number in (1, 2):
        assert attribute(*given, "-o", folder / f"part{number}", "--shard", f"{number}/2") == 0
    return folder


class Disk:
    """Lets the call of a number fail, and counts."""

    def __init__(self, patch: pytest.MonkeyPatch, call: str, at: int) -> None:
        self.number = 0
        place, name = CALLS[call]
        real = getattr(place, name)

        def calling(*given, **named):
            if name == "open" and not given[1] & (os.O_WRONLY | os.O_RDWR):
                return real(*given, **named)
            self.number += 1
            if self.number - 1 == at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*given, **named)

        patch.setattr(place, name, calling)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_call_that_fails_is_a_line_and_no_half_file(explained, tmp_path, monkeypatch, capsys, name, call):
    def fresh(number):
        folder = tmp_path / "work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(explained, folder)
        monkeypatch.chdir(folder)
        with monkeypatch.context() as patch:
            disk = Disk(patch, call, number)
            return command(*COMMANDS[name]), disk.number, contents(folder)

    code, count, whole = fresh(-1)
    assert code == 0
    for number in range(0, count, max(1, count // 5)):
        before = contents(explained)
        code, _, left = fresh(number)
        said = capsys.readouterr().err
        if code == 0:
            assert left == whole
            continue
        assert code == 1
        assert said.count("sparselrp: error:") == 1
        assert "can't be" in said
        assert "nput/output error" in said
        assert all(content in (whole.get(file), before.get(file)) for file, content in left.items())
        assert command(*COMMANDS[name]) == 0
        assert contents(tmp_path / "work") == whole


def test_a_run_that_cannot_begin_its_journal_says_so(tmp_path, genome, peaks, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sparselrp_cli.runs.journal.Journal._cut_to_what_is_whole", full)
    assert attribute(genome, "-r", peaks, "-m", MODEL, "-t", "0", "-q", "-o", tmp_path / "run") == 1
    assert "run.partial can't be written: no space is left on the disk" in error_line(capsys)


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("name", ["export", "pack"])
def test_faults_and_kills_under_every_library_lose_nothing(name):
    options = ["--command", name, "--at-most", "2", "--kills", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.robustness.faults", *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    summed_up = done.stdout.splitlines()[-1].split()
    assert summed_up[:1] == [name]
    assert [number for number, what in pairwise(summed_up) if what in ("kills", "wrong")] == ["4", "0"]
    assert summed_up[-4:] == ["23", "of", "23", "kinds"]
