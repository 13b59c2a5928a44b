"""Where nothing can be written, what only reads and prints works, and all else is one line; nothing more."""

import logging
import os
import sys
import warnings
from pathlib import Path

import pytest
from helpers.commands import attribute
from helpers.read_only import read_only, why_not
from helpers.tiny_net import MODEL

from sparselrp_cli.cli.scratch import hush_libraries

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are Linux's")
LOCKS = "Could not obtain multiprocessing lock due to OS level error: [Errno 30] Read-only file system"


@pytest.fixture(scope="module")
def explained(tmp_path_factory, genome):
    """A folder with a run, its genome and a BED."""
    if why_not():
        pytest.skip(why_not())
    folder = tmp_path_factory.mktemp("read-only")
    (folder / "genome.fa").write_bytes(genome.read_bytes())
    (folder / "peaks.bed").write_text("chr1\t100\t140\ta\t0\t+\nchr1\t110\t150\tb\t0\t-\n")
    given = (folder / "genome.fa", "-r", folder / "peaks.bed", "-m", MODEL, "-t", "0", "-q")
    assert attribute(*given, "-o", folder / "run", "--formats", "h5") == 0
    return folder


def said(folder, *words):
    """Run a command where nothing can be written, with no cache of its own; give its code and its words."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("CACHE_DIR")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = read_only([sys.executable, "-m", "sparselrp_cli", *words], cwd=folder, env=environment)
    return done.returncode, done.stdout, done.stderr


PRINTING = {
    "help": ("help", "targets"),
    "inspect": ("inspect", MODEL),
    "evaluate": ("evaluate", "run.h5"),
    "evaluate with the model": ("evaluate", "run.h5", "-m", MODEL, "--windows", "1", "--no-mutagenesis"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTING)
def test_what_only_reads_and_prints_works_and_nothing_else_is_said(explained, name):
    code, printed, error = said(explained, *PRINTING[name], *([] if name == "help" else ["-q"]))
    assert (code, error) == (0, "")
    assert printed


DATA = ("genome.fa", "-r", "peaks.bed", "-m", MODEL, "-t", "0")
WRITING = {
    "export": (("export", "run.h5", "--formats", "bedgraph", "-o", "new"), "new can't be written"),
    "init": (("init", *DATA), "sparselrp-workflow can't be written"),
    "attribute": (("attribute", *DATA, "-o", "new"), "new can't be written"),
    "shuffle": (("shuffle", "run.h5", "-o", "new.fa"), "new.fa can't be written"),
    "browser": (("browser", "run", "--genome", "dm3", "--url", "https://x.org/"), "run can't be written"),
    "pack": (("pack", MODEL, "-o", "new"), "new can't be written"),
}  # fmt: skip
LACKING = {
    "plot": ("plot", "run.h5", "chr1:101-140", "-o", "new.svg"),
    "report": ("report", "run.h5", "-o", "new.html"),
    "compare": ("compare", "run.h5", "run.h5", "-o", "new"),
    "motifs": ("motifs", "run.h5", "-o", "new", "--null", "permuted"),
}
QUICK = ("export", "plot")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in WRITING]
)
def test_what_writes_says_in_one_line_what_cant_be_written(explained, name):
    words, expected = WRITING[name]
    code, _, error = said(explained, *words, "-q")
    assert code == 1
    assert error.count("\n") == 1
    assert error.startswith("sparselrp: error: ")
    assert f"{expected}: the file system is read-only; write elsewhere" in error


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LACKING]
)
def test_what_needs_a_folder_for_a_library_names_the_variable_in_one_line(explained, name):
    code, _, error = said(explained, *LACKING[name], "-q")
    assert code == 1
    assert error.count("\n") == 1
    assert error.startswith("sparselrp: error: ")
    assert error.rstrip().endswith(("set TMPDIR to one that can", "set NUMBA_CACHE_DIR to one"))


def test_libraries_keep_to_themselves_what_they_would_like_to_write(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("matplotlib"), "level", logging.NOTSET)  # as it was, afterwards
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        hush_libraries()
        warnings.warn(LOCKS, stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    logging.getLogger("matplotlib.font_manager").warning("%s is not a writable directory", "/root")
    assert [str(each.message) for each in met] == ["something else"]
    assert caplog.messages == []
