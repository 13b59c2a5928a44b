"""The folder of what is written: made at the start, and left only with something in it."""

from contextlib import ExitStack

import pytest

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.folders import made_folders
from sparselrp_cli.files.lock import locked


def test_folders_are_made_and_stay_after_success(tmp_path):
    with made_folders(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt], ids=lambda kind: kind.__name__)
def test_empty_folders_that_were_made_go_after_a_failure_and_others_stay(tmp_path, error):
    (tmp_path / "there").mkdir()
    with pytest.raises(error), made_folders(tmp_path / "there" / "a" / "b"):
        raise error
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_what_a_failed_block_has_kept_keeps_its_folder(tmp_path):
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(RuntimeError))
        stack.enter_context(made_folders(tmp_path / "a" / "b"))
        (tmp_path / "a" / "x.partial").touch()
        raise RuntimeError
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "x.partial"]


def test_a_prefix_is_held_in_a_folder_that_wasnt_there(tmp_path):
    with locked(tmp_path / "a" / "x"):
        assert len([*(tmp_path / "a").iterdir()]) == 1
    with pytest.raises(RuntimeError), locked(tmp_path / "b" / "x"):
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


def test_a_folder_that_cant_be_made_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match="a part of the path isn't a folder"),
        locked(tmp_path / "file" / "a" / "x"),
    ):
        pass
