"""The tutorial on Enformer and Borzoi, followed with small networks in the place of the packages."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.commands import table

from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.request import ModelRequest
from tutorials.pages import TutorialPage

pytestmark = pytest.mark.slow

PAGE = TutorialPage.read("enformer-borzoi.md")
PACKAGES = Path(__file__).parent / "packages"
LENGTH, WINDOW, BIN = 600_000, 524_288, 32
FIRST = 5120 * BIN
"""Where the first bin of Borzoi begins in its window."""

GENES = {
    "forward": (280_000, 320_000, "+", [(280_000, 280_300), (310_000, 310_040), (319_000, 320_000)]),
    "reverse": (270_010, 310_010, "-", [(270_010, 271_000), (309_990, 310_010)]),
    "outside": (200_000, 400_000, "+", [(200_000, 200_100), (399_900, 400_000)]),
}


def bed12(name: str) -> str:
    start, end, strand, exons = GENES[name]
    sizes, starts = (",".join(map(str, n)) for n in zip(*((e - s, s - start) for s, e in exons), strict=True))
    return f"chr1\t{start}\t{end}\t{name}\t0\t{strand}\t{start}\t{end}\t0\t{len(exons)}\t{sizes}\t{starts}\n"


@pytest.fixture(scope="module")
def bases() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, LENGTH)


@pytest.fixture(scope="module")
def followed(tmp_path_factory, bases):
    """The folder after all commands of the page, and the commands that failed."""
    folder = tmp_path_factory.mktemp("enformer-borzoi")
    for package in PACKAGES.glob("*.py"):
        shutil.copy(package, folder)
    (folder / "genome.fa").write_text(f">chr1\n{''.join(np.array(list('ACGT'))[bases])}\n")
    (folder / "tss.bed").write_text("chr1\t299999\t300000\tgene\t0\t+\n")
    (folder / "genes.bed12").write_text("".join(map(bed12, GENES)))
    return folder, PAGE.follow(folder)


def test_every_command_ends_as_the_page_says(followed):
    assert followed[1] == []


def test_bins_in_the_middle_are_those_of_their_numbers(followed):
    by_target = {row["target"]: row["score"] for row in table(followed[0] / "out/tss.windows.tsv")}
    assert len(by_target) == 3
    assert by_target["4799@centre:4"] == by_target["4799@446:450"]


def by_hand(folder: Path, bases: np.ndarray, gene: str) -> torch.Tensor:
    """The mean of each track (4,) of the page's Borzoi over the bins under a gene's exons."""
    net = load_model(ModelRequest(f"{folder / 'borzoi.py'}:Rna")).module.double()
    start, end, strand, exons = GENES[gene]
    begin = (start + end) // 2 - WINDOW // 2
    exonic = np.zeros(LENGTH, dtype=bool)
    for s, e in exons:
        exonic[s:e] = True
    x = torch.from_numpy(np.eye(4)[bases[begin : begin + WINDOW]].T.copy())
    exonic = exonic[begin : begin + WINDOW]
    if strand == "-":
        x, exonic = x.flip(0, 1), exonic[::-1]
    under = exonic[FIRST:-FIRST].reshape(-1, BIN).any(1)
    with torch.no_grad():
        return net(x[None])[0][:, torch.from_numpy(under)].mean(1)


@pytest.mark.parametrize("gene", ["forward", "reverse"])
def test_the_model_is_read_over_the_exons_of_each_gene(followed, bases, gene):
    means = by_hand(followed[0], bases, gene)
    rows = table(followed[0] / "out/genes.windows.tsv")
    found = {row["target"]: float(row["prediction"]) for row in rows if row["name"] == gene}
    first, second = (math.log(float(group.mean())) for group in (means[:2], means[2:]))
    assert found == pytest.approx({"first": first, "ratio": first - second}, rel=1e-4)


def test_a_gene_without_an_exon_under_the_bins_is_said(followed):
    assert [row["name"] for row in table(followed[0] / "out/genes.skipped.tsv")] == ["outside"]
