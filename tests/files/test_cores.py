"""How many cores a process may use: by its affinity and by the quota of its control groups."""

import os

import pytest

from sparselrp_cli.files import control_groups
from sparselrp_cli.files.cores import usable_cores

CORES = 8
CASES = {
    "no groups": ("", {}, CORES),
    "no quota": ("0::/job\n", {"job/cpu.max": "max 100000"}, CORES),
    "a quota": ("0::/job\n", {"job/cpu.max": "300000 100000"}, 3),
    "a part of a core": ("0::/job\n", {"job/cpu.max": "20000 100000"}, 1),
    "a broken number": ("0::/job\n", {"job/cpu.max": "250000 100000"}, 3),
    "more than there are": ("0::/job\n", {"job/cpu.max": "6400000 100000"}, CORES),
    "of a parent": ("0::/slurm/job/step\n", {"slurm/job/cpu.max": "200000 100000"}, 2),
    "of the tightest": ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "100000 50000"}, 2),
    "in a container": ("0::/docker/4711\n", {"cpu.max": "500000 100000"}, 5),
    "first version": (
        "9:memory:/job\n3:cpu,cpuacct:/job\n",
        {"cpu,cpuacct/job/cpu.cfs_quota_us": 400000, "cpu,cpuacct/job/cpu.cfs_period_us": 100000},
        4,
    ),
    "first version, none": (
        "3:cpu,cpuacct:/job\n",
        {"cpu,cpuacct/job/cpu.cfs_quota_us": -1, "cpu,cpuacct/job/cpu.cfs_period_us": 100000},
        CORES,
    ),
    "unreadable": ("0::/job\n", {"job/cpu.max": "much 100000"}, CORES),
    "half a file": ("0::/job\n", {"job/cpu.max": "100000"}, CORES),
    "no period": ("0::/job\n", {"job/cpu.max": "100000 0"}, CORES),
}


@pytest.mark.parametrize(("own", "files", "usable"), CASES.values(), ids=CASES.keys())
def test_cores_are_those_of_the_affinity_within_the_quota(tmp_path, monkeypatch, own, files, usable):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(CORES)), raising=False)
    monkeypatch.setattr(control_groups, "_ROOT", tmp_path)
    monkeypatch.setattr(control_groups, "_OWN_GROUPS", tmp_path / "own")
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert usable_cores() == usable
