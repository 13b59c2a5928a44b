"""`make slurm` looks for what it is asked to run before it installs anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("make") is None, reason="make isn't installed")
@pytest.mark.parametrize("given", ["CONFIG=none.yaml", "PROFILE=none"])
def test_what_isnt_there_is_named_in_a_line(given):
    done = subprocess.run(["make", "slurm", given], cwd=ROOT, capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert f"No rule to make target '{given.partition('=')[2]}', needed by 'slurm'" in line
