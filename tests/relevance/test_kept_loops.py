"""Compiled loops are kept on disk; where that fails, a run compiles them, and says the folder."""

import logging
import resource

import numba
import pytest

from sparselrp_cli.relevance.kernels.compiling import compiled


def add(x, y):
    return x + y


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return tmp_path


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
    loop = compiled(parallel=False)(add)
    assert loop(2, 3) == 5
    return sum(loop.stats.cache_hits.values())


def test_a_loop_is_compiled_once(folder, warnings):
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
def test_a_damaged_file_is_said_and_written_again(folder, warnings, pattern, damage):
    assert loaded() == 0
    (path,) = kept(folder, pattern)
    path.write_bytes(damage(path.read_bytes()))
    assert loaded() == 0
    assert any(f"compiled loops in {path.parent} can't be read" in said for said in warnings())
    assert loaded() == 1


def test_a_full_disk_is_said_and_leaves_nothing_that_is_in_the_way(folder, warnings):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        assert loaded() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (said,) = warnings()
    assert f"compiled loops in {folder}" in said
    assert "can't be written (file too large)" in said
    assert "NUMBA_CACHE_DIR names another folder" in said
    assert loaded() == 0
    assert loaded() == 1


def test_a_damaged_file_on_a_full_disk_is_no_obstacle(folder, warnings):
    assert loaded() == 0
    (path,) = kept(folder, "*.nbi")
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
