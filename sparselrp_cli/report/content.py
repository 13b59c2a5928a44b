"""The numbers of the report, read from the archive in constant memory for the maps."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.report.windows import by_place
from sparselrp_cli.sequences.windows import Window

Doubles = npt.NDArray[np.float64]

# Of a window, in letters.
CROP = 60
# Of motifs.json.
MOTIFS_VERSION = 2
SHOWN_SKIPPED = 20


@dataclass(frozen=True, eq=False)
class TopWindow:
    """A window that is shown in letters.

    Attributes
    ----------
    row : int
        Of the archive.
    window : Window
    score, relevance, zero_share : float
    start : int
        First position shown, on forward coordinates, 0-based.
    pruned, unpruned : ndarray of float64, shape (L', 4), or None
    """

    row: int
    window: Window
    score: float
    relevance: float
    zero_share: float
    start: int
    pruned: Doubles
    unpruned: Doubles | None


def top_windows(
    reader: ArchiveReader, unpruned: ArchiveReader | None, target: int, n: int
) -> list[TopWindow]:
    """Read the windows of the highest scores, each where it has most relevance."""
    score = reader.column("score", target)
    other = by_place(unpruned) if unpruned is not None else {}
    chosen = []
    for row in np.argsort(-score, kind="stable")[:n]:
        at = np.array([row])
        values = _contributions(reader, at, target)
        window = reader.windows(at)[0]
        first = _densest(np.abs(values).sum(axis=1))
        shown = slice(first, first + CROP)
        beside = None
        if unpruned is not None and (there := other.get((window.chrom, window.start))) is not None:
            number = unpruned.target_number(reader.target_names[target])
            beside = _contributions(unpruned, np.array([there]), number)[shown]
        chosen.append(
            TopWindow(
                int(row), window, float(score[row]), float(values.sum()),
                float((values == 0).all(axis=1).mean()), window.start + first, values[shown], beside,
            )
        )  # fmt: skip
    return chosen


def read_motifs(path: Path) -> dict[str, Any]:
    """Read ``PREFIX.motifs.json``.

    Raises
    ------
    InputError
        If it isn't one.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} isn't JSON; give the PREFIX.motifs.json that `motifs` wrote") from error
    if not isinstance(found, dict) or found.get("schema_version") != MOTIFS_VERSION or "motifs" not in found:
        raise InputError(f"{path} isn't of `sparselrp motifs`, or of another version; make it again")
    return found


def read_skipped(archive: Path) -> tuple[list[str], list[list[str]], int]:
    """Read the first lines of ``PREFIX.skipped.tsv``: header, rows, and how many there are."""
    path = archive.with_name(f"{archive.stem}.skipped.tsv")
    if not path.is_file():
        return [], [], 0
    with path.open(encoding="utf-8", errors="replace") as lines:
        header = next(lines, "").rstrip("\n").split("\t")
        rows, count = [], 0
        for line in lines:
            count += 1
            if count <= SHOWN_SKIPPED:
                rows.append(line.rstrip("\n").split("\t"))
    return header, rows, count


def _contributions(reader: ArchiveReader, rows: npt.NDArray[np.int64], target: int) -> Doubles:
    one_hot, hypothetical = reader.read(rows, target)
    return np.where(one_hot[0] != 0, hypothetical[0].astype(np.float64), 0.0).T


def _densest(weight: Doubles) -> int:
    """Where the stretch of `CROP` with most weight begins."""
    if len(weight) <= CROP:
        return 0
    total = np.concatenate([[0.0], np.cumsum(weight)])
    best = int((total[CROP:] - total[:-CROP]).argmax())
    # The weight in the middle of it; squared, because little things far off pull, too.
    inside = np.square(weight[best : best + CROP])
    centre = best + int((inside * np.arange(len(inside))).sum() / max(inside.sum(), 1e-300))
    return min(max(0, centre - CROP // 2), len(weight) - CROP)
