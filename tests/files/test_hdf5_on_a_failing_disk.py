"""HDF5 files on disks that fail: an error and no file, a process that goes on, and whole files afterwards."""

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
from helpers.archives import random_rows, write_archive
from helpers.commands import error_line, left_behind
from helpers.interruption import send_to_itself

from sparselrp_cli.cli.main import run
from sparselrp_cli.errors import OutputError, Stopped
from sparselrp_cli.files import hdf5
from sparselrp_cli.files.atomic import REMEDIES, replacing
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.motif_files import write_modisco_h5
from sparselrp_cli.runs.stopping import stop_request

pytestmark = pytest.mark.usefixtures("interruptible")

ROWS = random_rows([("chr1", s) for s in range(0, 40_000, 500)], 500, zero_share=0)
SIZES = {"chr1": 40_000}
PWRITE = os.pwrite


def an_archive(path):
    write_archive(path, ROWS, step=32, sizes=SIZES)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "run.h5"
    an_archive(path)
    return path


@pytest.fixture
def writers(archive):
    """Everything that writes HDF5, by name."""

    def modisco(path):
        with ArchiveReader(archive) as reader:
            write_modisco_h5(reader, path)

    def any_file(path):
        with replacing(path) as hidden, hdf5.created(hidden) as output:
            data = output.file.create_dataset("x", (40, 5000), "f8", chunks=(1, 5000), compression="gzip")
            for row in range(40):
                data[row] = np.random.default_rng(row).random(5000)
                output.require_written()

    return {"archive": an_archive, "modisco": modisco, "any": any_file}


class Disk:
    """`os.pwrite` that fails, or writes less than it was given, from one call to before another."""

    def __init__(self, first, last, failure):
        self.first, self.last, self.failure, self.calls = first, last, failure, 0
        self.write = PWRITE

    def __call__(self, descriptor, piece, at):
        self.calls += 1
        if not self.first <= self.calls < self.last:
            return self.write(descriptor, piece, at)
        if self.failure == "short":
            return self.write(descriptor, piece[: max(1, len(piece) // 2)], at)
        raise OSError(self.failure, os.strerror(self.failure))


def number_of_writes(monkeypatch, write, path):
    disk = Disk(0, 0, errno.EIO)
    monkeypatch.setattr(os, "pwrite", disk)
    write(path)
    return disk.calls


@pytest.mark.parametrize("name", ["archive", "modisco", "any"])
@pytest.mark.parametrize("for_ever", [True, False], ids=["from then on", "once"])
@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_anywhere_is_an_error_and_leaves_no_file(
    tmp_path, monkeypatch, writers, name, for_ever, failure
):
    calls = number_of_writes(monkeypatch, writers[name], tmp_path / "whole.h5")
    whole = (tmp_path / "whole.h5").read_bytes()
    for first in sorted({1, 2, 3, calls // 3, calls // 2, calls - 1, calls}):
        disk = Disk(first, sys.maxsize if for_ever else first + 1, failure)
        monkeypatch.setattr(os, "pwrite", disk)
        with pytest.raises(OutputError) as caught:
            writers[name](tmp_path / "run.h5")
        assert str(caught.value).startswith(f"{tmp_path / 'run.h5'} can't be written: ")
        assert REMEDIES.get(failure, "Input/output error") in str(caught.value)
        assert disk.calls == first, "nothing goes to the disk behind a write that failed"
        assert left_behind(tmp_path) == ["whole.h5"]
    monkeypatch.undo()
    writers[name](tmp_path / "run.h5")
    assert (tmp_path / "run.h5").read_bytes() == whole


@pytest.mark.parametrize("name", ["archive", "modisco", "any"])
def test_a_write_that_takes_less_than_it_is_given_goes_on(tmp_path, monkeypatch, writers, name):
    writers[name](tmp_path / "whole.h5")
    monkeypatch.setattr(os, "pwrite", Disk(0, sys.maxsize, "short"))
    writers[name](tmp_path / "run.h5")
    assert (tmp_path / "run.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


@pytest.mark.parametrize("name", ["archive", "modisco", "any"])
@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Stopped), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_inside_a_write_of_hdf5_is_raised_outside(
    tmp_path, monkeypatch, writers, name, number, error
):
    calls = number_of_writes(monkeypatch, writers[name], tmp_path / "whole.h5")
    monkeypatch.undo()
    for at in (1, calls // 2, calls):
        seen = []

        def write(descriptor, piece, offset, seen=seen, at=at):
            seen.append(offset)
            if len(seen) == at:
                send_to_itself(number)
            return PWRITE(descriptor, piece, offset)

        monkeypatch.setattr(os, "pwrite", write)
        with pytest.raises(error), stop_request():
            writers[name](tmp_path / "run.h5")
        assert left_behind(tmp_path) == ["whole.h5"]


def test_what_could_not_be_written_is_read_back_until_the_end(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setattr(os, "pwrite", Disk(2, sys.maxsize, errno.ENOSPC))
    with hdf5._Disk(path) as disk:
        for at, piece in ((0, b"abcd"), (2, b"XY"), (6, b"gh"), (3, b"Z")):
            disk.seek(at)
            assert disk.write(piece) == len(piece)
        disk.seek(0)
        found = bytearray(8)
        assert disk.readinto(found) == 8
        assert bytes(found) == b"abXZ\0\0gh"
        assert disk.seek(-2, os.SEEK_END) == 6
        assert disk.error.errno == errno.ENOSPC
    assert path.read_bytes() == b"abcd"


def test_a_process_that_met_a_full_disk_ends_in_good_order(tmp_path, archive):
    code = f"""
        import resource, sys
        from sparselrp_cli.cli.main import main
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
        main(["export", {str(archive)!r}, "-o", {str(tmp_path / "run")!r}, "--formats", "modisco-h5"])
    """
    done = subprocess.run(
        # Python would keep compiled files as long as the limit allows, cut off.
        [sys.executable, "-B", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        f"sparselrp: error: {tmp_path / 'run.modisco.h5'} can't be written: the file grew beyond the size"
        " allowed here; raise the limit, or write elsewhere\n"
    )
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("formats", ["bigwig", "bedgraph", "modisco", "modisco-h5"])
def test_every_format_on_a_full_disk_is_one_line_and_no_file(tmp_path, archive, capsys, formats):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert run(["export", str(archive), "-o", str(tmp_path / "run"), "--formats", formats]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "the file grew beyond the size allowed here" in error_line(capsys)
    assert left_behind(tmp_path) == []


def test_errors_of_other_code_in_the_block_stay_as_they_are(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match="genome"), hdf5.created(tmp_path / "file"):
        raise FileNotFoundError("genome")


def test_what_is_created_is_plain_hdf5(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    with hdf5.created(tmp_path / "file") as output:
        output.file["x"] = np.arange(10)
    with h5py.File(tmp_path / "file") as file:
        assert file["x"][:].tolist() == list(range(10))
    assert (tmp_path / "file").stat().st_size < 100_000
