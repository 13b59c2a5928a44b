"""A disk that can't take a file is noticed before the file is written."""

import errno
import os
from types import SimpleNamespace

import pytest

from sparselrp_cli.files.free_space import require_room


def test_room_that_is_there_leaves_no_trace(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")

    require_room(path, 1000)

    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == b"abc"


def test_more_than_the_disk_has_is_no_space(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="No space") as caught:
        require_room(tmp_path / "file", 1 << 60)

    assert caught.value.errno == errno.ENOSPC


def fallocate_that_fails(number):
    def fail(descriptor, start, length):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_used_up_quota_is_noticed_though_blocks_are_free(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "posix_fallocate", fallocate_that_fails(errno.EDQUOT))

    with pytest.raises(OSError, match="quota") as caught:
        require_room(tmp_path / "file", 1)

    assert caught.value.errno == errno.EDQUOT


def test_a_file_system_that_cannot_reserve_is_trusted(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "posix_fallocate", fallocate_that_fails(errno.EOPNOTSUPP))

    require_room(tmp_path / "file", 1)


def test_free_blocks_decide_where_nothing_can_be_reserved(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=1000, f_frsize=4096))

    with pytest.raises(OSError, match="No space"):
        require_room(tmp_path / "file", 1)
