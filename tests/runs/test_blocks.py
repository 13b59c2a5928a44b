"""Targets under the blocks of regions, from BED12 to all that follows a run, against sums over bases by hand."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.commands import attribute, command, error_line, left_behind, table, write
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.outputs.archive import ArchiveReader

WINDOW = 64
FIRST, WIDTH, COUNT = 8, 4, 12
"""Of the bins below: where the first begins, and how many there are."""
LINEAR = ("--composite", "zero", "-p", "0", "--centre", "none", "--dtype", "float64")


class Genes(nn.Module):
    """Three tracks (N, 12, 3) of 4 bp a bin over the middle 48 bp of a window of 64, as Enformer has them."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scan, self.head = nn.Conv1d(4, 6, 5, padding=2, bias=False), nn.Linear(6, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        bins = functional.avg_pool1d(self.scan(x).relu(), WIDTH)
        return self.head(bins.transpose(1, 2)[:, 2:-2])


class Rates(Genes):
    """The same behind a softplus."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.softplus(super().forward(x))


class Lopsided(Genes):
    """The same bins over the first 48 bp."""

    def forward(self, x: Tensor) -> Tensor:
        bins = functional.avg_pool1d(self.scan(x).relu(), WIDTH)
        return self.head(bins.transpose(1, 2)[:, :-4])


class Hidden(Genes):
    """The same bins, made by a dense layer of all that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.all = nn.Linear(36, 36)

    def forward(self, x: Tensor) -> Tensor:
        return self.all(super().forward(x).flatten(1)).reshape(-1, 12, 3)


class Pairs(Genes):
    """Two outputs: tracks, and counts without positions."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        tracks = super().forward(x)
        return {"tracks": tracks, "counts": tracks.mean(1)}


@pytest.fixture(scope="module")
def letters() -> str:
    return "".join(np.random.default_rng(3).choice(list("ACGT"), 400))


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory, letters: str) -> Path:
    return write(tmp_path_factory.mktemp("genome") / "genome.fa", f">chr1\n{letters}\n")


def bed12(name: str, start: int, end: int, strand: str, *blocks: tuple[int, int]) -> str:
    sizes = ",".join(str(n - m) for m, n in blocks)
    starts = ",".join(str(m - start) for m, _ in blocks)
    columns = ("chr1", start, end, name, 0, strand, start, end, 0, len(blocks), f"{sizes},", f"{starts},")
    return "\t".join(map(str, columns)) + "\n"


# Windows are 32 bp to either side of the middle.
GENES = {
    "two exons": (80, 120, "+", [(80, 86), (110, 120)]),
    "reversed": (81, 121, "-", [(81, 90), (112, 121)]),
    "no strand": (150, 190, ".", [(150, 151), (168, 171), (189, 190)]),
    "longer than its window": (100, 300, "+", [(100, 190), (205, 207), (250, 300)]),
    "reversed and lopsided": (210, 250, "-", [(210, 214), (230, 231)]),
    "they overlap": (300, 340, "+", [(300, 320), (310, 330)]),
    "at the begin": (0, 30, "-", [(0, 7), (20, 30)]),
}


@pytest.fixture
def genes(tmp_path: Path) -> Path:
    lines = [bed12(name, start, end, strand, *blocks) for name, (start, end, strand, blocks) in GENES.items()]
    return write(tmp_path / "genes.bed", "".join(lines))


def one_hot_of(letters: str, start: int) -> Tensor:
    text = [letters[i] if 0 <= i < len(letters) else "N" for i in range(start, start + WINDOW)]
    x = torch.zeros(4, WINDOW, dtype=torch.float64)
    for place, letter in enumerate(text):
        if letter != "N":
            x["ACGT".index(letter), place] = 1
    return x


def by_hand(net: nn.Module, letters: str, gene: str, value, first: int = FIRST) -> tuple[float, np.ndarray]:
    """The value of a gene, and its gradient times the input on the forward strand, base by base."""
    start, end, strand, blocks = GENES[gene]
    begin = (start + end) // 2 - WINDOW // 2
    exonic = [any(s <= base < e for s, e in blocks) for base in range(begin, begin + WINDOW)]
    x = one_hot_of(letters, begin)
    if strand == "-":
        x, exonic = x.flip(0, 1), exonic[::-1]
    bins = [b for b in range(COUNT) if any(exonic[first + WIDTH * b : first + WIDTH * (b + 1)])]
    x = x[None].requires_grad_()
    score = value(net(x)[0][bins])
    (gradient,) = torch.autograd.grad(score, x)
    found = (gradient * x)[0].sum(0).detach().numpy()
    return float(score.detach()), found[::-1] if strand == "-" else found


def contributions(prefix: Path, target: int = 0) -> np.ndarray:
    with ArchiveReader(f"{prefix}.h5") as reader:
        return reader.contributions(slice(None), target)


def maps(prefix: Path) -> np.ndarray:
    with h5py.File(f"{prefix}.h5") as archive:
        return archive["hyp_scores"][:]


def run_of(genome: Path, genes: Path, net: str = "Genes") -> tuple[object, ...]:
    return (genome, "-r", genes, "-m", f"{__file__}:{net}")


CASES = {
    "0@blocks": lambda y: y[:, 0].mean(),
    "*@blocks": lambda y: y.mean(),
    "0:2@blocks": lambda y: y[:, :2].mean(),
    "0.5*(1-2)@blocks": lambda y: 0.5 * (y[:, 1] - y[:, 2]).mean(),
    "0@blocks-1@blocks": lambda y: (y[:, 0] - y[:, 1]).mean(),
}


def test_each_window_is_scored_under_its_own_blocks(genome, genes, letters, tmp_path):
    targets = [part for text in CASES for part in ("-t", text)]
    assert attribute(*run_of(genome, genes), *targets, *LINEAR, "-o", tmp_path / "x", "--formats", "h5") == 0
    net, rows = Genes().double(), table(tmp_path / "x.windows.tsv")
    for number, (text, value) in enumerate(CASES.items()):
        of_target = [row for row in rows if row["target"] == text]
        assert [row["name"] for row in of_target] == list(GENES)
        found = contributions(tmp_path / "x", number)
        for row, ours in zip(of_target, found, strict=True):
            score, expected = by_hand(net, letters, row["name"], value)
            assert float(row["score"]) == pytest.approx(score, rel=1e-7)
            # Of piecewise linear networks the rule LRP-0 gives gradient x input.
            np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)
