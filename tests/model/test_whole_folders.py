"""Model folders are whole or not there, whatever befalls their writer."""

import errno
import os
import re
from pathlib import Path

import pytest
import torch
from helpers.commands import command, error_line, left_behind
from helpers.tiny_net import MODEL
from safetensors import SafetensorError

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import hidden_name
from sparselrp_cli.model import whole_folders
from sparselrp_cli.model.whole_folders import save_weights, whole_folder


def write(folder: Path, text: str = "new", force: bool = True) -> None:
    with whole_folder(folder, force=force, maker="pack") as hidden:
        hidden.mkdir()
        (hidden / "model.json").write_text(text)


@pytest.fixture
def packed(tmp_path):
    """A model folder ``net`` that is there."""
    write(tmp_path / "net", "old")
    return tmp_path / "net"


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


def test_what_a_killed_writer_left_goes_with_the_next(packed):
    for ending in ("part", "old"):
        left = hidden_name(packed, ending)
        left.mkdir()
        (left / "model.json").write_text("half")
    write(packed)
    assert left_behind(packed.parent) == ["net"]
    assert (packed / "model.json").read_text() == "new"


def test_what_a_killed_writer_had_put_aside_gets_its_name_back(packed):
    packed.rename(hidden_name(packed, "old"))
    with pytest.raises(ZeroDivisionError), whole_folder(packed, force=True, maker="pack"):
        raise ZeroDivisionError
    assert left_behind(packed.parent) == ["net"]
    assert (packed / "model.json").read_text() == "old"


def test_two_writers_of_one_folder_do_not_meet(packed):
    with whole_folder(packed, force=True, maker="pack") as hidden:
        hidden.mkdir()
        with pytest.raises(OutputError, match=r"another run is writing .*net\.\*"):
            write(packed)
    assert left_behind(packed.parent) == ["net"]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_says_late_that_it_is_full_leaves_the_folder_before(packed, monkeypatch, call):
    place = (os, "fsync") if call == "fsync" else (Path, "rename")
    with monkeypatch.context() as patch:
        patch.setattr(*place, failing(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            write(packed)
    assert left_behind(packed.parent) == ["net"]
    assert (packed / "model.json").read_text() == "old"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "I/O error: No space left on device (os error 28)",
            r"net can't be written: no space is left on the disk",
        ),
        (
            "I/O error: Input/output error (os error 5)",
            r"net can't be written: Input/output error; check the disk",
        ),
    ],
)
def test_pack_says_in_one_line_that_its_weights_cannot_be_written(
    tmp_path, monkeypatch, capsys, said, expected
):
    def fail(*_):
        raise SafetensorError(f"Error while serializing: {said}")

    monkeypatch.setattr(whole_folders, "save_file", fail)
    assert command("pack", MODEL, "-o", tmp_path / "net") == 1
    assert re.search(expected, error_line(capsys))
    assert left_behind(tmp_path) == []


def test_an_error_of_safetensors_that_is_not_the_disks_keeps_its_traceback(tmp_path, monkeypatch):
    def fail(*_):
        raise SafetensorError("invalid header")

    monkeypatch.setattr(whole_folders, "save_file", fail)
    with pytest.raises(SafetensorError):
        save_weights({"a": torch.zeros(1)}, tmp_path)
