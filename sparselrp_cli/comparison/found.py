"""What a comparison finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparselrp_cli.comparison.matching import Doubles
from sparselrp_cli.evaluation.intervals import Interval


@dataclass(frozen=True)
class Changed:
    """A window, and how much of its mass differs."""

    place: str
    name: str
    differing_share: float


@dataclass(frozen=True)
class OfMotif:
    """A motif at its places in two runs; see `compare.OF_MOTIFS`. Hits are None where none were sought."""

    motif: str
    hits_a: int | None
    hits_b: int | None
    places: int
    mean_a: float
    mean_b: float
    difference: Interval


@dataclass(frozen=True)
class Pair:
    """A run beside the first.

    Attributes
    ----------
    a, b : str
        Labels of the first and of this run.
    means : dict of str to Interval
        Of each of `compare.MEANS`, over the windows.
    changed : tuple of Changed
        The windows that differ most.
    motifs : tuple of OfMotif
        By the magnitude of their differences.
    """

    a: str
    b: str
    means: dict[str, Interval]
    changed: tuple[Changed, ...]
    motifs: tuple[OfMotif, ...]


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes
    ----------
    labels : tuple of str
    windows : int
        That all runs share.
    only : tuple of int
        For each run, how many windows not all others have.
    other_sequence : int
        Windows at the same place with another sequence.
    pairs : tuple of Pair
    files : tuple of Path
    """

    labels: tuple[str, ...]
    windows: int
    only: tuple[int, ...]
    other_sequence: int
    pairs: tuple[Pair, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """Numbers of every shared window and of every place of a motif.

    Attributes
    ----------
    columns : sequence of mapping of str to ndarray of float64, shape (n,)
        Of each run but the first, `compare.MEASURES`.
    at_sites : sequence of ndarray of float64
        For each run, the sum of its contributions over each place; empty without places.
    """

    columns: Sequence[Mapping[str, Doubles]]
    at_sites: Sequence[Doubles]
