"""How segments score where there is no motif, and what that makes of an observed score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError, OutputError, number_of
from sparselrp_cli.motifs.segments import maximal_segments
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.maps import WindowMaps
from sparselrp_cli.settings.manifest import other_explanation, read_manifest

Doubles = npt.NDArray[np.float64]

TAIL = 0.1
# Enough to fit a tail, and seconds to read.
MOST_WINDOWS = 20_000
LEAST_SEGMENTS = 100
# Of the root mean square of the null. Permuted contributions hold the motifs' own large values, singly: a
# higher drift keeps neighbouring background from joining them.
DRIFTS = {"background": 1.0, "permuted": 2.0}
SIGNS = {1: "positive", -1: "negative"}


class NoNullError(InputError):
    """Relevance of one sign has no null: there is none of it, or too little to fit a tail."""


@dataclass(frozen=True, eq=False)
class Null:
    """Scores of segments without a motif, for one sign of relevance.

    The best segment of a random sequence with negative drift has an exponential tail (Karlin & Altschul, PNAS
    1990): above the threshold, a tenth of the sample, that is fitted; below it the sample itself counts.

    Attributes
    ----------
    kind : str
        ``background``: of other windows; ``permuted``: of the windows' own contributions in random order.
    drift : float
        What is taken off every contribution before segments are looked for, in units of relevance.
    sample : ndarray of float64, shape (k,)
        Scores of the segments found in the null, ascending.
    threshold, rate : float
        Where the tail begins, and its rate per unit of relevance.
    n_windows : int
        Windows looked at.
    """

    kind: str
    drift: float
    sample: Doubles
    threshold: float
    rate: float
    n_windows: int

    @property
    def calibrated(self) -> bool:
        """Whether windows without a site are called as seldom as q says.

        Permuting takes neighbouring contributions apart. Segments of a map in which neighbours are alike, as
        they are in most, then score more than the null gives without any site
        (``benchmarks/evidence/null_calibration.py``).
        """
        return self.kind == "background"

    def p_values(self, scores: Doubles) -> Doubles:
        """Give the probability that a segment of the null scores as much or more.

        Parameters
        ----------
        scores : ndarray of float64, shape (n,)

        Returns
        -------
        ndarray of float64, shape (n,)
        """
        at_least = len(self.sample) - np.searchsorted(self.sample, scores, side="left")
        counted = (at_least + 1) / (len(self.sample) + 1)
        fitted = TAIL * np.exp(-self.rate * (scores - self.threshold))
        return np.where(scores > self.threshold, np.minimum(fitted, 1.0), counted)

    def as_record(self) -> dict[str, Any]:
        """Give what a reader of the results needs to know, as JSON."""
        return {
            "kind": self.kind,
            "calibrated": self.calibrated,
            "windows": self.n_windows,
            "segments": len(self.sample),
            "drift": self.drift,
            "tail_threshold": self.threshold,
            "tail_rate": self.rate,
        }


def fit_null(reader: WindowMaps, kind: str, sign: int, target: int = 0, seed: int = 0) -> Null:
    """Fit the null of one sign from an archive.

    Parameters
    ----------
    reader : WindowMaps
        Of background windows, or of the windows themselves where `kind` is ``permuted``.
    kind : str
        One of `DRIFTS`.
    sign : int
        1 or -1.
    target, seed : int

    Returns
    -------
    Null

    Raises
    ------
    NoNullError
        If the archive has no contribution at all, or too few segments to fit a tail.
    """
    rows = _spread_out(reader.n_windows)
    blocks = [rows[i : i + 256] for i in range(0, len(rows), 256)]
    squares, count = 0.0, 0
    for block in blocks:
        part = reader.contributions(block, target).astype(np.float64)
        squares, count = squares + float(np.square(part).sum()), count + part.size
    if squares == 0:
        raise NoNullError(f"{reader.path.name}: all relevance is zero; there is no null to compare with")
    drift = DRIFTS[kind] * float(np.sqrt(squares / count))
    found = []
    for block in blocks:
        part = sign * reader.contributions(block, target).astype(np.float64)
        if kind == "permuted":
            part = np.stack([_permuted(x, seed, int(row)) for row, x in zip(block, part, strict=True)])
        found += [maximal_segments(x - drift)[2] for x in part]
    sample = np.sort(np.concatenate(found))
    if len(sample) < LEAST_SEGMENTS:
        raise NoNullError(
            f"{reader.path.name}: {number_of(len(sample), 'segment')} of {SIGNS[sign]} relevance"
            f" {'is' if len(sample) == 1 else 'are'} too few for a null (at least {LEAST_SEGMENTS}); give"
            " --background with more windows"
        )
    threshold = float(np.quantile(sample, 1 - TAIL))
    excess = sample[sample > threshold] - threshold
    rate = float(1 / excess.mean()) if len(excess) else np.inf
    return Null(kind, drift, sample, threshold, rate, len(rows))


def require_same_explanation(reader: ArchiveReader, background: ArchiveReader, target: int) -> int:
    """Check that a background was explained as the windows were.

    Returns
    -------
    int
        The target's number in the background.

    Raises
    ------
    OutputError
        If model, rules, a setting that decides the contributions, or target differ: scores don't compare.
    """
    same = "make it with the same model and options"
    if other := other_explanation(read_manifest(reader), read_manifest(background)):
        raise OutputError(f"{background.path} was made with {other}, unlike {reader.path}; {same}")
    name = reader.target_names[target]
    if name not in background.target_names:
        raise OutputError(f"{background.path} has no target '{name}'; {same}")
    return background.target_names.index(name)


def q_values(p: Doubles, n_tests: int | None = None) -> Doubles:
    """Give the false discovery rate at which each test is called (Benjamini & Hochberg 1995).

    Parameters
    ----------
    p : ndarray of float64, shape (n,)
    n_tests : int, optional
        Where `p` are the smallest of more tests.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    if not len(p):
        return p
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (n_tests or len(p)) / np.arange(1, len(p) + 1)
    q = np.empty_like(p)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def _spread_out(n: int) -> npt.NDArray[np.int64]:
    """At most `MOST_WINDOWS` of n rows, evenly."""
    k = min(n, MOST_WINDOWS)
    return np.arange(k, dtype=np.int64) * n // max(k, 1)


def _permuted(x: Doubles, seed: int, row: int) -> Doubles:
    return np.random.Generator(np.random.Philox(key=[seed, row])).permutation(x)
