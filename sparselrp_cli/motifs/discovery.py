"""Motifs from seqlets: TF-MoDISco clusters, we merge and align what it has split."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import is_installed, number_of
from sparselrp_cli.motifs.alignment import (
    Context,
    Instances,
    best_alignment,
    frequencies,
    information,
    realign,
)
from sparselrp_cli.motifs.null import SIGNS
from sparselrp_cli.motifs.seqlets import Seqlets
from sparselrp_cli.outputs.archive import ArchiveReader

logger = logging.getLogger("sparselrp")
Rows = npt.NDArray[np.int64]

PACKAGES = "modiscolite", "memelite"
"""What the extra ``motifs`` brings."""
# In bp. TF-MoDISco's own: 21 with 10 on either side.
SEQLET = 41
CONTEXT = 121
REACH = 12
WIDEST = 40
# Agreement from which two clusters are one motif, see `best_alignment`.
MERGE = 0.7
ROUNDS = 3
# TF-MoDISco's time grows faster than its seqlets, and most of it is in runs of Leiden.
CLUSTERED = 2000
SEED_RUNS = 2
# Columns are trimmed off the ends while they contribute less than this share of the largest.
TRIM = 0.15
LEAST_WIDTH = 6
LEAST_BITS = 6.0
# A random sequence has s bits or more with a probability of at most 2^-s: what is expected less than once at
# all the places that a seqlet is tried at.
LEAST_FIT = float(np.log2(2 * (2 * REACH + 1)))


@dataclass(frozen=True, eq=False)
class Motif:
    """A motif with its instances.

    Attributes
    ----------
    sign : int
    instances : Instances
        In the contexts of the seqlets of this sign.
    counts : ndarray of float64, shape (w, 4)
        Bases at each position over the instances.
    contributions : ndarray of float64, shape (w, 4)
        Mean contributions, the CWM.
    hypothetical : ndarray of float64, shape (w, 4)
        Mean hypothetical contributions.
    """

    sign: int
    instances: Instances
    counts: npt.NDArray[np.float64]
    contributions: npt.NDArray[np.float64]
    hypothetical: npt.NDArray[np.float64]

    @property
    def width(self) -> int:
        """In bp."""
        return len(self.counts)

    @property
    def consensus(self) -> str:
        """The commonest base of each column; in lower case where it has less than half of the instances."""
        f = frequencies(self.counts)
        return "".join("ACGTacgt"[b + 4 * (top < 0.5)] for b, top in zip(f.argmax(1), f.max(1), strict=True))


def can_find_motifs() -> bool:
    """Whether the packages of the extra ``motifs`` are installed: TF-MoDISco, Tomtom and FIMO."""
    return all(map(is_installed, PACKAGES))


def find_motifs(
    context: Context,
    sign: int,
    *,
    least: int = 20,
    seed_runs: int = SEED_RUNS,
    most_clustered: int = CLUSTERED,
) -> list[Motif]:
    """Find motifs among the seqlets of one sign, commonest first.

    TF-MoDISco (Shrikumar et al. 2018) clusters the seqlets. On few seqlets, and on very sparse ones, it
    leaves the two strands of a motif, or its halves, apart; so clusters that agree are merged, and each
    seqlet is laid to the motif that fits it best, three times over.

    Parameters
    ----------
    context : Context
    sign : int
        1 or -1.
    least : int
        Motifs have at least so many seqlets.
    seed_runs : int
        How often TF-MoDISco repeats its clustering, each time with another seed.
    most_clustered : int
        Of more seqlets than this TF-MoDISco gets as many, spread evenly over the order of strength; all are
        laid to the motifs that it finds in them.

    Returns
    -------
    list of Motif
    """
    if len(context.one_hot) < max(least, 3):
        return []
    chosen = spread_evenly(len(context.one_hot), most_clustered)
    logger.info("%s relevance: clustering %s", SIGNS[sign], number_of(len(chosen), "seqlet"))
    clusters = _clusters(context, chosen, sign, least, seed_runs)
    motifs = [m for m in (_trimmed(context, c, sign) for c in clusters) if m is not None]
    logger.info(
        "%s relevance: laying %s to %s",
        SIGNS[sign], number_of(len(context.one_hot), "seqlet"), number_of(len(motifs), "cluster"),
    )  # fmt: skip
    for _ in range(ROUNDS):
        motifs = _assigned(context, _merged(context, motifs), sign, least)
    return sorted(_merged(context, motifs), key=lambda m: -len(m.instances.index))


def seqlet_context(reader: ArchiveReader, seqlets: Seqlets, target: int = 0) -> Context:
    """Cut out what surrounds each seqlet, in the order of the seqlets."""
    one_hot = np.zeros((len(seqlets), CONTEXT, 4), np.float32)
    hypothetical = np.zeros_like(one_hot)
    half = CONTEXT // 2
    for first in range(0, len(seqlets), 256):
        part = slice(first, first + 256)
        bases, maps = reader.read(seqlets.row[part], target)
        for i, centre in enumerate(seqlets.centre[part]):
            start, end = max(0, centre - half), min(reader.window_length, centre + half + 1)
            at = slice(start - centre + half, end - centre + half)
            one_hot[first + i, at] = bases[i, :, start:end].T
            hypothetical[first + i, at] = maps[i, :, start:end].T
    return Context(one_hot, hypothetical)


def spread_evenly(n: int, most: int) -> Rows:
    """Choose rows at equal distances, all of them where they aren't more than `most`."""
    return np.arange(n) if n <= most else np.arange(most) * n // most


