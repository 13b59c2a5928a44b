"""A pytest plugin: before pytest-xdist starts workers, all loops are compiled: ours and those of libraries.

Workers would compile them at the same time, each for itself. They are kept beside their package: this takes
time after a change of the loops only. ``python -m helpers.warming`` compiles all that isn't kept yet, as
a part of the installation, and ``python -m helpers.warming float32`` what one type of numbers needs.
"""

import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.motifs import kept_loops
from sparselrp_cli.motifs.alignment import frequencies
from sparselrp_cli.motifs.database import match
from sparselrp_cli.motifs.formats import KnownMotif
from sparselrp_cli.relevance import gathered, kernels, minimal_filtering
from sparselrp_cli.relevance.compiled_softmax import CompiledSoftmax
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.kernels import operations, pooling, selection
from sparselrp_cli.relevance.pruning import Pruning

ROOT = Path(__file__).parents[2]
TYPES = ("float32", "float64")


class Network(nn.Module):
    """Convolutions with an addition and a pool, of which only the first positions are explained."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)
        self.head = nn.Conv1d(4, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.max_pool1d(self.stem(x).relu(), 2)
        return self.head(h + self.block(h).relu())[:, 0, :3]


def compile_loops(dtype: torch.dtype) -> None:
    """Explain a position row by row with both ways of pruning, which calls every loop."""
    gathered.LEAST_WORK = 0
    torch.manual_seed(0)
    x = torch.eye(4, dtype=dtype).repeat(1, 16).expand(2, -1, -1)
    graph = capture(Network().to(dtype), x)
    for redistribute in ("lambda", "m"):
        pruning = Pruning(0.25, redistribute=redistribute)
        Explainer(graph, [Target("first", (Term(0, 0, None),))], pruning=pruning).explain(x)
    # What pays for large networks alone.
    minimal_filtering.convolved(x * (torch.arange(64) < 9), torch.ones(4, 4, 3, dtype=dtype), None, 1)
    rows = torch.ones(1, 4, pooling.FEW, dtype=dtype)
    operations.give_winners(rows[:, :2], rows, *operations.winners(rows, 2, 2, 2, 0, 1), 2, 2, 0, 1)
    softmax, scores = CompiledSoftmax(-1), x.reshape(-1, 4)
    shares, memo = softmax.forward(scores)
    at = At((scores,), shares, memo)
    softmax.pull(shares, at)
    softmax.absorbed(shares, at)


def are_cold() -> bool:
    """Whether the loops' sources are newer than what is kept of them."""
    if kernels.must_compile():
        return True
    kept = Path(selection.select.stats.cache_path).glob("*.nbi")
    sources = Path(kernels.__file__).parent.glob("*.py")
    return max(path.stat().st_mtime for path in kept) < max(path.stat().st_mtime for path in sources)


def compile_loops_of_modisco() -> None:
    kept_loops.keep_loops()
    for loop, types in kept_loops.loops():
        loop.compile(types)


def compile_loops_of_memelite() -> None:
    """Compare a motif with known ones, and look for it in a window."""
    from memelite import fimo

    warnings.simplefilter("ignore")  # at so few
    counts = np.eye(4).repeat(2, axis=0) * 20
    match(counts, [KnownMotif(str(width), "", counts[:width]) for width in range(4, 9)])
    fimo({"motif": frequencies(counts).T}, np.eye(4, dtype=np.int8).repeat(8, axis=1)[None], threshold=0.01)


LIBRARIES = {"memelite": compile_loops_of_memelite, "modiscolite": compile_loops_of_modisco}


def is_cold(library: str) -> bool:
    """Whether it is installed and none of its loops is kept beside it."""
    found = find_spec(library)
    folders = [] if found is None else map(Path, found.submodule_search_locations or ())
    return any(not list(folder.glob("__pycache__/*.nbi")) for folder in folders)


def compile_in_processes(names: Sequence[str]) -> bool:
    """Compile for each name in a process of its own, at the same time; say whether all did."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "helpers.warming"]
    compiling = [subprocess.Popen([*command, name], env={**os.environ, "PYTHONPATH": path}) for name in names]
    codes = [process.wait() for process in compiling]
    return not any(codes)


def cold() -> list[str]:
    """Name all that has to be compiled; what takes longest comes first."""
    return [*filter(is_cold, LIBRARIES), *(TYPES if are_cold() else ())]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Compile before there are workers."""
    if not compile_in_processes(cold()):
        raise pytest.UsageError("the loops can't be compiled")


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(not compile_in_processes(cold()))
    (asked,) = sys.argv[1:]
    if asked in LIBRARIES:
        LIBRARIES[asked]()
    else:
        compile_loops(getattr(torch, asked))
