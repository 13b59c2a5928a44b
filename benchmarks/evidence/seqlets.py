"""Seqlets against known sites: ours beside tangermeme's and TF-MoDISco's, by precision and recall.

    python -m benchmarks.evidence.seqlets --save     40 s; with tangermeme if it is installed

Real: the 221 held-out peaks; sites are matches of the su(Hw) matrix above 10 bits on either strand.
Planted: sites of three motifs on noise, whose smallest contributions are set to zero. A seqlet is right if it
overlaps a site; `precision` is the share of seqlets that are right, `recall` the share of sites that a seqlet
overlaps. Long seqlets are right more easily: `base_precision` and `base_recall` count bases.

Where a method cuts is one choice of many: `recall_at_95` and `recall_at_90` are the best recall at which at
least 95 and 90 % of its best seqlets are right, over every cut through its ranking, and for tangermeme's also
over its thresholds.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from benchmarks.evidence.methods import COMMANDS
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.cli.main import run
from sparselrp_cli.evaluation.sites import matrix_hits, read_matrix
from sparselrp_cli.motifs.database import read_database
from sparselrp_cli.motifs.null import fit_null
from sparselrp_cli.motifs.seqlets import call_seqlets
from sparselrp_cli.outputs.archive import ArchiveReader, ArchiveWriter
from sparselrp_cli.outputs.archive.rows import ACCOUNTING, ArchiveRows
from sparselrp_cli.sequences.windows import Window

PLANTED = ("MA0533.1", "MA0013.1", "MA0010.2")
WINDOWS, LENGTH = 400, 500
# row, start, end; the best first
Spans = np.ndarray
THRESHOLDS = (1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1)
PRECISIONS = (0.95, 0.9)


@dataclass(frozen=True)
class Case:
    """Windows with known sites, and a background.

    Attributes
    ----------
    name : str
    windows, background : Path
    sites : ndarray of bool, shape (N, L)
    """

    name: str
    windows: Path
    background: Path
    sites: np.ndarray


def real_cases(folder: Path) -> Iterator[Case]:
    from sparselrp_cli.model.request import ModelRequest
    from sparselrp_cli.runs.background import completed, explain_background
    from sparselrp_cli.runs.stopping import StopRequest

    matrix = read_matrix(ROOT / "data" / "suhw-MA0533.1.jaspar")
    for number, (way, options_of_way) in enumerate(COMMANDS.items()):
        prefix = folder / f"suhw-{number}"
        genome, model = ROOT / "data" / "chr2R-15-21Mb.fa.gz", ROOT / "models" / "suhw-dm3"
        regions = ROOT / "data" / "suhw-peaks.bed"
        given = ["attribute", str(genome), "-r", str(regions), "-m", str(model), "-o", str(prefix), "-q"]
        assert run([*given, *options_of_way, "--formats", "h5"]) == 0
        archive = prefix.with_name(f"{prefix.name}.h5")
        with ArchiveReader(archive) as reader:
            one_hot, _ = reader.read(slice(0, reader.n_windows))
        models = completed((ModelRequest(str(model)),), archive)
        background = explain_background(
            archive, prefix, models, [], lambda batches, _: batches, StopRequest()
        )
        yield Case(f"su(Hw), {way}", archive, background, matrix_hits(one_hot, matrix, 10.0))


def planted_cases(folder: Path) -> Iterator[Case]:
    database = {
        known.name: known.frequencies
        for known in read_database(str(ROOT / "data" / "jaspar2026-insects.meme"))
    }
    rng = np.random.default_rng(0)
    values, bases, sites = planted([database[name] for name in PLANTED], rng)
    noise, other, _ = planted([], rng)
    for share in (0.0, 0.9, 0.95):
        threshold = np.quantile(np.abs(values), share)
        paths = []
        for kind, maps, one_hot in (("planted", values, bases), ("noise", noise, other)):
            paths.append(folder / f"{kind}-{share}.h5")
            _write(paths[-1], one_hot, np.where(np.abs(maps) >= threshold, maps, 0))
        yield Case(f"planted, {100 * share:g} % zeros", paths[0], paths[1], sites)


def planted(
    motifs: list[np.ndarray], rng: np.random.Generator, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smooth noise; in two of three windows a site of a random motif, strength and strand."""
    codes = rng.integers(0, 4, (WINDOWS, LENGTH))
    kernel = np.ones(5) / 5
    smooth = np.stack([np.convolve(rng.normal(size=LENGTH), kernel, "same") for _ in range(WINDOWS)])
    values = noise * smooth
    sites = np.zeros((WINDOWS, LENGTH), bool)
    for row in range(WINDOWS):
        if not motifs or row % 3 == 0:
            continue
        matrix = motifs[rng.integers(len(motifs))]
        matrix = matrix[::-1, ::-1] if rng.random() < 0.5 else matrix
        start = rng.integers(0, LENGTH - len(matrix))
        drawn = [rng.choice(4, p=column) for column in matrix]
        bits = 2 + (matrix * np.log2(np.maximum(matrix, 1e-9))).sum(axis=1)
        here = slice(start, start + len(matrix))
        codes[row, here], sites[row, here] = drawn, True
        values[row, here] += rng.lognormal(0.0, 0.5) * bits
    return values, (codes[:, None] == np.arange(4)[:, None]).astype(np.uint8), sites


