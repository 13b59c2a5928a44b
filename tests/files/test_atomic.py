"""Files get their name when complete, and never before."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import REMEDIES, hidden_name, replacing, temporary


def test_the_file_appears_under_its_name_only_at_the_end(tmp_path):
    path = tmp_path / "out.txt"

    with replacing(path) as hidden:
        hidden.write_text("half")
        assert not path.exists()
        assert hidden.parent == tmp_path
        assert hidden.name.startswith(".")

    assert path.read_text() == "half"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "out"
    message = "out is being written by another process; wait for it, or choose another name"

    with replacing(path) as hidden:
        hidden.write_text("first")
        with pytest.raises(OutputError, match=message), replacing(path):
            pytest.fail("the block ran")

    assert path.read_text() == "first"


def test_what_a_killed_writer_left_is_written_over(tmp_path):
    path = tmp_path / "out"
    code = f"""
import os, signal
from sparselrp_cli.files.atomic import replacing
with replacing({str(path)!r}) as hidden:
    hidden.write_text("much more than half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    (left,) = tmp_path.iterdir()

    with replacing(path) as hidden:
        assert hidden == left
        assert not hidden.read_text()
        hidden.write_text("whole")

    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_planted_link_in_the_place_of_the_hidden_file_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    hidden_name(tmp_path / "out", "tmp").symlink_to(target)

    with pytest.raises(OutputError, match="out can't be written"), replacing(tmp_path / "out"):
        pytest.fail("the block ran")

    assert target.read_text() == "mine"


def write_half(path, failure):
    with replacing(path) as hidden:
        hidden.write_text("half")
        raise failure


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_any_failure_leaves_what_stood_there(tmp_path, failure):
    path = tmp_path / "out.txt"
    path.write_text("before")

    with pytest.raises(failure):
        write_half(path, failure)

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", sorted(REMEDIES))
def test_an_operating_system_error_becomes_one_line_with_the_remedy(tmp_path, number):
    path = tmp_path / "out"

    with pytest.raises(OutputError) as caught, replacing(path):
        raise OSError(number, os.strerror(number))

    assert str(caught.value) == f"{path} can't be written: {REMEDIES[number]}"


def test_an_error_without_a_remedy_is_still_one_line(tmp_path):
    with pytest.raises(OutputError) as caught, replacing(tmp_path / "out"):
        raise OSError("odd\nthing")

    assert (
        str(caught.value)
        == f"{tmp_path / 'out'} can't be written: odd thing; check the disk, or write elsewhere"
    )


def test_a_full_device_is_named(tmp_path):
    message = r"out can't be written: no space is left on the disk; free some"
    with pytest.raises(OutputError, match=message), replacing(tmp_path / "out"):
        Path("/dev/full").write_text("x")


def test_a_missing_folder_is_told_before_the_work(tmp_path):
    path = tmp_path / "no" / "out"

    with pytest.raises(OutputError, match="the folder doesn't exist; create it first"), replacing(path):
        pytest.fail("the block ran")


def test_a_folder_under_the_name_is_told_before_the_work(tmp_path):
    with pytest.raises(OutputError, match="a folder has this name; choose another name"), replacing(tmp_path):
        pytest.fail("the block ran")


def test_a_part_of_the_path_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match="isn't a folder"), replacing(tmp_path / "file" / "out"):
        pytest.fail("the block ran")


def test_a_name_that_is_too_long_is_told_before_the_work(tmp_path):
    with (
        pytest.raises(OutputError, match="too long; choose a shorter one"),
        replacing(tmp_path / ("x" * 256)),
    ):
        pytest.fail("the block ran")


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / ("x" * 255)

    with replacing(path) as hidden:
        hidden.write_text("long")

    assert path.read_text() == "long"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_told(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)

    with pytest.raises(OutputError, match="permission denied"), replacing(folder / "out"):
        pytest.fail("the block ran")


def test_a_device_is_never_replaced():
    message = "/dev/null can't be written: it is a device or a pipe; name a regular file"
    with pytest.raises(OutputError, match=message), replacing("/dev/null"):
        pytest.fail("the block ran")


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "scratch").mkdir()
    target, link = tmp_path / "scratch" / "real", tmp_path / "link"
    link.symlink_to(target)

    with replacing(link) as hidden:
        hidden.write_text("new")

    assert link.is_symlink()
    assert target.read_text() == "new"


def test_the_file_has_the_mode_that_the_user_asked_for(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "out"):
            pass
    finally:
        os.umask(before)

    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


def test_errors_of_other_code_stay_as_they_are_in_a_temporary(tmp_path):
    with pytest.raises(FileNotFoundError), temporary(tmp_path / "out"):
        raise FileNotFoundError(errno.ENOENT, "genome.fa")


@pytest.mark.parametrize("call", ["ftruncate", "fsync"])
def test_a_call_that_fails_leaves_no_hidden_file(tmp_path, monkeypatch, call):
    def failing(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, failing)
    with (
        pytest.raises(OutputError, match="out can't be written: no space is left"),
        replacing(tmp_path / "out"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_on_the_disk_is_written_whatever_closing_says(tmp_path, monkeypatch):
    close = os.close

    def failing(descriptor):
        close(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with replacing(tmp_path / "out") as hidden:
        hidden.write_text("whole")
        monkeypatch.setattr(os, "close", failing)
    assert (tmp_path / "out").read_text() == "whole"
