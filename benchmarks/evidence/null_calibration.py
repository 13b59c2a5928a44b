"""How often seqlets are called where there is nothing: shuffled windows, under both nulls.

    python -m benchmarks.evidence.null_calibration --save     5 min

The 221 held-out su(Hw) peaks are shuffled, each window twice, keeping dinucleotides: 442 windows without
sites to look at, and as many others for the background, anew for each of 20 seeds. The shipped model
explains them by three methods, and seqlets of either sign are called at q <= 0.05: against the background,
and against the windows' own contributions, permuted. With a calibrated null no more than one run in twenty
calls anything: where nothing is there, the false discovery rate is the chance of a single call (Benjamini &
Hochberg 1995).
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.evidence.methods import BEFORE
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.cli.main import run
from sparselrp_cli.motifs.null import SIGNS, NoNullError, fit_null
from sparselrp_cli.motifs.seqlets import call_seqlets
from sparselrp_cli.motifs.shuffled import write_shuffled
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Coordinates

MODEL, GENOME = ROOT / "models" / "suhw-dm3", ROOT / "data" / "chr2R-15-21Mb.fa.gz"
METHODS = {
    "the default": (),
    "before 0.2.0": BEFORE,
    "gradient x input": ("-p", "0", "--composite", "zero", "--centre", "none"),
}
SEEDS, FDR = 20, 0.05


@dataclass(frozen=True, eq=False)
class Maps:
    """Contributions of some windows, shape (N, L), as `fit_null` and `call_seqlets` read an archive's."""

    values: np.ndarray
    path: Path = Path("shuffled")

    @property
    def n_windows(self) -> int:
        return len(self.values)

    @property
    def coordinates(self) -> Coordinates:
        """Each window is a sequence of its own."""
        n, length = self.values.shape
        start = np.zeros(n, np.int64)
        return Coordinates(np.arange(n, dtype=np.int32), start, start + length)

    def chunks(self, size: int = 256) -> Iterator[slice]:
        for start in range(0, self.n_windows, size):
            yield slice(start, min(start + size, self.n_windows))

    def contributions(self, rows: slice | np.ndarray, _: int = 0) -> np.ndarray:
        return self.values[rows]


def shuffled_windows(folder: Path, seeds: int) -> tuple[Path, int]:
    """Write the windows of all seeds, two sets of each, to one FASTA: its path, and the size of a set."""
    peaks = folder / "peaks"
    explained("the peaks", peaks, ("-r", ROOT / "data" / "suhw-peaks.bed"), sequences=GENOME)
    everything, size = folder / "shuffled.fa", 0
    with everything.open("w") as out:
        for seed in range(2 * seeds):
            size = write_shuffled(peaks.with_suffix(".h5"), folder / "set.fa", seed=seed)
            for number, sequence in enumerate((folder / "set.fa").read_text().splitlines()[1::2]):
                out.write(f">{seed}_{number}\n{sequence}\n")
    return everything, size


def explained(what: str, prefix: Path, options: Sequence[object], *, sequences: Path) -> Path:
    """Explain windows with the shipped model."""
    given = ["attribute", sequences, "-m", MODEL, "-o", prefix, "--formats", "h5", "-q", *options]
    if run([str(word) for word in given]) != 0:
        raise SystemExit(f"{what} can't be explained")
    return prefix.with_suffix(".h5")


def calls(windows: Maps, background: Maps) -> Iterator[dict[str, object]]:
    """Call seqlets of either sign under both nulls."""
    for kind, source in (("background", background), ("permuted", windows)):
        for sign, name in SIGNS.items():
            try:
                null = fit_null(source, kind, sign)
            except NoNullError:
                yield {"null": kind, "sign": name, "called": 0, "has_null": False}
                continue
            called = len(call_seqlets(windows, null, sign, fdr=FDR))
            yield {"null": kind, "sign": name, "called": called, "has_null": True}


def measure(seeds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sequences, size = shuffled_windows(folder, seeds)
        for number, (method, options) in enumerate(METHODS.items()):
            archive = explained(method, folder / f"method{number}", options, sequences=sequences)
            with ArchiveReader(archive) as reader:
                values = np.concatenate([reader.contributions(part) for part in reader.chunks()])
            sets = [Maps(part.astype(np.float64)) for part in np.split(values, len(values) // size)]
            for seed in range(seeds):
                found = calls(sets[2 * seed], sets[2 * seed + 1])
                rows += [{"method": method, "seed": seed, "windows": size, **row} for row in found]
            archive.unlink()
            print(summary(rows).to_string(index=False), flush=True)
    return rows


def summary(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Count, for each method, null and sign, the runs that called anything, and what they called."""
    table = pd.DataFrame(rows)
    table["any"] = table["called"] > 0
    keys = ["method", "null", "sign"]
    return (
        table.groupby(keys, sort=False)
        .agg(
            runs=("any", "size"),
            runs_with_calls=("any", "sum"),
            called=("called", "sum"),
            most=("called", "max"),
        )
        .reset_index()
    )


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--seeds", type=int, default=SEEDS, help="how often (default: %(default)s)")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("null_calibration", given, torch.device("cpu"))
    keeper.keep({"rows": measure(given.seeds)})


if __name__ == "__main__":
    main()
