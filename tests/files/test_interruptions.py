"""Whichever instruction a signal meets, no hidden file is left, and a final name holds a whole file."""

import signal
import sys
import threading
import weakref
from pathlib import Path

import pytest

from sparselrp_cli.errors import Stopped
from sparselrp_cli.files import atomic, folders, interruptions, lock
from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.folders import made_folders
from sparselrp_cli.files.interruptions import cleaned_up, let_go
from sparselrp_cli.files.lock import locked
from sparselrp_cli.model import whole_folders
from sparselrp_cli.model.whole_folders import whole_folder
from sparselrp_cli.runs.stopping import stop_request

TRACED = frozenset(
    module.__file__
    for module in (atomic, folders, interruptions, lock, whole_folders, sys.modules["contextlib"])
)


EVERY = [31, pytest.param(1, marks=pytest.mark.slow)]


class Signalling:
    """Sends SIGUSR1 before the instruction of a number, of those that modules of ours and contextlib run."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def __call__(self, frame, event, _):
        if frame.f_code.co_filename not in TRACED:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.seen += 1
            if self.seen - 1 == self.at:
                signal.raise_signal(signal.SIGUSR1)
        return self


def interrupted(block, at: int) -> int:
    """Run a block and send SIGUSR1 at an instruction; give how many there are, or -1 where it was stopped."""
    signalling, before = Signalling(at), sys.gettrace()
    try:
        with stop_request():
            sys.settrace(signalling)
            try:
                block()
            finally:
                sys.settrace(before)
    except Stopped as error:
        let_go(error)
        return -1
    return signalling.seen


def write_file(folder: Path) -> None:
    with locked(folder / "run"), replacing(folder / "run.txt") as hidden:
        hidden.write_text("new")


def write_folder(folder: Path) -> None:
    with whole_folder(folder / "model", force=True, maker="pack") as hidden:
        hidden.mkdir()
        (hidden / "model.json").write_text("new")


def make_folders(folder: Path) -> None:
    with made_folders(folder / "a" / "b"), cleaned_up(lambda: (folder / "a/b/c").unlink(missing_ok=True)):
        (folder / "a/b/c").write_text("of this block alone")


def contents(folder: Path) -> dict[str, str | None]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


BLOCKS = {
    "a file under a lock": (write_file, {"run.txt": "{}"}),
    "a model folder": (write_folder, {"model": None, "model/model.json": "{}"}),
}


def filled(names: dict[str, str | None], text: str) -> dict[str, str | None]:
    return {name: value and value.format(text) for name, value in names.items()}


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread"
)
@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("name", BLOCKS)
def test_a_signal_at_any_instruction_leaves_the_file_before_or_the_new_one_alone(tmp_path, name, every):
    write, names = BLOCKS[name]
    count = number_of_instructions(write, tmp_path / "counted")
    assert count > 300
    found = set()
    for at in range(0, count, every):
        folder = tmp_path / "tried"
        lay(folder, names)
        interrupted(lambda folder=folder: write(folder), at)
        now = contents(folder)
        assert now in (filled(names, "old"), filled(names, "new")), f"instruction {at} of {count}"
        found.add(str(now))
    assert len(found) == 2


@pytest.mark.parametrize("every", EVERY)
def test_a_signal_at_any_instruction_leaves_no_folder_that_is_empty(tmp_path, every):
    count = number_of_instructions(make_folders, tmp_path / "counted")
    assert count > 100
    for at in range(0, count, every):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        stopped = interrupted(lambda folder=folder: make_folders(folder), at) < 0
        assert contents(folder) in ({}, {"a": None, "a/b": None}), f"instruction {at} of {count}"
        assert stopped


def number_of_instructions(write, folder: Path) -> int:
    folder.mkdir()
    return interrupted(lambda: write(folder), -1)


def lay(folder: Path, names: dict[str, str | None]) -> None:
    for name, value in names.items():
        if value is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("old")


def test_a_signal_in_a_destructor_is_raised_at_the_end_and_python_says_nothing_of_it(capfd):
    class Watched:
        pass

    went_on = []

    def lose_an_exception() -> None:
        watched = Watched()
        ended = weakref.ref(watched, lambda _: signal.raise_signal(signal.SIGUSR1))
        del watched
        went_on.append(ended() is None)

    with pytest.raises(Stopped), stop_request():
        lose_an_exception()
    assert went_on == [True]
    assert capfd.readouterr().err == ""


def test_what_fails_in_a_destructor_that_a_signal_cut_short_is_not_told(capfd):
    """A library's destructor may leave what it destroys by halves, and fail when it is called again."""

    class Halved:
        left = 2

        def __del__(self) -> None:
            if self.left == 2:
                signal.raise_signal(signal.SIGUSR1)
            raise ValueError("half of it is gone")

    def lose_two() -> None:
        Halved()
        halved = Halved()
        halved.left = 1
        del halved

    with pytest.raises(Stopped), stop_request():
        lose_two()
    assert capfd.readouterr().err == ""


def test_other_errors_of_destructors_are_told_as_ever(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(lost.exc_type))
    with stop_request():
        hook = sys.unraisablehook
        watched = type("Watched", (), {})()
        ended = weakref.ref(watched, lambda _: 1 / 0)
        del watched
        assert ended() is None
    assert told == [ZeroDivisionError]
    assert sys.unraisablehook is not hook
