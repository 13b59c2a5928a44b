"""Small archives for the tests of this folder."""

import numpy as np

from helpers.manifests import manifest as a_manifest
from sparselrp_cli.outputs.archive import ACCOUNTING, ArchiveRows, ArchiveWriter
from sparselrp_cli.sequences.windows import Window

SIZES = {"chr2": 60, "chr10": 45, "empty": 7, "chr1": 50}


def windows_at(places, length):
    """Windows at (chrom, start), named and numbered in their order."""
    return [
        Window(chrom, start, start + length, f"peak_{i}", "+-."[i % 3], 2 * i)
        for i, (chrom, start) in enumerate(places)
    ]


def random_rows(places, length, n_targets=1, seed=0, zero_share=0.5, dtype=np.float32, spread=False):
    """Rows with random maps at (chrom, start); a fifth of the bases is unknown, many are zero."""
    rng = np.random.default_rng(seed)
    n = len(places)
    bases = rng.integers(0, 5, (n, length))
    maps = rng.normal(size=(n_targets, n, 4, length)).astype(dtype)
    maps[np.broadcast_to(rng.random((n_targets, n, 1, length)) < zero_share, maps.shape)] = 0
    deviations = {
        "score_sd": np.abs(rng.normal(size=(n_targets, n))),
        "contribution_sd": np.abs(rng.normal(size=(n_targets, n, length)).astype(np.float32)),
    }
    return ArchiveRows(
        windows=windows_at(places, length),
        one_hot=(bases[:, np.newaxis] == np.arange(4)[:, np.newaxis]).astype(np.uint8),
        hypothetical=maps,
        accounting={name: rng.normal(size=(n_targets, n)) for name in ACCOUNTING},
        n_unknown=(bases == 4).sum(axis=1),
        spread=deviations if spread else None,
    )


def random_places(n, seed=0):
    """(chrom, start) all over the chromosomes and over their ends."""
    rng = np.random.default_rng(seed)
    return [(str(rng.choice(["chr1", "chr2", "chr10"])), int(rng.integers(-5, 45))) for _ in range(n)]


def rows_of_contributions(places, contributions):
    """Rows whose contributions, shape (n, L), are given, all at base A."""
    contributions = np.asarray(contributions, np.float64)
    n, length = contributions.shape
    one_hot = np.zeros((n, 4, length), np.uint8)
    one_hot[:, 0] = 1
    maps = np.zeros((1, n, 4, length))
    maps[0, :, 0] = contributions
    none = np.zeros((1, n))
    return ArchiveRows(
        windows_at(places, length), one_hot, maps, dict.fromkeys(ACCOUNTING, none), np.zeros(n, np.int64)
    )


def write_archive(path, rows, step=None, sizes=SIZES, manifest=None, dtype="float32"):
    """Write rows to an archive, `step` at a time."""
    names = [f"task/{t}" for t in range(rows.n_targets)]
    length, spread = rows.one_hot.shape[2], rows.spread is not None
    with ArchiveWriter(path, window_length=length, target_names=names, dtype=dtype, spread=spread) as writer:
        for start in range(0, len(rows), step or max(1, len(rows))):
            writer.append(rows[start : start + (step or len(rows))])
        writer.finish(sizes, a_manifest().to_json() if manifest is None else manifest)
    return path
