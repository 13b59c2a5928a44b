"""The motifs and their pairs as the page shows them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from sparselrp_cli.errors import printable
from sparselrp_cli.outputs.archive.rows import Doubles
from sparselrp_cli.report.drawing import (
    FULL_BITS,
    bits_of_frequencies,
    draw_bars,
    draw_logo,
    information,
    reversed_strand,
)
from sparselrp_cli.report.hits import WindowHits
from sparselrp_cli.report.pairs import BINS, Pair, positions

SHOWN_MATCHES = 3


def shown_names(records: Sequence[dict[str, Any]], found: WindowHits) -> list[str]:
    """Call each motif as its hits are called, by the known motif that it is like, or by its own name."""
    names = [printable(record["name"]) for record in records]
    for number, hit in zip(found.motif.tolist(), found.hits, strict=True):
        names[number] = printable(hit.name)
    return names


def share_in_hits(found: WindowHits, number: int, mass: float) -> float | None:
    """Give which share of relevance of its sign lies in a motif's hits; None without any relevance.

    Hits that overlap are counted each, so that many of them could come to more than there is.
    """
    held = sum(
        abs(hit.relevance) for motif, hit in zip(found.motif, found.hits, strict=True) if motif == number
    )
    return min(1.0, held / mass) if mass > 0 else None


def motif_row(
    record: dict[str, Any], shown: str, found: WindowHits, number: int, length: int
) -> dict[str, Any]:
    """Give what the page shows of a motif: logos of both strands, matches, and where its hits are."""
    counts, contributions = np.array(record["pfm"], np.float64), np.array(record["cwm"], np.float64)
    bits, name = information(counts), printable(record["name"])
    before, after = _margins(record)
    wide = before + len(counts) + after
    place = {"before": before, "width": wide}
    turned = {"before": after, "width": wide}
    in_windows = len(np.unique(found.row[found.motif == number]))
    return {
        **record,
        "known": shown,
        "n_windows": in_windows,
        "forward": [
            draw_logo(bits, f"Logo of {name}: {record['consensus']}", full=FULL_BITS, **place),
            draw_logo(contributions, f"Mean relevance of {name}", **place),
        ],
        "reverse": [
            draw_logo(reversed_strand(bits), f"Logo of {name}, other strand", full=FULL_BITS, **turned),
            draw_logo(reversed_strand(contributions), f"Mean relevance of {name}, other strand", **turned),
        ],
        "known_logo": _known_logo(record, before, wide),
        "matches": record["matches"][:SHOWN_MATCHES],
        "positions": _bars(
            positions(found, number, length), f"Hits of {name} by distance from the window's centre", length
        ),
    }


def pair_row(pair: Pair, names: list[str], length: int) -> dict[str, Any]:
    """Give what the page shows of a pair of motifs."""
    one, other = names[pair.one], names[pair.other]
    counts = np.histogram(pair.distances, bins=BINS, range=(-length, length))[0].astype(np.float64)
    return {
        "one": one,
        "other": other,
        "windows": pair.windows,
        "expected": pair.expected,
        "p_more": pair.p_more,
        "p_fewer": pair.p_fewer,
        "distance": pair.distance,
        "expected_distance": pair.expected_distance,
        "p_closer": pair.p_closer,
        "spacing": _bars(counts, f"Distance from {one} to {other}", 2 * length),
    }


def _bars(counts: Doubles, label: str, span: int) -> Markup:
    return draw_bars(counts, label, f"-{span // 2:,} bp", "0", f"+{span // 2:,} bp")


def _margins(record: dict[str, Any]) -> tuple[int, int]:
    """Say by how many columns the known motif goes beyond ours, left and right on our strand."""
    if not record["matches"] or "frequencies" not in record["matches"][0]:
        return 0, 0
    best = record["matches"][0]
    return max(0, -best["offset"]), max(0, best["offset"] + len(best["frequencies"]) - len(record["pfm"]))


def _known_logo(record: dict[str, Any], before: int, wide: int) -> Markup | None:
    if not record["matches"] or "frequencies" not in record["matches"][0]:
        return None
    best = record["matches"][0]
    heights = bits_of_frequencies(np.array(best["frequencies"], np.float64))
    if best["strand"] == "-":
        heights = reversed_strand(heights)
    name = printable(best["alt_name"] or best["name"])
    label = f"Logo of {name} in the database"
    return draw_logo(heights, label, full=FULL_BITS, before=best["offset"] + before, width=wide)
