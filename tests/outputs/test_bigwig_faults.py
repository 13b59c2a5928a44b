"""Whatever befalls the writer of bigWigs, nothing is left under the name that isn't the whole track."""

import errno
import io
import os
import signal
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from helpers.archives import rows_of_contributions, write_archive
from helpers.commands import error_line, left_behind
from helpers.interruption import send_to_itself

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import OutputError, Stopped
from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.outputs.bigwig import packing, write_runs, writer, zoom
from sparselrp_cli.outputs.track_runs import Run
from sparselrp_cli.runs.stopping import stop_request

pytestmark = pytest.mark.usefixtures("interruptible")

SIZES = {"chr1": 400_000, "empty": 9, "chr2": 50_000}
N_RUNS = 12


def some_runs(happen=None, at=None):
    """Runs on two chromosomes, more than one block of the file each; something happens before one of them."""
    rng = np.random.default_rng(0)
    for number in range(N_RUNS):
        if number == at:
            happen()
        chrom = "chr1" if number < N_RUNS - 1 else "chr2"
        yield Run(chrom, 4000 * number, rng.normal(size=3000).astype(np.float32))


def write(path, runs):
    with replacing(path, "tmp.bw") as hidden:
        write_runs(hidden, SIZES, runs)


STOPPING = [(signal.SIGTERM, Stopped), (signal.SIGUSR1, Stopped), (signal.SIGINT, KeyboardInterrupt)]


@pytest.mark.parametrize("at", range(0, N_RUNS, 4))
@pytest.mark.parametrize(("number", "error"), STOPPING)
def test_a_signal_among_the_values_is_raised_and_leaves_what_stood_there(tmp_path, number, error, at):
    (tmp_path / "run.bw").write_text("before")
    with pytest.raises(error), stop_request():
        write(tmp_path / "run.bw", some_runs(lambda: send_to_itself(number), at))
    assert (tmp_path / "run.bw").read_text() == "before"


def test_a_signal_whose_handler_raises_nothing_does_not_cost_the_file(tmp_path):
    came = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: came.append(number))
    try:
        write(tmp_path / "run.bw", some_runs(lambda: os.kill(os.getpid(), signal.SIGUSR1), 3))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert came == [signal.SIGUSR1]
    with pyBigWig.open(str(tmp_path / "run.bw")) as file:
        assert file.header()["nBasesCovered"] == 3000 * N_RUNS


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_export_that_a_signal_meets_in_the_writer_ends_with_its_code(
    tmp_path, monkeypatch, capsys, number, code
):
    archive = write_archive(tmp_path / "run.h5", rows_of_contributions([("chr1", 3)], [[1, 2, 3, 4]]))
    monkeypatch.setattr(writer, "index_of", lambda *_: send_to_itself(number))
    assert run(["export", str(archive), "--formats", "bigwig"]) == code
    assert "nothing that isn't complete was left" in error_line(capsys)
    assert left_behind(tmp_path) == ["run.h5"]


def test_an_exception_that_is_lost_on_its_way_still_ends_the_command(tmp_path, capsys, monkeypatch):
    archive = write_archive(tmp_path / "run.h5", rows_of_contributions([("chr1", 3)], [[1, 2, 3, 4]]))

    def losing(*_):
        try:
            send_to_itself(signal.SIGTERM)
        except Stopped:
            return []

    monkeypatch.setattr("sparselrp_cli.runs.exporting.export_files", losing)
    assert run(["export", str(archive)]) == 75
    assert "stopped" in error_line(capsys)


@pytest.mark.parametrize("failure", [ValueError, OutputError, KeyboardInterrupt, SystemExit])
def test_an_exception_among_the_values_is_raised(tmp_path, failure):
    def happen():
        raise failure("it")

    with pytest.raises(failure, match="it"):
        write(tmp_path / "run.bw", some_runs(happen, 5))
    assert left_behind(tmp_path) == []


def test_an_error_of_a_thread_that_packs_is_raised(tmp_path, monkeypatch):
    def failing(batch):
        raise MemoryError("no room for it")

    monkeypatch.setattr(packing, "bins_of", failing)
    with pytest.raises(MemoryError, match="no room for it"):
        write(tmp_path / "run.bw", some_runs())
    assert left_behind(tmp_path) == []


class Failing(io.FileIO):
    """A file for which the k-th call to the system fails, or writes less than was asked for."""

    calls = fails_at = 0
    short = False

    def write(self, content):
        Failing.calls += 1
        if Failing.calls != Failing.fails_at:
            return super().write(content)
        if Failing.short:
            return super().write(bytes(content)[:7])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def failing(monkeypatch):
    """Let the k-th write to the file of a track fail, or be short; zoom levels don't stay in memory."""
    monkeypatch.setattr(zoom, "IN_MEMORY", 1)

    def arrange(fails_at, *, short=False):
        Failing.calls, Failing.fails_at, Failing.short = 0, fails_at, short

    before = Path.open

    def opened(path, mode="r", **more):
        return io.BufferedWriter(Failing(path, "w"), 1024) if mode == "wb" else before(path, mode, **more)

    monkeypatch.setattr(Path, "open", opened)
    return arrange


def test_whichever_write_fails_is_told_and_nothing_is_left(tmp_path, failing):
    failing(0)
    write(tmp_path / "run.bw", some_runs())
    whole, n_calls = (tmp_path / "run.bw").read_bytes(), Failing.calls
    assert n_calls > 20
    for k in range(1, n_calls + 1):
        (tmp_path / "run.bw").unlink(missing_ok=True)
        failing(k)
        with pytest.raises(OutputError, match=r"run\.bw can't be written: no space is left on the disk"):
            write(tmp_path / "run.bw", some_runs())
        assert left_behind(tmp_path) == []
        failing(k, short=True)
        write(tmp_path / "run.bw", some_runs())
        assert (tmp_path / "run.bw").read_bytes() == whole


def test_a_zoom_level_that_does_not_fit_on_the_disk_is_told(tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(zoom, "_file_aside", lambda folder: Full())
    with pytest.raises(OutputError, match=r"run\.bw can't be written: no space is left on the disk"):
        write(tmp_path / "run.bw", some_runs())
    assert left_behind(tmp_path) == []
