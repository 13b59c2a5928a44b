"""On repeats neurons are equal but for rounding: threads, batch and dtype change a map by rounding only."""

from collections.abc import Iterator
from functools import cache

import pytest
import torch
from torch import nn

from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning

UNITS = ("A", "AT", "CAG", "GGGGCC")
LENGTH = 240
TOLERANCE = 1e-4
PRUNINGS = {
    "p=0.02": Pruning(0.02), "p=0.25": Pruning(0.25), "p=0.25, M": Pruning(0.25, redistribute="m"),
    "automatic": Pruning(automatic=True),
}  # fmt: skip


class Residual(nn.Module):
    """Pre-activation blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 16, 7, padding=3)
        self.blocks = nn.ModuleList([nn.Conv1d(16, 16, 5, padding=2) for _ in range(6)])
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(torch.relu(x))
        return self.head(torch.relu(x).mean(-1))


class Pooled(nn.Module):
    """Maxima over windows, and over all positions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(4, 24, 11, padding=5), nn.Conv1d(24, 24, 7, padding=3)
        self.third, self.head = nn.Conv1d(24, 24, 5, padding=2), nn.Linear(24, 2)

    def forward(self, x):
        x = nn.functional.max_pool1d(torch.relu(self.first(x)), 3)
        x = nn.functional.max_pool1d(torch.relu(self.second(x)), 2)
        return self.head(torch.relu(self.third(x)).amax(-1))


@cache
def graph_of(network: type[nn.Module]) -> CanonicalGraph:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return capture(network().eval(), torch.randn(2, 4, LENGTH))


def windows() -> torch.Tensor:
    bases = torch.tensor([["ACGT".index(base) for base in (unit * LENGTH)[:LENGTH]] for unit in UNITS])
    return nn.functional.one_hot(bases, 4).transpose(1, 2)


def maps(network: type[nn.Module], pruning: Pruning, dtype: torch.dtype, batch: int) -> torch.Tensor:
    explainer = Explainer(
        graph_of(network).to(torch.device("cpu"), dtype), [Target("t", (Term(0, 0, None),))],
        composite=PRESETS["epsilon-plus"], pruning=pruning,
    )  # fmt: skip
    parts = windows().to(dtype).split(batch)
    return torch.cat([explainer.explain(part)[0].contributions for part in parts]).double()


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("pruning", PRUNINGS.values(), ids=PRUNINGS)
@pytest.mark.parametrize("network", [Residual, Pooled])
def test_maps_of_repeats_are_stable(network, pruning, threads):
    torch.set_num_threads(1)
    exact = maps(network, pruning, torch.float64, len(UNITS))
    size = exact.flatten(1).norm(dim=1)
    for n_threads, dtype, batch in (
        (1, torch.float32, 4), (2, torch.float32, 4), (1, torch.float32, 1), (2, torch.float64, 1)
    ):  # fmt: skip
        torch.set_num_threads(n_threads)
        gaps = (maps(network, pruning, dtype, batch) - exact).flatten(1).norm(dim=1) / size
        assert float(gaps.max()) < TOLERANCE, (n_threads, dtype, batch, gaps.tolist())
