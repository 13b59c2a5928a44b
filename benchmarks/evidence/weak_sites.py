"""What weak su(Hw) sites lose by pruning, and whether maps depend on the model's weights.

    python -m benchmarks.evidence.weak_sites --save     two minutes

The 221 held-out peaks by the shipped model, explained by the command in several ways. For windows with a
second match of MA0533.1 of 8 bits or more, a motif's width away from the best: how often its relevance is
small or gone. Then maps are compared with those of the model with more and more of its layers shuffled
(Adebayo et al. 2018).
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.evidence.methods import COMMANDS
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.cli.main import run
from sparselrp_cli.evaluation.sites import matrix_scores, read_matrix
from sparselrp_cli.outputs.archive import ArchiveReader

MODEL = str(ROOT / "models" / "suhw-dm3")
MOTIF = ROOT / "data" / "suhw-MA0533.1.jaspar"
WEAK_BITS, WEAK_SHARE = 8.0, 0.05


def archives(folder: Path) -> list[Path]:
    """Explain the peaks in every way."""
    genome, regions = ROOT / "data" / "chr2R-15-21Mb.fa.gz", ROOT / "data" / "suhw-peaks.bed"
    paths = []
    for name, options in COMMANDS.items():
        given = ["attribute", str(genome), "-r", str(regions), "-m", MODEL, "-o", str(folder / name), "-q"]
        assert run([*given, "--formats", "h5", *options]) == 0
        paths.append(folder / f"{name}.h5")
    return paths


def randomised(paths: Sequence[Path], folder: Path) -> list[dict[str, Any]]:
    """Correlate maps with those of the model with shuffled weights."""
    asked = ["evaluate", *map(str, paths), "-q", "-m", MODEL, "--randomise", "--no-mutagenesis"]
    assert run([*asked, "--windows", "20", "-o", str(folder / "random")]) == 0
    found: list[dict[str, Any]] = json.loads((folder / "random.evaluation.json").read_text())["randomisation"]
    return found


def weak_sites(paths: list[Path]) -> list[dict[str, Any]]:
    """What share of second matches has little relevance, and how often none at all."""
    matrix = read_matrix(MOTIF)
    width = len(matrix["A"])
    rows = []
    for path in paths:
        with ArchiveReader(path) as reader:
            one_hot, _ = reader.read(slice(0, reader.n_windows))
            maps = np.abs(reader.contributions(slice(0, reader.n_windows)).astype(float))
            scores = reader.column("score")
        bits = matrix_scores(one_hot, matrix).max(axis=0)
        shares = []
        for a, b, score in zip(maps, bits, scores, strict=True):
            first = int(b.argmax())
            apart = np.abs(np.arange(len(b)) - first) >= width
            second = int(np.where(apart, b, -np.inf).argmax())
            if score > 0 and b[first] > 10 and b[second] >= WEAK_BITS:
                strong, weak = (a[at : at + width].sum() for at in (first, second))
                shares.append(weak / strong if strong else float("nan"))
        values = np.array(shares)
        rows.append(
            {
                "method": path.stem, "second sites": len(values), "median share": float(np.nanmedian(values)),
                "under 5 % of the first": float(np.nanmean(values < WEAK_SHARE)),
                "no relevance": float(np.nanmean(values == 0)),
            }
        )  # fmt: skip
    return rows


def options() -> argparse.ArgumentParser:
    return parser(__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("weak_sites", given, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as name, redirect_stdout(StringIO()):
        folder = Path(name)
        paths = archives(folder)
        kept = {"weak sites": weak_sites(paths), "randomised": randomised(paths[:3], folder)}
    for rows in kept.values():
        print(pd.DataFrame(rows).round(3).to_string(index=False))
    keeper.keep(kept)


if __name__ == "__main__":
    main()
