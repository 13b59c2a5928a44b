"""Loops of libraries are kept on disk, and nothing wrong there stops a run; that they are made is said."""

import resource
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from helpers.loops import add

from sparselrp_cli.motifs import kept_loops, search
from sparselrp_cli.motifs.formats import KnownMotif

TYPES = numba.int64, numba.int64


def hits(monkeypatch):
    """Keep and call a loop as a new process would; gives how often it came from the disk."""
    loop = numba.njit(add)
    monkeypatch.setattr(kept_loops, "loops", lambda: [(loop, TYPES)])
    kept_loops.keep_loops.__wrapped__()
    assert loop(2, 3) == 5
    return sum(loop.stats.cache_hits.values())


def test_every_loop_that_may_be_kept_is():
    kept_loops.keep_loops()
    loops = [loop for loop, _ in kept_loops.loops()]
    assert loops
    assert [loop for loop in loops if not isinstance(loop._cache, kept_loops._Kept)] == []


def test_a_loop_is_compiled_once(loops_folder, monkeypatch):
    assert hits(monkeypatch) == 0
    assert hits(monkeypatch) == 1


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"], ids=["index", "loop"])
@pytest.mark.parametrize("content", [b"", b"no pickle at all" * 20], ids=["emptied", "garbled"])
def test_what_is_damaged_is_compiled_and_written_again(loops_folder, monkeypatch, pattern, content):
    hits(monkeypatch)
    (path,) = loops_folder.rglob(pattern)
    path.write_bytes(content)
    assert hits(monkeypatch) == 0
    assert hits(monkeypatch) == 1


def test_on_a_full_disk_a_run_has_its_own(loops_folder, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        assert hits(monkeypatch) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert hits(monkeypatch) == 0
    assert hits(monkeypatch) == 1


def test_without_a_place_a_run_has_its_own(monkeypatch):
    def no_place(*_):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(kept_loops._Kept, "__init__", no_place)
    assert hits(monkeypatch) == 0
    assert hits(monkeypatch) == 0


def test_functions_that_are_not_compiled_are_left_alone(monkeypatch):
    from modiscolite import precompile

    monkeypatch.setattr(precompile, "_kernels", lambda: [[(add, None)]])
    assert list(kept_loops.loops()) == []


def test_it_is_said_that_loops_are_compiled_until_one_of_them_is_kept(loops_folder, caplog):
    caplog.set_level("INFO")
    first, second = numba.njit(add), numba.njit(add)
    for loop in (first, second):
        loop.enable_caching()
    kept_loops.say_if_compiling("Tomtom", [first, second])
    assert caplog.messages == ["compiling Tomtom for this processor, which takes a minute or so, once"]
    assert second(2, 3) == 5
    kept_loops.say_if_compiling("Tomtom", iter([first, second]))
    kept_loops.say_if_compiling("Tomtom", [])
    assert len(caplog.messages) == 1


def test_loops_of_every_program_that_is_compiled_are_found():
    pytest.importorskip("memelite")
    assert len(kept_loops.of_tomtom()) > 1
    assert all(loop.stats.cache_path for loop in kept_loops.of_tomtom())


def test_a_search_says_when_it_compiles(monkeypatch, caplog):
    pytest.importorskip("memelite")
    caplog.set_level("INFO")
    monkeypatch.setattr(kept_loops, "_is_kept", lambda loop: False)
    counts = np.eye(4)[[0, 0, 2, 0, 2, 1, 0, 2, 2, 0]] * 20
    known = [KnownMotif(str(i), "", counts[i % 4 : 6 + i % 4]) for i in range(25)]
    motif = SimpleNamespace(sign=1, counts=counts)
    assert [name for name, _, _ in search._named([motif], known)] == ["pos_1"]
    assert [name for name, _, _ in search._named([motif], [])] == ["pos_1"]
    assert sum("compiling Tomtom" in message for message in caplog.messages) == 1
