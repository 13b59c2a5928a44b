"""Where no folder can be written, libraries that write nothing work, and others end with one line."""

import tempfile

import pytest

from sparselrp_cli.cli import main
from sparselrp_cli.cli.main import run
from sparselrp_cli.cli.scratch import has_scratch, settle_scratch


@pytest.fixture
def nowhere(monkeypatch):
    """No folder for temporary files."""
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_a_folder_is_named_where_none_can_be_written(nowhere):
    assert not has_scratch()
    settle_scratch()
    assert tempfile.gettempdir()
    assert not has_scratch()


def test_the_folder_stays_where_one_can_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settle_scratch()
    assert tempfile.gettempdir() == str(tmp_path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError("Matplotlib requires access to a writable cache directory"),
            "no folder for temporary files can be written (Matplotlib requires access to a writable cache"
            " directory...); set TMPDIR to one that can",
        ),
        (
            RuntimeError("cannot cache function 'f': no locator available for file 'f.py'"),
            "numba finds no folder to keep what it compiles (cannot cache function 'f': no locator available"
            " for file 'f.py'); set NUMBA_CACHE_DIR to one",
        ),
    ],
)
def test_a_library_that_can_write_nowhere_is_no_internal_error(nowhere, monkeypatch, capsys, error, said):
    def fail(_):
        raise error

    monkeypatch.setattr(main, "require_addresses", fail)
    assert run(["export", "run.h5"]) == 1
    assert capsys.readouterr().err == f"sparselrp: error: {said}\n"


def test_an_error_of_the_system_with_a_folder_at_hand_is_a_fault_of_ours(monkeypatch, capsys):
    def fail(_):
        raise OSError("something")

    monkeypatch.setattr(main, "require_addresses", fail)
    assert run(["export", "run.h5"]) == 1
    assert "internal error (OSError: something)" in capsys.readouterr().err
