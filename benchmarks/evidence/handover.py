"""What TF-MoDISco and Fi-NeMo make of our files, by how the peaks are explained.

    python -m benchmarks.evidence.handover --save               needs `modisco` and `finemo`; 30 minutes
    python -m benchmarks.evidence.handover --remedies --save    what to do about exact zeros; 15 minutes

The 221 held-out su(Hw) peaks are explained in several ways. `modisco motifs` reads the arrays (npz); of the
default the same in one file (h5), too, and the archive, whose zeros are exact. Fi-NeMo reads the archive and
its windows, and calls hits of what TF-MoDISco found. A pattern is su(Hw)'s if Tomtom finds MA0533.1 first
among JASPAR's insects with q < 0.01.

With --remedies the maps are planted: sites of three motifs on noise (`evidence/seqlets.py`), of which the
smallest 95 or 97 % are zero. They reach TF-MoDISco as they are, with noise on the zeros, or as before the
zeros were made.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from benchmarks.evidence.methods import COMMANDS
from benchmarks.evidence.seqlets import PLANTED, planted
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.cli.main import run
from sparselrp_cli.motifs.database import match, read_database
from sparselrp_cli.outputs.archive import ArchiveReader

SUHW = "MA0533.1"
MODISCO = ("-n", "2000", "-w", "400")


def explain(prefix: Path, options_of_way: Sequence[str]) -> float:
    """Explain the peaks; give the share of zeros."""
    genome, model = ROOT / "data" / "chr2R-15-21Mb.fa.gz", ROOT / "models" / "suhw-dm3"
    given = ["attribute", str(genome), "-r", str(ROOT / "data" / "suhw-peaks.bed"), "-m", str(model)]
    formats = ("--formats", "h5,modisco,modisco-h5,finemo")
    assert run([*given, *options_of_way, "-o", str(prefix), "-q", *formats]) == 0
    with ArchiveReader(f"{prefix}.h5") as reader:
        return float(reader.column("zero_share").mean())


def tool(*command: object) -> str | None:
    """Run a program installed with this Python, or on the path; give its last words if it fails."""
    name, *arguments = map(str, command)
    beside = Path(sys.executable).parent / name
    program = str(beside) if beside.exists() else (shutil.which(name) or name)
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["failed"])[-1]


def patterns(path: Path, database: Any, wanted: tuple[str, ...] = (SUHW,)) -> dict[str, Any]:
    """How many seqlets and patterns there are, and how many of each are of the motifs wanted."""
    found = {"patterns": 0, "right patterns": 0, "seqlets": 0, "right seqlets": 0}
    names = set()
    with h5py.File(path) as file:
        for group in ("pos_patterns", "neg_patterns"):
            for pattern in file.get(group, {}).values():
                n = int(pattern["seqlets"]["n_seqlets"][0])
                weight = np.abs(pattern["contrib_scores"][:]).sum(axis=1)
                kept = np.flatnonzero(weight >= 0.2 * weight.max())
                best = match(n * pattern["sequence"][:][kept[0] : kept[-1] + 1], database)[0]
                right = best.name in wanted and best.q < 0.01
                names |= {best.name} if right else set()
                found["patterns"] += 1
                found["right patterns"] += right
                found["seqlets"] += n
                found["right seqlets"] += n * right
    return found | {"motifs": len(names)}


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument(
        "--input",
        choices=("all", "arrays", "one file", "archive"),
        default="all",
        help="measure one only, which isn't kept: kept figures are of one run",
    )
    found.add_argument(
        "--remedies", action="store_true", help="planted maps with zeros, handed over in six ways"
    )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options()
    given = asked.parse_args(arguments)
    if given.input != "all" and (given.save or given.out):
        asked.error("--input measures a part; --save and --out keep whole runs")
    keeper = Keeper.start("remedies" if given.remedies else "handover", given, torch.device("cpu"))
    database = read_database(str(ROOT / "data" / "jaspar2026-insects.meme"))
    if given.remedies:
        remedies(database, keeper)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (way, options_of_way) in enumerate(COMMANDS.items()):
            prefix = Path(folder) / f"way{number}"
            zeros = explain(prefix, options_of_way)
            inputs = {
                "arrays": ("-s", f"{prefix}.ohe.npz", "-a", f"{prefix}.attr.npz"),
                "one file": ("-i", f"{prefix}.modisco.h5"),
                "archive": ("-i", f"{prefix}.h5"),
            }
            for name, files in inputs.items():
                if number and name != "arrays":
                    continue
                if given.input not in ("all", name):
                    continue
                motifs = Path(f"{prefix}.{name}.h5")
                failed = tool("modisco", "motifs", *files, *MODISCO, "-o", motifs)
                row: dict[str, Any] = {"way": way, "zero share": zeros, "input": name, "failed": failed}
                if failed is None:
                    row |= patterns(motifs, database)
                    row["finemo"], row["hits"] = hits(prefix, motifs)
                rows.append(row)
                print(row, flush=True)
                keeper.keep_so_far({"rows": rows})
    keeper.keep({"rows": rows})


def remedies(database: Any, keeper: Keeper) -> None:
    """Hand planted maps with zeros to TF-MoDISco in several ways."""
    matrices = {known.name: known.frequencies for known in database}
    rows: list[dict[str, Any]] = []
    for kind, strength in {"strong noise": 1.0, "weak noise": 0.2}.items():
        motifs = [matrices[name] for name in PLANTED]
        dense, one_hot, _ = planted(motifs, np.random.default_rng(0), strength)
        for share in (0.95, 0.97):
            for name, values in ways(dense, share).items():
                if name.startswith("dense") and share != 0.95:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    ohe, attr, out = (Path(folder) / n for n in ("ohe.npz", "attr.npz", "motifs.h5"))
                    np.savez_compressed(ohe, one_hot)
                    np.savez_compressed(attr, (one_hot * values[:, None]).astype(np.float32))
                    failed = tool("modisco", "motifs", "-s", ohe, "-a", attr, *MODISCO, "-o", out)
                    row = {"maps": kind, "zero share": share, "remedy": name, "failed": failed}
                    rows.append(row | (patterns(out, database, PLANTED) if failed is None else {}))
                print(rows[-1], flush=True)
                keeper.keep_so_far({"rows": rows})
    keeper.keep({"rows": rows})


def ways(dense: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """Ways to hand a map over whose smallest contributions were set to zero."""
    noise = np.random.default_rng(1).normal(size=dense.shape)
    magnitudes = np.abs(dense)
    sparse = np.where(magnitudes >= np.quantile(magnitudes, share), dense, 0)
    left = magnitudes[sparse != 0]
    low, large = np.quantile(left, (0.1, 0.9))
    scales = {
        "noise, 1e-4 of a large contribution": 1e-4 * large,
        "noise, 1e-2 of a large contribution": 1e-2 * large,
        "noise, half the smallest kept": left.min() / 2,
        "noise, half the lowest tenth of those kept": low / 2,
        "noise, a quarter of the lowest tenth": low / 4,
    }
    noisy = {name: np.where(sparse == 0, scale * noise, sparse) for name, scale in scales.items()}
    return {"dense (before the zeros were made)": dense, "as it is": sparse, **noisy}


def hits(prefix: Path, motifs: Path) -> tuple[str, int]:
    """Let Fi-NeMo call hits."""
    regions, out = f"{prefix}.regions.npz", f"{prefix}.hits"
    failed = tool(
        "finemo", "extract-regions-bpnet-h5", "-c", f"{prefix}.h5", "-p", f"{prefix}.regions.narrowPeak",
        "-w", 600, "-o", regions,
    ) or tool(
        "finemo", "call-hits", "-r", regions, "-m", motifs, "-o", out, "-p", f"{prefix}.regions.narrowPeak",
    )  # fmt: skip
    if failed:
        return failed, 0
    with (Path(out) / "hits.tsv").open() as lines:
        return "done", sum(1 for _ in lines) - 1


if __name__ == "__main__":
    main()