def _write(path: Path, one_hot: np.ndarray, values: np.ndarray) -> None:
    n, _, length = one_hot.shape
    windows = [Window("planted", i * length, (i + 1) * length, f"w{i}", "+", i) for i in range(n)]
    maps = (one_hot * values[:, None])[None].astype(np.float32)
    rows = ArchiveRows(
        windows, one_hot, maps, dict.fromkeys(ACCOUNTING, np.zeros((1, n))), np.zeros(n, np.int64)
    )
    with ArchiveWriter(path, window_length=length, target_names=["planted"], dtype="float32") as writer:
        writer.append(rows)
        writer.finish({"planted": n * length}, {"schema_version": 1})


def ours(case: Case, kind: str, fdr: float = 0.05) -> Spans:
    with ArchiveReader(case.windows) as reader, ArchiveReader(case.background) as background:
        null = fit_null(background if kind == "background" else reader, kind, 1)
        assert null is not None
        found = call_seqlets(reader, null, 1, fdr=fdr)
    return np.stack([found.row, found.start, found.end], axis=1)


def tangermeme(case: Case, *, control: bool = False, threshold: float = 0.01) -> Spans:
    from tangermeme.seqlet import recursive_seqlets

    given = {"X_control": _tensor(case.background), "target_fdr": 0.05} if control else {}
    found = recursive_seqlets(_tensor(case.windows), threshold=threshold, **given)
    found = found.sort_values(["p-value", "attribution"], ascending=[True, False], kind="stable")
    return found[["example_idx", "start", "end"]].to_numpy(np.int64)


def modisco(case: Case) -> Spans:
    """Its positive seqlets, of 41 bp, from the map that we hand over."""
    from modiscolite.extract_seqlets import extract_seqlets

    from sparselrp_cli.outputs.motif_files import NOISE, small_magnitude, without_zeros

    with ArchiveReader(case.windows) as reader:
        one_hot, maps = reader.read(slice(0, reader.n_windows))
        scale = NOISE * small_magnitude(reader)
        values = (one_hot * without_zeros(one_hot, maps, first_row=0, scale=scale, seed=0)).sum(axis=1)
    found, threshold = extract_seqlets(
        attribution_scores=values.astype(np.float64), window_size=21, flank=10, suppress=20, target_fdr=0.2,
        min_passing_windows_frac=0.03, max_passing_windows_frac=0.2, weak_threshold_for_counting_sign=0.8,
    )  # fmt: skip
    scores = [values[s.example_idx, s.start + 10 : s.end - 10].sum() for s in found]
    kept = sorted((i for i, score in enumerate(scores) if score > threshold), key=lambda i: -scores[i])
    return np.array([(found[i].example_idx, found[i].start, found[i].end) for i in kept])


