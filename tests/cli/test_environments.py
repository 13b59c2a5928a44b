"""A run gives the same bytes where the system gives little: few files, no home, the C locale."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.tiny_net import MODEL

ROOT = Path(__file__).parents[2]
FORMATS = "h5,bigwig,bedgraph,modisco,finemo,modisco-h5"
NAMING = (".manifest.json", "_mqc.tsv")
ENVIRONMENTS = {
    "64 open files": ({}, (resource.RLIMIT_NOFILE, 64)),
    "3 GB of addresses": ({}, (resource.RLIMIT_AS, 3_000_000_000)),
    "a home that isn't there": ({"HOME": "/nonexistent", "SPARSELRP_CACHE_DIR": None}, None),
    "no home": ({"HOME": None, "SPARSELRP_CACHE_DIR": None}, None),
    "the C locale": ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, None),
    "a cache that is read-only": ({"SPARSELRP_CACHE_DIR": "/proc/sparselrp"}, None),
}


def explain(folder, genome, peaks, changed, limit):
    """Run `attribute` in a process of its own; give its files but those that name the folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), **changed}
    done = subprocess.run(
        [
            sys.executable, "-m", "sparselrp_cli", "attribute", genome, "-r", peaks, "-m", MODEL, "-t", "0",
            "-q", "--formats", FORMATS, "-o", folder / "run",
        ],
        env={name: value for name, value in environment.items() if value is not None},
        preexec_fn=(lambda: resource.setrlimit(limit[0], (limit[1], limit[1]))) if limit else None,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(NAMING)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_run_is_the_same_where_the_system_gives_little(tmp_path, genome, peaks, name):
    whole, found = (
        explain(tmp_path / folder, genome, peaks, *given)
        for folder, given in (("plain", ({}, None)), ("little", ENVIRONMENTS[name]))
    )
    assert found == whole
