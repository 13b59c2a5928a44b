"""A pytest plugin: before pytest-xdist starts workers, loops of the engine and of TF-MoDISco are compiled.

Workers would compile them at the same time, each for itself. They are kept beside the package, so that this
takes time after a clone and a change of the loops only. ``python -m helpers.warming float32`` compiles what
one type of numbers needs, ``python -m helpers.warming motifs`` what TF-MoDISco does.

TF-MoDISco keeps its loops where it may fork, which it may not in a worker: they are kept there as well.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.motifs import discovery
from sparselrp_cli.relevance import gathered, kernels
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.kernels import selection
from sparselrp_cli.relevance.pruning import Pruning

ROOT = Path(__file__).parents[2]
TYPES = ("float32", "float64")
MOTIFS = "motifs"


class Network(nn.Module):
    """Convolutions with an addition, of which only the first positions are explained."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)
        self.head = nn.Conv1d(4, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).relu()
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


def are_cold() -> bool:
    """Whether the loops' sources are newer than what is kept of them."""
    if kernels.must_compile():
        return True
    kept = Path(selection.prune.stats.cache_path).glob("*.nbi")
    sources = Path(kernels.__file__).parent.glob("*.py")
    return max(path.stat().st_mtime for path in kept) < max(path.stat().st_mtime for path in sources)


@cache
def keep_loops_of_modisco() -> None:
    """Keep those that TF-MoDISco keeps itself: they call none of another file, which could change."""
    for loop, _ in loops_of_modisco():
        loop.enable_caching()


def loops_of_modisco() -> Iterator[tuple[Any, Any]]:
    """Its loops, and the types of arguments that each is compiled for."""
    from modiscolite import precompile

    for loops in precompile._kernels():
        for loop, types in loops:
            yield loop, types or precompile._signatures[loop]


def compile_loops_of_modisco() -> None:
    keep_loops_of_modisco()
    for loop, types in loops_of_modisco():
        loop.compile(types)


def has_cold_modisco() -> bool:
    """Whether it is installed and none of its loops is kept beside it."""
    found = find_spec("modiscolite")
    folders = [] if found is None else map(Path, found.submodule_search_locations or ())
    return any(not list(folder.glob("__pycache__/*.nbi")) for folder in folders)


def keeping_loops(clusters: Callable[..., Any]) -> Callable[..., Any]:
    """Cluster as ever, with loops that are kept."""

    def clustered(*given: Any) -> Any:
        keep_loops_of_modisco()
        return clusters(*given)

    return clustered


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(discovery, "_clusters", keeping_loops(discovery._clusters))
    config.add_cleanup(patch.undo)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Compile for both types and for motifs at the same time, before there are workers."""
    cold = [*(TYPES if are_cold() else ()), *((MOTIFS,) if has_cold_modisco() else ())]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "helpers.warming"]
    compiling = [subprocess.Popen([*command, name], env={**os.environ, "PYTHONPATH": path}) for name in cold]
    codes = [process.wait() for process in compiling]
    if any(codes):
        raise pytest.UsageError("the loops can't be compiled")


if __name__ == "__main__":
    if sys.argv[1] == MOTIFS:
        compile_loops_of_modisco()
    else:
        compile_loops(getattr(torch, sys.argv[1]))
