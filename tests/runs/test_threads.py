"""As many threads compute as were asked for, from the first compiled loop on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import sparselrp
from sparselrp_cli.runs import threads

COUNTING = """
import sys
from pathlib import Path
import torch
import sparselrp
from sparselrp_cli.runs.threads import use_threads

def ticks():  # of each thread, user and system time
    texts = {task.name: (task / "stat").read_text() for task in Path("/proc/self/task").iterdir()}
    fields = {task: text.rpartition(")")[2].split() for task, text in texts.items()}
    return {task: int(each[11]) + int(each[12]) for task, each in fields.items()}

plrp = sparselrp.PLRP(sparselrp.load_model(sys.argv[1]))
x = torch.eye(4)[torch.arange(8 * 2000).reshape(8, 2000) % 4].mT.contiguous()
for number in (2, 1):
    use_threads(number)
    plrp.attribute(x)
    before = ticks()
    for _ in range(10):
        plrp.attribute(x)
    taken = [after - before.get(task, 0) for task, after in ticks().items()]
    print(sum(each > max(taken) / 8 for each in taken), torch.get_num_threads())
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of layers wide enough for two threads, traced once for all processes."""
    net = nn.Sequential(
        nn.Conv1d(4, 64, 15, padding=7), nn.ReLU(), nn.Conv1d(64, 64, 9, padding=4), nn.ReLU(),
        nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(64, 1),
    )  # fmt: skip
    return sparselrp.pack(net.eval(), tmp_path_factory.mktemp("model") / "net", window=2000)


@pytest.mark.skipif(sys.platform != "linux", reason="threads' times are read from /proc")
def test_as_many_threads_compute_as_were_asked_for(model):
    """In a process of its own, where numba would start more."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "4", "OMP_WAIT_POLICY": "PASSIVE"}
    environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-c", COUNTING, str(model)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2 2", "1 1"]


@pytest.mark.parametrize(("asked", "chosen"), [(None, 2), (1, 1), (7, 7)])
def test_a_run_that_is_told_nothing_takes_no_more_than_it_may(monkeypatch, asked, chosen):
    numbers = [4]
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: numbers[-1])
    monkeypatch.setattr(torch, "set_num_threads", numbers.append)
    threads.use_threads(asked)
    assert numbers[-1] == chosen
