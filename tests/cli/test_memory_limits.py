"""Too little memory is said in one line, with what to do, whichever library meets it."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sparselrp_cli.cli import memory
from sparselrp_cli.cli.main import run
from sparselrp_cli.cli.memory import ALL, SOME, MemoryShortageError, require_addresses, shortage

ROOT = Path(__file__).parents[2]
MB = 1_000_000


def with_addresses(size: int, *given: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a limit of addresses."""
    return subprocess.run(
        [sys.executable, "-m", "sparselrp_cli", *given],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("megabytes", "given", "needed"),
    [
        (100, ("attribute", "g.fa", "-m", "m", "-t", "0", "-o", "x"), "1.1 GB"),
        (900, ("plot", "run.h5", "chr1:1-9", "-o", "x.svg"), "1.1 GB"),
        (300, ("export", "run.h5"), "0.4 GB"),
    ],
)
def test_a_limit_below_what_the_libraries_take_ends_with_one_line(megabytes, given, needed):
    done = with_addresses(megabytes * MB, *given)
    assert done.returncode == 1
    assert done.stderr == (
        f"sparselrp: error: the limit of addresses, {megabytes / 1000:.2g} GB (ulimit -v), is less than the"
        f" libraries of 'sparselrp {given[0]}' take ({needed}); raise it with 'ulimit -v unlimited'; to bound"
        " memory take a control group or the scheduler's --mem\n"
    )


def test_help_is_given_with_100_mb_of_addresses():
    done = with_addresses(100 * MB, "attribute", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: sparselrp attribute" in done.stdout


@pytest.mark.parametrize(
    ("limit", "there", "given", "stops"),
    [
        (None, 0, ("attribute",), False),
        (ALL, ALL - 1, ("attribute",), True),
        (ALL, ALL, ("attribute",), False),
        (ALL, SOME, ("export",), False),
        (ALL, SOME - 1, ("export",), True),
        (ALL, 0, ("--help",), False),
        (ALL, 0, ("motifs", "-h"), False),
        (ALL, 0, (), False),
    ],
)
def test_what_can_be_mapped_decides_and_only_under_a_limit(monkeypatch, limit, there, given, stops):
    monkeypatch.setattr(memory, "address_limit", lambda: limit)
    monkeypatch.setattr(memory, "can_map", lambda size: size <= there)
    if not stops:
        require_addresses(given)
        return
    with pytest.raises(MemoryShortageError, match="ulimit -v"):
        require_addresses(given)


def raised_from(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except Exception as found:  # noqa: BLE001 - as it was raised
        return found


NO_ROOM = OSError(errno.ENOMEM, "Cannot allocate memory")


@pytest.mark.parametrize(
    ("error", "always"),
    [
        (MemoryError(), True),
        (NO_ROOM, True),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), False),
        (RuntimeError("can't start new thread"), False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), False),
        (OSError("Could not find/load shared object file 'libllvmlite.so'"), False),
        (RuntimeError("std::bad_alloc"), False),
        (raised_from(ImportError("no such library"), NO_ROOM), False),
    ],
)
def test_what_libraries_say_that_get_no_memory_is_known(monkeypatch, error, always):
    monkeypatch.setattr(memory, "address_limit", lambda: 2 * 10**9)
    found = shortage(error)
    assert found is not None
    assert found.startswith("the limit of addresses, 2 GB (ulimit -v), is used up")
    monkeypatch.setattr(memory, "address_limit", lambda: None)
    assert (shortage(error) is not None) == always


@pytest.mark.parametrize(
    "error", [ValueError("a fault"), ImportError("No module named 'x'"), OSError(5, "no")]
)
def test_other_errors_are_faults_of_ours_with_a_limit_too(monkeypatch, error):
    monkeypatch.setattr(memory, "address_limit", lambda: 2 * 10**9)
    assert shortage(error) is None


def test_memory_that_is_used_up_is_no_internal_error(monkeypatch, capsys):
    def exhausted(_):
        raise MemoryError

    monkeypatch.setattr("sparselrp_cli.cli.main.require_addresses", exhausted)
    assert run(["export", "run.h5"]) == 1
    assert capsys.readouterr().err == (
        "sparselrp: error: memory is used up; end other programs, lower -b (--batch-size), or take a larger"
        " machine\n"
    )
