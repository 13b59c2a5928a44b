"""Whatever befalls the writer of bigWigs, nothing is left under the name that isn't the whole track."""

import errno
import os
import resource
import signal
import struct
from itertools import islice
from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig
import pytest
from helpers.archives import rows_of_contributions, write_archive
from helpers.commands import error_line, left_behind
from helpers.interruption import send_to_itself

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import OutputError, Stopped
from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.outputs import bigwig
from sparselrp_cli.outputs.bigwig import write_runs
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


@pytest.fixture
def through(monkeypatch):
    """Put something in the place of pybigtools' writer: a function of the path, the writer and its values."""

    def arrange(change):
        class Writer:
            def __init__(self, path):
                self.path, self.writer = path, pybigtools.open(path, "w")

            def write(self, sizes, values):
                change(self.path, lambda v: self.writer.write(sizes, v), values)

        class Library:
            @staticmethod
            def open(path, mode):
                return Writer(path)

        monkeypatch.setattr(bigwig, "pybigtools", Library)

    return arrange


def swallowing(number):
    """A signal that comes as the first value is asked for, which a library takes for the end of them."""

    def change(path, go_on, values):
        try:
            send_to_itself(number)
        except KeyboardInterrupt:
            values = iter(())
        go_on(values)

    return change


STOPPING = [(signal.SIGTERM, Stopped), (signal.SIGUSR1, Stopped), (signal.SIGINT, KeyboardInterrupt)]


@pytest.mark.parametrize(("number", "error"), STOPPING)
def test_a_signal_as_a_bigwig_is_begun_is_raised_and_leaves_nothing(tmp_path, through, number, error):
    through(swallowing(number))
    with pytest.raises(error), stop_request():
        write(tmp_path / "run.bw", some_runs())
    assert left_behind(tmp_path) == []


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
def test_export_that_a_signal_meets_in_the_writer_ends_with_its_code(tmp_path, through, capsys, number, code):
    archive = write_archive(tmp_path / "run.h5", rows_of_contributions([("chr1", 3)], [[1, 2, 3, 4]]))
    through(swallowing(number))
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


def stopping_early(path, go_on, values):
    go_on(islice(values, 4000))


def giving_up(path, go_on, values):
    go_on(iter(()))


def dropping_one(path, go_on, values):
    go_on(value for number, value in enumerate(values) if number != 20_000)


def changing_one(path, go_on, values):
    go_on((c, s, e, v + 1 if s == 4100 else v) for c, s, e, v in values)


def moving_one(path, go_on, values):
    go_on((c, s, e + (e == 3000), v) for c, s, e, v in values)


def cutting_off(path, go_on, values):
    go_on(values)
    os.truncate(path, os.path.getsize(path) // 2)  # noqa: PTH202 - as pybigtools has it, a text


def emptying(path, go_on, values):
    go_on(values)
    os.truncate(path, 0)


def printing(path, go_on, values):
    go_on(values)
    os.write(1, b"Input/output error (os error 5)\n")


def without_end(path, go_on, values):
    go_on(values)
    os.truncate(path, Path(path).stat().st_size - 4)


def miscounting(path, go_on, values):
    go_on(values)
    with Path(path).open("r+b") as file:
        (data,) = struct.unpack_from("<Q", file.read(64), 16)
        file.seek(data)
        file.write(bytes(8))


def with_zeros(at):
    def change(path, go_on, values):
        go_on(values)
        size = os.path.getsize(path)  # noqa: PTH202
        with open(path, "r+b") as file:  # noqa: PTH123
            file.seek(int(at * size))
            file.write(bytes(512))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(stopping_early, "it ends before its values do", id="the writer stops early"),
        pytest.param(giving_up, "it ends before its values do", id="the writer asks for nothing"),
        pytest.param(dropping_one, "it has 35999 of 36000 intervals, or other values", id="one is missing"),
        pytest.param(changing_one, "it has 36000 of 36000 intervals, or other values", id="one is another"),
        pytest.param(moving_one, "it has 36000 of 36000 intervals, or other values", id="one is longer"),
        pytest.param(cutting_off, "it ", id="the file is cut off"),
        pytest.param(emptying, "it ", id="the file is empty"),
        pytest.param(without_end, "it has no end", id="the last bytes are missing"),
        pytest.param(miscounting, "it says that it has another number of blocks", id="the count is wrong"),
        *(
            pytest.param(with_zeros(at), "it|index|block|reader|level", id=f"zeros at {at}")
            for at in (0, 0.2, 0.5, 0.85, 0.95, 0.99)
        ),
    ],
)
def test_a_file_that_is_not_what_was_written_never_gets_its_name(tmp_path, through, change, said):
    through(change)
    with pytest.raises(OutputError, match=rf"run.bw can't be written: read back, .*({said})"):
        write(tmp_path / "run.bw", some_runs())
    assert left_behind(tmp_path) == []


def test_a_write_whose_failure_the_writer_only_prints_is_an_error(tmp_path, through, capfd):
    through(printing)
    with pytest.raises(OutputError, match=r"run\.bw can't be written: Input/output error; check the disk"):
        write(tmp_path / "run.bw", some_runs())
    assert left_behind(tmp_path) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("length", [1, 3])
def test_writes_that_fail_for_a_moment_leave_the_whole_track_or_an_error(tmp_path, monkeypatch, length):
    # A limit on the size of files stands for a disk that is full for a moment, or a network that is away.
    monkeypatch.setattr(bigwig, "require_room", lambda *_: None)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def failing_from(first):
        for number, run_of_values in enumerate(some_runs()):
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (1000 if first <= number < first + length else soft, hard)
            )
            yield run_of_values
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    outcomes = set()
    for first in range(N_RUNS):
        path = tmp_path / f"{first}.bw"
        try:
            write(path, failing_from(first))
        except OutputError:
            outcomes.add("error")
            assert not path.exists()
        else:
            with pyBigWig.open(str(path)) as file:
                assert file.header()["nBasesCovered"] == 3000 * N_RUNS
                assert not np.isnan(file.values("chr1", 4000, 7000, numpy=True)).any()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "error" in outcomes


def test_a_read_that_fails_while_it_is_checked_is_an_error(tmp_path, monkeypatch):
    def failing(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(bigwig, "require_read_back", failing)
    with pytest.raises(OutputError, match=r"run.bw can't be written: Input/output error; check the disk"):
        write(tmp_path / "run.bw", some_runs())
    assert left_behind(tmp_path) == []
