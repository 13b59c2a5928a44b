"""What a process may still take: what is free, within the limits of its control groups."""

import weakref
from types import SimpleNamespace

import psutil
import pytest
from torch import nn

from sparselrp_cli.files import control_groups
from sparselrp_cli.model import memory
from sparselrp_cli.model.memory import free_memory, give_back

FREE = 10 << 30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 10 GiB free, whose control groups lie in a folder; what is called with writes them."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=FREE))
    monkeypatch.setattr(control_groups, "_ROOT", tmp_path)
    monkeypatch.setattr(control_groups, "_OWN_GROUPS", tmp_path / "own")

    def write(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{text}\n")

    return write


CASES = {
    "no groups": ("", {}, FREE),
    "no limit": ("0::/job\n", {"job/memory.max": "max", "job/memory.current": 5}, FREE),
    "a limit": ("0::/job\n", {"job/memory.max": 4 << 30, "job/memory.current": 1 << 30}, 3 << 30),
    "of a parent": (
        "0::/slurm/job/step\n",
        {"slurm/job/memory.max": 4 << 30, "slurm/job/memory.current": 3 << 30},
        1 << 30,
    ),
    "of the tightest": (
        "0::/a/b\n",
        {
            "a/memory.max": 8 << 30,
            "a/memory.current": 1 << 30,
            "a/b/memory.max": 2 << 30,
            "a/b/memory.current": 0,
        },
        2 << 30,
    ),
    "first version": (
        "9:memory:/job\n3:cpu:/job\n",
        {"memory/job/memory.limit_in_bytes": 2 << 30, "memory/job/memory.usage_in_bytes": 1 << 30},
        1 << 30,
    ),
    "first version, none": (
        "9:memory:/job\n",
        {"memory/job/memory.limit_in_bytes": 9223372036854771712, "memory/job/memory.usage_in_bytes": 1},
        FREE,
    ),
    "in a container": (
        "0::/docker/4711\n",
        {"memory.max": 4 << 30, "memory.current": 1 << 30},
        3 << 30,
    ),
    "more taken than allowed": (
        "0::/job\n",
        {"job/memory.max": 1 << 30, "job/memory.current": 2 << 30},
        0,
    ),
    "unreadable": ("0::/job\n", {"job/memory.max": "much", "job/memory.current": 5}, FREE),
}


@pytest.mark.parametrize(("own", "files", "free"), CASES.values(), ids=CASES.keys())
def test_what_is_free_is_what_the_machine_and_the_groups_leave(machine, own, files, free):
    machine(own, files)
    assert free_memory() == free


def test_without_control_groups_what_is_available_is_free(machine):
    assert free_memory() == FREE


def test_here_some_memory_is_free_and_less_than_there_is():
    assert 0 < free_memory() <= psutil.virtual_memory().total


@pytest.mark.parametrize(("large", "gone"), [(1, True), (1 << 40, False)])
def test_copies_that_refer_to_themselves_go_where_the_module_is_large(monkeypatch, large, gone):
    monkeypatch.setattr(memory, "LARGE", large)
    copied = nn.Linear(2, 2)
    copied.itself = [copied]
    seen = weakref.ref(copied)
    del copied
    give_back(nn.Linear(2, 2))
    assert (seen() is None) == gone
