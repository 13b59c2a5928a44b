"""Real genomics: which p and composite on held-out su(Hw) peaks, beside baselines, and what weak sites lose.

    python -m benchmarks.evidence.real --save     10 minutes on two cores; --quick takes a minute

First, `sparselrp evaluate` over archives of every method of evidence/methods.py,
with gradient x input, mutagenesis and, if tangermeme is installed, DeepLIFT/SHAP, against matches of MA0533.1
over 10 bits and by deletion and insertion. Then, for windows with a second match of 8 bits or more, how often
its relevance is small or gone.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch

from benchmarks.evidence.methods import COMPARED, PROPORTIONS, refined
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper, Tables
from sparselrp_cli.cli.main import run
from sparselrp_cli.evaluation.sites import matrix_scores, read_matrix
from sparselrp_cli.outputs.archive import ArchiveReader

MODEL = str(ROOT / "models" / "suhw-dm3")
MOTIF = str(ROOT / "data" / "suhw-MA0533.1.jaspar")
WEAK_BITS, WEAK_SHARE = 8.0, 0.05


def ways(folder: Path, quick: bool) -> dict[str, list[str]]:
    """Options of every way to explain, plain LRP with epsilon-plus first."""
    plus = ["--composite", "epsilon-plus", "--centre", "none"]
    found = {"LRP epsilon-plus": ["-p", "0", *plus]}
    others = ("z-plus", "epsilon-gamma", "epsilon-alpha2-beta1")
    for composite in ("zero",) if quick else ("zero", *others):
        found[f"LRP {composite}"] = ["-p", "0", "--composite", composite]
    for p in (0.05, 0.25, 0.9) if quick else PROPORTIONS:
        found[f"PLRP-lambda epsilon-plus p={p}"] = ["-p", str(p), *plus]
    for p in () if quick else COMPARED:
        found[f"PLRP-M epsilon-plus p={p}"] = ["-p", str(p), "--redistribute", "m", *plus]
        for kind, other in (("dense", "convolution"), ("convolution", "dense")):
            rules = folder / f"{kind}.toml"
            rules.write_text(f'extends = "epsilon-plus"\n[[rule]]\nkind = "{other}"\nprune = 0.0\n')
            name = f"PLRP-lambda, {kind} only epsilon-plus p={p}"
            found[name] = ["-p", str(p), "--composite", str(rules)]
        for composite in ("z-plus", "epsilon-gamma"):
            found[f"PLRP-lambda {composite} p={p}"] = ["-p", str(p), "--composite", composite]
    found["PLRP-auto epsilon-plus"] = ["-p", "auto", *plus]
    return found


def archives(folder: Path, quick: bool) -> list[Path]:
    """Explain the peaks in every way, and put LRP's ranking below what pruning left."""
    genome, regions = ROOT / "data" / "chr2R-15-21Mb.fa.gz", ROOT / "data" / "suhw-peaks.bed"
    paths = []
    for name, options in ways(folder, quick).items():
        given = ["attribute", str(genome), "-r", str(regions), "-m", MODEL, "-o", str(folder / name), "-q"]
        assert run([*given, "--formats", "h5", *options]) == 0
        paths.append(folder / f"{name}.h5")
    for p in () if quick else COMPARED:
        pruned, name = folder / f"PLRP-lambda epsilon-plus p={p}.h5", f"PLRP-lambda, then LRP p={p}.h5"
        paths.append(Path(shutil.copy(pruned, folder / name)))
        with h5py.File(paths[-1], "r+") as file, h5py.File(paths[0]) as plain:
            bases, maps = file["input_seqs"][:], file["hyp_scores"]
            one_hot, before = (bases * array[:] for array in (maps, plain["hyp_scores"]))
            found = [refined(a.sum(1), b.sum(1)) for a, b in zip(one_hot, before, strict=True)]
            maps[...] = bases * np.stack(found)[:, :, np.newaxis]
    return paths


def evaluated(paths: list[Path], folder: Path, quick: bool) -> dict[str, Any]:
    """Metrics of all windows, and with the model's answer of some."""
    found = {}
    common = ["evaluate", *map(str, paths), "--motif", MOTIF, "--min-score", "0", "-q"]
    assert run([*common, "-o", str(folder / "all")]) == 0
    found["all windows"] = json.loads((folder / "all.evaluation.json").read_text())
    baselines = ["gradient-x-input", "mutagenesis"]
    if find_spec("tangermeme"):
        baselines.append("deeplift-shap")
    options = [part for name in baselines for part in ("--baseline", name)]
    some = ["-m", MODEL, *options, "--faithfulness", "3", "--strands", "--windows", "10" if quick else "60"]
    assert run([*common, *some, "-o", str(folder / "some")]) == 0
    found["some windows"] = json.loads((folder / "some.evaluation.json").read_text())
    two = [
        str(path) for path in paths if path.stem.endswith(("LRP epsilon-plus", "lambda epsilon-plus p=0.25"))
    ]
    asked = ["evaluate", *two, "-q", "-m", MODEL, "--randomise", "--no-mutagenesis", "--windows", "20"]
    assert run([*asked, "-o", str(folder / "random")]) == 0
    found["randomised"] = json.loads((folder / "random.evaluation.json").read_text())["randomisation"]
    return found


def weak_sites(paths: list[Path]) -> list[dict[str, Any]]:
    """What share of second matches has little relevance, and how often none at all."""
    matrix = read_matrix(Path(MOTIF))
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


def tables(found: dict[str, Any]) -> Tables:
    """Lay out what `sparselrp evaluate` found, its parts as tables of their own; empty ones are left out."""
    kept = {}
    for part in ("all windows", "some windows"):
        kept |= {f"{part}, {kind}": rows for kind, rows in found[part].items() if rows}
    return {**kept, "randomised": found["randomised"], "weak sites": found["weak sites"]}


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--quick", action="store_true", help="fewer ways and windows")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("real", given, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as name, redirect_stdout(StringIO()):
        folder = Path(name)
        paths = archives(folder, given.quick)
        found = {**evaluated(paths, folder, given.quick), "weak sites": weak_sites(paths)}
    for part in ("all windows", "some windows"):
        print(pd.DataFrame(found[part]["methods"]).round(3).to_string(index=False))
    print(pd.DataFrame(found["weak sites"]).round(3).to_string(index=False))
    print(pd.DataFrame(found["randomised"]).round(3).to_string(index=False))
    keeper.keep(tables(found))


if __name__ == "__main__":
    main()
