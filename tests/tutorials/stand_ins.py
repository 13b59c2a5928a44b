"""Small files under the names that tutorial pages use."""

from pathlib import Path

import numpy as np

MOTIF = "CAGATAAGC"
"""Planted in the middle of every peak, give or take some bases."""


def write_genome(path: Path, n_peaks: int, spacing: int, seed: int = 0) -> list[int]:
    """Write a chromosome with a motif by each peak; gives the middles of the peaks."""
    rng = np.random.default_rng(seed)
    bases = rng.choice(list("ACGT"), n_peaks * spacing)
    middles = [spacing // 2 + spacing * i for i in range(n_peaks)]
    for middle in middles:
        start = middle + int(rng.integers(-30, 20))
        bases[start : start + len(MOTIF)] = list(MOTIF)
    path.write_text(f">chr1\n{''.join(bases)}\n")
    return middles


def write_peaks(path: Path, middles: list[int]) -> None:
    """Write peaks of 100 bp; a narrowPeak has its summits in the middles, 40 bp behind its starts."""
    narrow = path.suffix == ".narrowPeak"
    before, more = (40, "\t9.5\t8.5\t7.5\t40") if narrow else (50, "")
    lines = [f"chr1\t{m - before}\t{m - before + 100}\tpeak{i}\t0\t.{more}\n" for i, m in enumerate(middles)]
    path.write_text("".join(lines))


def write_database(path: Path) -> None:
    """Write a MEME file of the planted motif and 40 others."""
    rng = np.random.default_rng(1)
    named = {f"other{i}": rng.dirichlet(np.full(4, 0.3), 9) for i in range(40)}
    named["planted"] = np.array([[0.97 if base == b else 0.01 for b in "ACGT"] for base in MOTIF])
    lines = ["MEME version 4", "", "ALPHABET= ACGT", ""]
    for name, matrix in named.items():
        lines += [f"MOTIF {name}", f"letter-probability matrix: alength= 4 w= {len(matrix)} nsites= 20 E= 0"]
        lines += [" ".join(f"{x:.6f}" for x in row) for row in matrix] + [""]
    path.write_text("\n".join(lines))


def matched_filter() -> tuple[np.ndarray, float]:
    """Weights (4, width of the motif) of a filter, and a bias by which six of nine bases are enough."""
    weights = np.full((4, len(MOTIF)), -1.0)
    for place, base in enumerate(MOTIF):
        weights["ACGT".index(base), place] = 1.0
    return weights, -2.0
