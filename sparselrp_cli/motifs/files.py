"""What `motifs` writes of the motifs: a table and JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.motifs.database import Match
from sparselrp_cli.motifs.discovery import Motif

SCHEMA_VERSION = 2


def motif_record(
    name: str, motif: Motif, n_hits: int, matches: Sequence[Match], *, calibrated: bool
) -> dict[str, Any]:
    """Give a motif as JSON; `calibrated` is of the null that its seqlets and hits were called with."""
    return {
        "name": name,
        "sign": "positive" if motif.sign > 0 else "negative",
        "width": motif.width,
        "n_seqlets": len(motif.instances.index),
        "n_hits": n_hits,
        "calibrated": calibrated,
        "consensus": motif.consensus,
        "pfm": [[round(x) for x in row] for row in motif.counts.tolist()],
        "cwm": [[float(f"{x:.6g}") for x in row] for row in motif.contributions.tolist()],
        "matches": [_match_record(m, is_best=m is matches[0]) for m in matches],
    }


def _match_record(m: Match, *, is_best: bool) -> dict[str, Any]:
    """Give a match as JSON; of the best one also its matrix, whose logo the report draws."""
    matrix = [[round(float(x), 4) for x in row] for row in m.frequencies] if is_best else None
    return {
        "name": m.name, "alt_name": m.alt_name, "p": m.p, "q": m.q, "strand": m.strand,
        "offset": m.offset, "overlap": m.overlap, **({"frequencies": matrix} if matrix is not None else {}),
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
    """Write one line a motif: counts, consensus, the best match, and whether the null is calibrated.

    Raises
    ------
    OutputError
    """
    columns = [
        "motif", "sign", "width", "seqlets", "hits", "consensus", "match", "match_name", "p", "q", "strand",
        "calibrated",
    ]  # fmt: skip
    rows = []
    for r in records:
        best = r["matches"][0] if r["matches"] else {}
        values = [r[c] for c in ("name", "sign", "width", "n_seqlets", "n_hits", "consensus")]
        of_match = [best.get(c) for c in ("name", "alt_name", "p", "q", "strand")]
        rows.append([*values, *of_match, "yes" if r["calibrated"] else "no"])
    table = pd.DataFrame(rows, columns=columns)
    with replacing(path) as hidden:
        table.to_csv(hidden, sep="\t", index=False, na_rep=".", float_format="%.3g", lineterminator="\n")
