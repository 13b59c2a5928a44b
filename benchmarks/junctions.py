"""Known splice sites of a sequence, and the windows around them."""

import csv
from collections.abc import Iterator
from pathlib import Path

import torch
from Bio.Seq import reverse_complement

from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.sequences.one_hot import encode


def sites(sequence: str, first_base: int, table: Path, chrom: str, kind: str) -> list[tuple[int, str]]:
    """Find positions in the sequence (of the exon's last or first base) and strands of GT and AG sites.

    The table gives for each gene the bases before and after its introns, 1-based, in ascending order.
    """
    found = set()
    with table.open(newline="") as stream:
        for row in csv.DictReader(stream):
            before_intron = (kind == "donor") == (row["strand"] == "+")
            column = row["jn_start"] if before_intron else row["jn_end"]
            for number in column.split(",") if row["chr"] == chrom else ():
                position = int(number) - 1 - first_base
                inside = position + 1 if before_intron else position - 2
                letters = sequence[max(inside, 0) : inside + 2] if 0 <= position < len(sequence) else ""
                letters = letters if row["strand"] == "+" else reverse_complement(letters)
                if letters == ("GT" if kind == "donor" else "AG"):
                    found.add((position, row["strand"]))
    return sorted(found)


def windows(
    model: LoadedModel, sequence: str, places: list[tuple[int, str]], site: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield one-hot windows (1, 4, L) in the sense of transcription, the site at offset `site`."""
    for position, strand in places:
        left = site if strand == "+" else model.window - 1 - site
        start = position - left
        if start < 0 or start + model.window > len(sequence):
            continue
        piece = sequence[start : start + model.window]
        piece = piece if strand == "+" else reverse_complement(piece)
        one_hot = torch.from_numpy(encode(piece.encode())).float()[None]
        if float(one_hot.sum()) > 0.9 * model.window:
            yield position, model.layout.to_model(one_hot)
