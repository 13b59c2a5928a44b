"""`make slurm` looks for what it is asked to run before it installs anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("make") is None, reason="make isn't installed")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("CONFIG=none.yaml", "CONFIG=none.yaml: no such file; sparselrp init writes one"),
        ("PROFILE=none", "PROFILE=none: no such folder; sparselrp init writes one"),
    ],
)
def test_what_isnt_there_is_named_in_a_line(given, said):
    done = subprocess.run(["make", "slurm", given], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"make slurm: {said}"
    assert done.stdout == ""
