"""The lock of a prefix holds with or without the note of who has it."""

import errno
import os

import pytest

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.lock import locked


@pytest.mark.parametrize("call", ["write", "ftruncate", "close"])
def test_a_lock_whose_note_cannot_be_written_holds_all_the_same(tmp_path, monkeypatch, call):
    real = getattr(os, call)

    def failing(descriptor, *given):
        if call == "close":
            real(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with locked(tmp_path / "run"):
            patch.setattr(os, call, real)
            with pytest.raises(OutputError, match="another run is writing"), locked(tmp_path / "run"):
                pytest.fail("the block ran")
            patch.setattr(os, call, failing)
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "run"):
        pass
