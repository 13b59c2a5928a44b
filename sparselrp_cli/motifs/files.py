"""What `motifs` writes: seqlets and hits as BED, the motifs as a table and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.names import field
from sparselrp_cli.motifs.database import Match
from sparselrp_cli.motifs.discovery import Motif
from sparselrp_cli.motifs.hits import Hit
from sparselrp_cli.motifs.seqlets import Seqlets
from sparselrp_cli.outputs.archive import ArchiveReader

SCHEMA_VERSION = 1


def write_seqlets(
    path: Path, reader: ArchiveReader, seqlets: Sequence[Seqlets], motifs: Sequence[tuple[str, Motif]]
) -> None:
    """Write the seqlets as sorted BED.

    chrom, start, end, name, score (-10 log10 q, at most 1000), strand (of the motif, ``.`` without one),
    relevance, p, q, motif (``.`` without one), name of the window. No header.

    Raises
    ------
    OutputError
    """
    rows = []
    at, chroms = reader.coordinates, list(reader.chrom_sizes)
    for found in seqlets:
        place = {
            int(i): (name, "-" if reverse else "+")
            for name, motif in motifs
            if motif.sign == found.sign
            for i, reverse in zip(motif.instances.index, motif.instances.reverse, strict=True)
        }
        windows: list[Any] = []
        for first in range(0, len(found), 256):
            windows += reader.windows(found.row[first : first + 256])
        chrom, offset = at.chrom[found.row], at.start[found.row]
        for i, window in enumerate(windows):
            motif, strand = place.get(i, (".", "."))
            rows.append(
                (
                    chroms[chrom[i]], int(offset[i] + found.start[i]), int(offset[i] + found.end[i]),
                    _score(found.q[i]), strand, f"{found.relevance[i]:.6g}", f"{found.p[i]:.3g}",
                    f"{found.q[i]:.3g}", motif, field(window.name),
                )
            )  # fmt: skip
    rows.sort()
    _write_lines(
        path,
        ((field(r[0]), r[1], r[2], f"seqlet_{number}", *r[3:]) for number, r in enumerate(rows, 1)),
    )


def write_hits(path: Path, hits: Sequence[Hit]) -> None:
    """Write the hits as sorted BED.

    chrom, start, end, motif, score (-10 log10 of the relevance's q, at most 1000), strand, relevance, p of
    the matrix, p of the relevance, name of the window. No header.

    Raises
    ------
    OutputError
    """
    _write_lines(
        path,
        (
            (
                field(h.chrom), h.start, h.end, h.motif, _score(h.relevance_q), h.strand,
                f"{h.relevance:.6g}", f"{h.matrix_p:.3g}", f"{h.relevance_p:.3g}", field(h.window),
            )
            for h in hits
        ),
    )  # fmt: skip


def motif_record(name: str, motif: Motif, n_hits: int, matches: Sequence[Match]) -> dict[str, Any]:
    """Give a motif as JSON."""
    return {
        "name": name,
        "sign": "positive" if motif.sign > 0 else "negative",
        "width": motif.width,
        "n_seqlets": len(motif.instances.index),
        "n_hits": n_hits,
        "consensus": motif.consensus,
        "pfm": [[round(x) for x in row] for row in motif.counts.tolist()],
        "cwm": [[float(f"{x:.6g}") for x in row] for row in motif.contributions.tolist()],
        "matches": [
            {
                "name": m.name, "alt_name": m.alt_name, "p": m.p, "q": m.q, "strand": m.strand,
                "offset": m.offset, "overlap": m.overlap,
            }
            for m in matches
        ],
    }  # fmt: skip


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write the JSON.

    Raises
    ------
    OutputError
    """
    with replacing(path) as hidden:
        hidden.write_text(json.dumps({"schema_version": SCHEMA_VERSION, **record}, indent=1) + "\n")


def write_table(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write one line a motif: counts, consensus, and the best match.

    Raises
    ------
    OutputError
    """
    columns = [
        "motif",
        "sign",
        "width",
        "seqlets",
        "hits",
        "consensus",
        "match",
        "match_name",
        "p",
        "q",
        "strand",
    ]
    rows = []
    for r in records:
        best = r["matches"][0] if r["matches"] else {}
        values = [r[c] for c in ("name", "sign", "width", "n_seqlets", "n_hits", "consensus")]
        rows.append([*values, *(best.get(c) for c in ("name", "alt_name", "p", "q", "strand"))])
    table = pd.DataFrame(rows, columns=columns)
    with replacing(path) as hidden:
        table.to_csv(hidden, sep="\t", index=False, na_rep=".", float_format="%.3g", lineterminator="\n")


def _score(q: float) -> int:
    return 1000 if q <= 1e-100 else min(1000, round(-10 * float(np.log10(q))))


def _write_lines(path: Path, rows: Any) -> None:
    with (
        replacing(path) as hidden,
        hidden.open("w", encoding="utf-8", errors="replace", newline="\n") as file,
    ):
        for row in rows:
            file.write("\t".join(map(str, row)) + "\n")
