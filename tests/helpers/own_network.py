"""A network of a user's own, with its weights, a genome and regions: what the workflow is for."""

from pathlib import Path

import numpy as np
import torch

WINDOW = 600
SITES = ("TGACGTCATCGG", "CCACCAGGGGGC")
"""What the two tasks, `first` and `second`, look for."""

FILE = f"""\
import torch
from torch import nn


class Net(nn.Module):
    window = {WINDOW}
    tasks = ("first", "second")

    def __init__(self):
        super().__init__()
        self.scan = nn.Conv1d(4, 2, {len(SITES[0])})
        self.head = nn.Linear(2, 2)

    def forward(self, x):
        return self.head(self.scan(x).relu().amax(2))
"""


def weights() -> dict[str, torch.Tensor]:
    """Filters that answer to half a site or more, as a site's look-alikes are, and tasks that read them."""
    scan = torch.zeros(2, 4, len(SITES[0]))
    for channel, site in enumerate(SITES):
        for position, base in enumerate(site):
            scan[channel, "ACGT".index(base), position] = 1.0
    return {
        "scan.weight": scan,
        "scan.bias": torch.full((2,), -len(SITES[0]) / 2),
        "head.weight": torch.eye(2),
        "head.bias": torch.zeros(2),
    }


def write_network(folder: Path, *, weights_name: str = "net.pt") -> None:
    """Write ``net.py`` and its weights."""
    (folder / "net.py").write_text(FILE)
    torch.save(weights(), folder / weights_name)


def write_regions(folder: Path, n: int, *, seed: int = 0) -> None:
    """Write ``genome.fa``, with a site of each kind near the middle of every window, and ``peaks.bed``."""
    rng = np.random.default_rng(seed)
    bases = rng.choice(list("ACGT"), n * WINDOW)
    with (folder / "peaks.bed").open("w") as bed:
        for number in range(n):
            middle = number * WINDOW + WINDOW // 2
            for site, at in zip(SITES, rng.integers(10, 90, 2) * np.array([-1, 1]), strict=True):
                bases[middle + at - 6 : middle + at + 6] = list(site)
            print("chr1", middle - 50, middle + 50, f"peak{number}", sep="\t", file=bed)
    (folder / "genome.fa").write_text(">chr1\n" + "".join(bases) + "\n")
