"""A library's words about a failed write are an error, and never stand beside our one line."""

import errno
import os

import pytest

from sparselrp_cli.files.native_words import kept_words, os_error_in

FULL = b"No space left on device (os error 28)\n"


def write_and_raise(path, words, error):
    """Write with a library that prints, and end with an error."""
    with kept_words(path):
        os.write(2, words)
        raise error


def test_words_of_rust_name_the_systems_error():
    found = os_error_in(
        b'Error while serializing: I/O error: No space left on device (os error 28) at path "x"'
    )
    assert (found.errno, found.strerror) == (errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert os_error_in(b"panicked at bbiwrite.rs:1346") is None


@pytest.mark.parametrize("stream", [1, 2], ids=["standard output", "standard error"])
def test_an_error_that_is_only_printed_is_raised_and_its_words_are_gone(tmp_path, capfd, stream):
    with pytest.raises(OSError, match="No space left") as caught, kept_words(tmp_path / "a"):
        os.write(stream, b"thread panicked at 5\n" + FULL)
    assert caught.value.errno == errno.ENOSPC
    assert capfd.readouterr() == ("", "")


def test_the_printed_error_takes_the_place_of_one_that_says_less(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught:
        write_and_raise(tmp_path / "a", FULL, OSError("its writer gave up"))
    assert str(caught.value.__cause__) == "its writer gave up"


def test_an_error_of_the_system_stays_whatever_is_printed(tmp_path):
    with pytest.raises(OSError, match="Input/output") as caught:
        write_and_raise(tmp_path / "a", FULL, OSError(errno.EIO, os.strerror(errno.EIO)))
    assert caught.value.errno == errno.EIO


def test_where_nothing_is_named_the_disk_is_asked(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with pytest.raises(OSError, match=r"^it ends early$"):
        write_and_raise(tmp_path / "a", b"", OSError("it ends early"))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="quota") as caught:
        write_and_raise(tmp_path / "a", b"", OSError("it ends early"))
    assert caught.value.errno == errno.EDQUOT


def test_other_words_are_passed_on(tmp_path, capfd):
    with kept_words(tmp_path / "a"):
        os.write(1, b"a table\n")
        os.write(2, b"a warning\n")
    assert capfd.readouterr() == ("a table\n", "a warning\n")


@pytest.mark.parametrize("error", [OSError("it ends early"), KeyboardInterrupt()], ids=["an error", "Ctrl-C"])
def test_our_own_lines_are_passed_on_whatever_happens(tmp_path, capfd, error):
    ours = "sparselrp: warning: SIGTERM: finishing the batch\n"
    with pytest.raises(type(error)):
        write_and_raise(tmp_path / "a", f"{ours}thread panicked\n".encode(), error)
    assert capfd.readouterr().err == ours
