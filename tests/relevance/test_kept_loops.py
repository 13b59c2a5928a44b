"""Compiled loops are kept on disk; where that fails, a run compiles them, and says the folder."""

import logging
import resource
from importlib import import_module
from pathlib import Path

import numba
import pytest
import torch
from helpers.loops import add
from helpers.warming import compile_loops

from sparselrp_cli.relevance import gathered, kernels
from sparselrp_cli.relevance.kernels import compiling
from sparselrp_cli.relevance.kernels.compiling import kept as kept_loop


@pytest.fixture
def warnings(caplog, monkeypatch):
    logger = logging.getLogger("sparselrp")
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.WARNING, "sparselrp")
    return lambda: [record.getMessage() for record in caplog.records]


def kept(folder, pattern):
    return list(folder.rglob(pattern))


def loaded():
    """Compile or load the loop and call it; gives how often it came from the disk."""
    loop = kept_loop(numba.njit(add), add)
    assert loop(2, 3) == 5
    return sum(loop.stats.cache_hits.values())


def test_a_loop_is_compiled_once(loops_folder, warnings):
    assert loaded() == 0
    assert loaded() == 1
    assert warnings() == []


def cut_off(content):
    return content[: len(content) // 2]


def emptied(content):
    return b""


def garbled(content):
    return b"no pickle at all" * 20


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"], ids=["index", "loop"])
@pytest.mark.parametrize("damage", [cut_off, emptied, garbled])
def test_a_damaged_file_is_said_and_written_again(loops_folder, warnings, pattern, damage):
    assert loaded() == 0
    (path,) = kept(loops_folder, pattern)
    path.write_bytes(damage(path.read_bytes()))
    assert loaded() == 0
    assert any(f"compiled loops in {path.parent} can't be read" in said for said in warnings())
    assert loaded() == 1


def test_a_full_disk_is_said_and_leaves_nothing_that_is_in_the_way(loops_folder, warnings):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        assert loaded() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (said,) = warnings()
    assert f"compiled loops in {loops_folder}" in said
    assert "can't be written (file too large)" in said
    assert "NUMBA_CACHE_DIR names another folder" in said
    assert loaded() == 0
    assert loaded() == 1


def test_a_damaged_file_on_a_full_disk_is_no_obstacle(loops_folder, warnings):
    assert loaded() == 0
    (path,) = kept(loops_folder, "*.nbi")
    path.write_bytes(b"")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        assert loaded() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(warnings()) == 2


def test_without_a_place_nothing_is_kept(monkeypatch, warnings):
    def no_place(*_):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("sparselrp_cli.relevance.kernels.compiling._Kept.__init__", no_place)
    assert loaded() == 0
    assert loaded() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_all_loops_are_compiled_before_the_suite_has_workers(monkeypatch, dtype):
    called = set()

    def noting(module, name):
        loop = getattr(module, name)
        return lambda *arrays: called.add((module, name)) or loop(*arrays)

    files = Path(kernels.__file__).parent.glob("*.py")
    modules = [import_module(f"{kernels.__name__}.{p.stem}") for p in files if "triton" not in p.stem]
    loops = [(m, name) for m in modules for name, each in vars(m).items() if hasattr(each, "_cache")]
    # A part of loops, which isn't kept alone, can't be called from here.
    loops = [(m, name) for m, name in loops if isinstance(getattr(m, name)._cache, compiling._Kept)]
    assert len(loops) > 10
    monkeypatch.setattr(gathered, "LEAST_WORK", gathered.LEAST_WORK)
    for module, name in loops:
        monkeypatch.setattr(module, name, noting(module, name))
    compile_loops(dtype)
    assert set(loops) - called == set()
