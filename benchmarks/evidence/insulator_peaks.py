"""Peaks of insulator proteins of the fly, and how well their matrices alone tell them from background."""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from Bio import SeqIO
from torch import Tensor

from benchmarks.evidence.public import public_path
from benchmarks.history import ROOT
from sparselrp_cli.evaluation.metrics import auroc
from sparselrp_cli.evaluation.sites import matrix_scores
from sparselrp_cli.motifs.database import read_database

# The windows and their backgrounds are those of the shipped model.
sys.path[:0] = [str(ROOT / "models" / "suhw-dm3"), str(ROOT / "data")]

from make_data import merged, read_peaks  # noqa: E402
from train import SHIFT, TEST, TRAINING, VALIDATION, WINDOW, Chromosome  # noqa: E402

__all__ = [
    "FACTORS", "SHIFT", "SUHW", "TEST", "TRAINING", "VALIDATION", "WINDOW", "Factor", "Peaks",
    "check_matrices", "log_odds", "read_peaks", "separation",
]  # fmt: skip
PSEUDOCOUNT = 1e-3


@dataclass(frozen=True)
class Factor:
    """An insulator protein.

    Attributes
    ----------
    files : str
        How its files of peaks begin.
    cells : tuple of str
        In which its peaks are positives; those of the other cells are only kept out of the background.
    motif : str
        Name in JASPAR.
    bits : float
        What a match scores at least: 6 or 7 % of random windows of 600 bp hold one.
    """

    name: str
    files: str
    cells: tuple[str, ...]
    motif: str
    bits: float

    def peaks(self, cells: tuple[str, ...]) -> list[tuple[int, int]]:
        """Peaks of either kind of cells, overlapping ones joined."""
        paths = [public_path(f"{self.files}_{cell}_Bushey_2009.bed") for cell in cells]
        return merged([peak for path in paths for peak in read_peaks(path)])


# CTCF's matrix tells the peaks of Mbn2 cells from random windows less well (AUROC 0.65, in Kc cells 0.72).
FACTORS = (
    Factor("BEAF-32", "BEAF", ("Kc", "Mbn2"), "MA0529.3", 10.0),
    Factor("CTCF", "CTCF", ("Kc",), "MA0531.2", 11.0),
)
# The bits are those of the shipped model's README.
SUHW = Factor("su(Hw)", "SuHw", ("Kc", "Mbn2"), "MA0533.1", 10.0)


class Peaks:
    """The chromosome, and which of its bases are centres of positive windows, for each factor."""

    def __init__(self, factors: tuple[Factor, ...] = FACTORS) -> None:
        self.factors = factors
        everything = [(factor, factor.peaks(("Kc", "Mbn2"))) for factor in factors]
        sequence = str(SeqIO.read(public_path("chr2R.fa"), "fasta").seq)
        self.chromosome = Chromosome(sequence, merged([peak for _, peaks in everything for peak in peaks]))
        self.peaks = [factor.peaks(factor.cells) for factor in factors]
        self.inside = np.zeros((len(factors), len(sequence)), bool)
        self.near = np.zeros_like(self.inside)
        for task, (_, peaks) in enumerate(everything):
            for start, end in self.peaks[task]:
                middle = (start + end) // 2
                self.inside[task, min(start, middle - SHIFT) : max(end, middle + SHIFT + 1)] = True
            for start, end in peaks:
                self.near[task, max(start - WINDOW // 2, 0) : end + WINDOW // 2] = True

    def centres(self, task: int, part: tuple[int, int]) -> np.ndarray:
        """Midpoints of a factor's peaks of a part."""
        return np.array([(s + e) // 2 for s, e in self.peaks[task] if part[0] <= s < part[1]])

    def labels(self, centres: np.ndarray) -> tuple[Tensor, Tensor]:
        """Labels (N, factors) of windows, and whether they are known: not at the edge of a peak."""
        inside, near = self.inside[:, centres].T, self.near[:, centres].T
        return torch.from_numpy(inside).float(), torch.from_numpy(inside | ~near).float()

    def one_hot(self, centres: np.ndarray) -> np.ndarray:
        """Windows (N, 4, L)."""
        return self.chromosome.windows(centres).numpy().astype(np.uint8)


def log_odds(name: str) -> dict[str, np.ndarray]:
    """A matrix of JASPAR in bits against a uniform background, by base."""
    database = read_database(str(ROOT / "data" / "jaspar2026-insects.meme"))
    found = next(motif.frequencies for motif in database if motif.name == name)
    bits = np.log2((found + PSEUDOCOUNT) / (1 + 4 * PSEUDOCOUNT) / 0.25)
    return dict(zip("ACGT", bits.T, strict=True))


def check_matrices(data: Peaks) -> list[dict[str, Any]]:
    """How well the best match of each matrix tells each factor's peaks from random windows."""
    random = data.one_hot(data.chromosome.background((0, TEST[1]), 3000, np.random.default_rng(0)))
    rows = []
    for task, factor in enumerate(FACTORS):
        centres = data.centres(task, (0, TEST[1]))
        for other in FACTORS:
            matrix = log_odds(other.motif)
            background = best(random, matrix)
            row = {"peaks": factor.name, "n": len(centres), "matrix": f"{other.motif} {other.name}"}
            for moved in (0, 250, 500, 1000):
                found = best(data.one_hot(centres + moved), matrix)
                row[f"auroc, moved {moved}" if moved else "auroc"] = separation(found, background)
            found = best(data.one_hot(centres), matrix)
            for name, values in (("peaks", found), ("random", background)):
                row[f"{name} with a match"] = float((values > other.bits).mean())
            rows.append({**row, **on_test_part(data, task, matrix)})
    return rows


def on_test_part(data: Peaks, task: int, matrix: dict[str, np.ndarray]) -> dict[str, float]:
    """What the best match reaches where the networks are tested: AUROC against both backgrounds."""
    rng, centres, chromosome = np.random.default_rng(1), data.centres(task, TEST), data.chromosome
    found = best(data.one_hot(centres), matrix)
    backgrounds = {
        "random": chromosome.background(TEST, 1500, rng),
        "GC": chromosome.matched(TEST, centres, 10, rng),
    }
    return {
        f"test auroc, {name}": separation(found, best(data.one_hot(chosen), matrix))
        for name, chosen in backgrounds.items()
    }


def best(one_hot: np.ndarray, matrix: dict[str, np.ndarray]) -> np.ndarray:
    """Score of the best match in each window."""
    parts = np.array_split(one_hot, -(-len(one_hot) // 200))
    return np.concatenate([matrix_scores(part, matrix).max(axis=(0, 2)) for part in parts])


def separation(positive: np.ndarray, negative: np.ndarray) -> float:
    """AUROC of scores."""
    labels = np.repeat([True, False], [len(positive), len(negative)])
    return auroc(np.concatenate([positive, negative]), labels)