def _tensor(path: Path) -> torch.Tensor:
    with ArchiveReader(path) as reader:
        return torch.from_numpy(reader.contributions(slice(0, reader.n_windows)).astype(np.float32))


def measure(found: Spans, sites: np.ndarray) -> dict[str, float]:
    covered = np.zeros_like(sites)
    right = 0
    for row, start, end in found:
        covered[row, max(start, 0) : end] = True
        right += bool(sites[row, max(start, 0) : end].any())
    known = _known(sites)
    hit = sum(bool(covered[row, start:end].any()) for row, start, end in known)
    both = float((covered & sites).sum())
    return {
        "sites": len(known),
        "seqlets": len(found),
        "precision": right / max(len(found), 1),
        "recall": hit / max(len(known), 1),
        "base_precision": both / max(float(covered.sum()), 1.0),
        "base_recall": both / max(float(sites.sum()), 1.0),
    }


def _known(sites: np.ndarray) -> list[tuple[int, int, int]]:
    """Row, start and end of each site."""
    return [
        (row, start, end)
        for row, line in enumerate(sites)
        for start, end in np.flatnonzero(np.diff(np.r_[0, line.astype(int), 0])).reshape(-1, 2)
    ]


def recall_at(rankings: list[Spans], sites: np.ndarray, precision: float) -> float:
    """Find the best recall of any first part of any ranking of which so large a share is right."""
    number = np.zeros(sites.shape, int)
    for i, (row, start, end) in enumerate(_known(sites), 1):
        number[row, start:end] = i
    best = 0
    for spans in rankings:
        hit: set[int] = set()
        right = 0
        for n, (row, start, end) in enumerate(spans, 1):
            here = set(number[row, max(start, 0) : end].tolist()) - {0}
            right, hit = right + bool(here), hit | here
            if right >= precision * n:
                best = max(best, len(hit))
    return best / max(int(number.max()), 1)


def options() -> argparse.ArgumentParser:
    return parser(__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("seqlets", given, torch.device("cpu"))
    methods: dict[str, Callable[[Case], Spans]] = {
        "sparselrp, shuffled windows": lambda case: ours(case, "background"),
        "sparselrp, permuted": lambda case: ours(case, "permuted"),
        "TF-MoDISco": modisco,
    }
    rankings: dict[str, Callable[[Case], list[Spans]]] = {
        "sparselrp, shuffled windows": lambda case: [ours(case, "background", 1.0)],
        "sparselrp, permuted": lambda case: [ours(case, "permuted", 1.0)],
        "TF-MoDISco": lambda case: [modisco(case)],
    }
    if find_spec("tangermeme"):
        methods["tangermeme recursive"] = tangermeme
        methods["tangermeme recursive, control"] = lambda case: tangermeme(case, control=True)
        rankings["tangermeme recursive"] = lambda case: [tangermeme(case, threshold=t) for t in THRESHOLDS]
    else:
        print("tangermeme isn't installed: left out")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for cases in (planted_cases, real_cases):
            for case in cases(Path(folder)):
                for name, call in methods.items():
                    try:
                        row = {"case": case.name, "method": name, **measure(call(case), case.sites)}
                        if name in rankings:
                            ranked = rankings[name](case)
                            row |= {
                                f"recall_at_{100 * p:g}": recall_at(ranked, case.sites, p) for p in PRECISIONS
                            }
                    except Exception as error:  # noqa: BLE001 - that a peer stops is a result
                        row = {"case": case.name, "method": name, "error": f"{type(error).__name__}: {error}"}
                    rows.append(row)
                    print(
                        "  ".join(f"{k}={v:.3f}" if isinstance(v, float) else str(v) for k, v in row.items()),
                        flush=True,
                    )
    keeper.keep({"rows": rows})


if __name__ == "__main__":
    main()