def _clusters(context: Context, chosen: Rows, sign: int, least: int, seed_runs: int) -> list[Instances]:
    """Cluster the chosen seqlets."""
    from modiscolite import core, tfmodisco

    from sparselrp_cli.motifs.kept_loops import keep_loops, loops, say_if_compiling

    keep_loops()
    say_if_compiling("TF-MoDISco", (loop for loop, _ in loops()))
    # A motif of as few seqlets as are asked for has its share of these among the chosen ones.
    smallest = max(3, least * len(chosen) // (4 * len(context.one_hot)))
    context = Context(context.one_hot[chosen], context.hypothetical[chosen])
    n = len(chosen)
    # An unknown base is any base: columns without one are divided by their sum in there.
    known = context.one_hot.any(axis=2, keepdims=True)
    tracks = core.TrackSet(
        one_hot=np.where(known, context.one_hot, np.float32(0.25)),
        contrib_scores=context.contributions,
        hypothetical_contribs=context.hypothetical,
    )
    start = context.middle - SEQLET // 2
    seqlets = tracks.create_seqlets([core.Seqlet(i, start, start + SEQLET, False) for i in range(n)])
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            patterns = tfmodisco.seqlets_to_patterns(
                seqlets=seqlets, track_set=tracks, track_signs=sign, n_leiden_runs=seed_runs,
                trim_to_window_size=30, initial_flank_to_add=10, final_min_cluster_size=smallest,
            )  # fmt: skip
    except ValueError as error:
        # It keeps seqlets whose two measures of likeness agree, and fails where it keeps none: among equal
        # seqlets, as of a network that reads one word, neither measure varies.
        if "empty sequence" not in str(error):
            raise
        return _equal_ones(context, chosen, start, smallest)
    return [_instances_of(pattern, chosen) for pattern in patterns or []]


def _equal_ones(context: Context, chosen: Rows, start: int, least: int) -> list[Instances]:
    """Cluster seqlets whose contributions are equal on the one strand or the other, to the last bit."""
    maps = context.contributions[:, start : start + SEQLET]
    alike: dict[bytes, list[tuple[int, bool]]] = {}
    for row, forward in enumerate(maps):
        strands = (forward.tobytes(), False), (forward[::-1, ::-1].tobytes(), True)
        key, reverse = min(strands)
        alike.setdefault(key, []).append((row, reverse))
    clusters = []
    for members in alike.values():
        if len(members) >= least:
            rows = chosen[[row for row, _ in members]]
            turned = np.array([reverse for _, reverse in members])
            clusters.append(Instances(rows, np.full(len(rows), start), turned, SEQLET))
    return clusters


def _instances_of(pattern: Any, chosen: Rows) -> Instances:
    members = pattern.seqlets
    return Instances(
        index=chosen[np.array([s.example_idx for s in members], np.int64)],
        start=np.array([s.start for s in members], np.int64),
        reverse=np.array([s.is_revcomp for s in members], bool),
        width=len(pattern.sequence),
    )


def _motif(context: Context, instances: Instances, sign: int) -> Motif:
    return Motif(
        sign,
        instances,
        counts=instances.cut(context.one_hot).sum(axis=0, dtype=np.float64),
        contributions=instances.cut(context.contributions).mean(axis=0, dtype=np.float64),
        hypothetical=instances.cut(context.hypothetical).mean(axis=0, dtype=np.float64),
    )


def _trimmed(context: Context, instances: Instances, sign: int) -> Motif | None:
    """Make a motif of the columns that matter; None where too few do."""
    # A motif that grew off-centre is looked at with its surroundings.
    wide = instances.window(-5, instances.width + 5)
    motif = _motif(context, wide, sign)
    weight = np.maximum(sign * motif.contributions.sum(axis=1), 0)
    columns = np.flatnonzero(weight >= TRIM * weight.max())
    if not weight.any():
        return None
    start, end = int(columns[0]), int(columns[-1]) + 1
    if end - start > WIDEST:
        centre = int((weight * np.arange(len(weight))).sum() / weight.sum())
        start, end = max(start, centre - WIDEST // 2), min(end, centre + WIDEST // 2)
    trimmed = _motif(context, wide.window(start, end), sign)
    if trimmed.width < LEAST_WIDTH or information(trimmed.counts).sum() < LEAST_BITS:
        return None
    return trimmed


def _merged(context: Context, motifs: list[Motif]) -> list[Motif]:
    """Merge motifs that agree, the commoner first."""
    merged: list[Motif] = []
    for motif in sorted(motifs, key=lambda m: -len(m.instances.index)):
        for i, other in enumerate(merged):
            agreement, offset, reverse = best_alignment(other.counts, motif.counts)
            if agreement >= MERGE:
                joining = motif.instances.flipped() if reverse else motif.instances
                joining = joining.window(-offset, other.width - offset)
                both = _trimmed(context, other.instances.with_those_of(joining), motif.sign)
                merged[i] = both or other
                break
        else:
            merged.append(motif)
    return merged


def _assigned(context: Context, motifs: list[Motif], sign: int, least: int) -> list[Motif]:
    """Lay each seqlet to the motif that fits it best, if any does; drop motifs with too few."""
    everything = np.arange(len(context.one_hot))
    while motifs:
        laid = [realign(context, m.counts, everything, REACH) for m in motifs]
        bits = np.stack([b for _, b in laid])
        best = np.where(bits.max(axis=0) > LEAST_FIT, bits.argmax(axis=0), -1)
        sizes = np.bincount(best[best >= 0], minlength=len(motifs))
        smallest = int(sizes.argmin())
        if sizes[smallest] < least:
            motifs = [m for i, m in enumerate(motifs) if i != smallest]
            continue
        found = [_trimmed(context, laid[i][0].take(best == i), sign) for i in range(len(motifs))]
        return [m for m in found if m is not None]
    return []
