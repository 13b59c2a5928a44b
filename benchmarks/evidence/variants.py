"""What changing the core of a su(Hw) site does to the shipped model, and what changing a base beside it does.

    python -m benchmarks.evidence.variants --save     about a minute

In every held-out peak with a match of MA0533.1 over 15 bits, three variants: the most informative base of
the best match changed, the match's core (its 12 most informative consecutive bases) deleted, and, as a
control, a base 60 bp left of the match changed. `sparselrp variants` explains both alleles.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.evidence.methods import COMMANDS
from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.cli.main import run
from sparselrp_cli.evaluation.sites import matrix_scores, read_matrix
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.one_hot import encode
from sparselrp_cli.sequences.regions import read_regions

GENOME = ROOT / "data" / "chr2R-15-21Mb.fa.gz"
OTHER = {"A": "C", "C": "A", "G": "T", "T": "G"}
CORE, BESIDE, MIN_BITS, REACH = 12, 60, 15.0, 250


def options() -> argparse.ArgumentParser:
    return parser(__doc__)


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("variants", given, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        vcf = Path(folder) / "sites.vcf"
        vcf.write_text(variants())
        rows = []
        for number, (way, options_of_way) in enumerate(COMMANDS.items()):
            prefix = Path(folder) / f"way{number}"
            asked = [str(vcf), str(GENOME), "-m", str(ROOT / "models" / "suhw-dm3"), *options_of_way]
            assert run(["variants", *asked, "-o", str(prefix), "-q"]) == 0
            table = pd.read_csv(f"{prefix}.variants.tsv", sep="\t")
            table["kind"] = table["id"].str.split("_").str[0]
            for kind, part in table.groupby("kind", sort=False):
                distance = (part["largest_pos"] - part["pos"]).abs()
                rows.append(
                    {
                        "way": way,
                        "variant": kind,
                        "n": len(part),
                        "median score difference": round(float(part["score_difference"].median()), 3),
                        "score falls": round(float((part["score_difference"] < 0).mean()), 3),
                        "median total difference": round(float(part["total_difference"].median()), 3),
                        "largest within 25 bp": round(float((distance <= 25).mean()), 3),
                    }
                )
    print(pd.DataFrame(rows).to_string(index=False))
    keeper.keep({"rows": rows})


def variants() -> str:
    """Write the VCF."""
    matrix = read_matrix(ROOT / "data" / "suhw-MA0533.1.jaspar")
    log_odds = np.array([matrix[base] for base in "ACGT"])
    information = (np.exp2(log_odds) / 4 * log_odds).sum(axis=0)
    best = int(information.argmax())
    core = int(np.convolve(information, np.ones(CORE), "valid").argmax())
    lines = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT"]
    width = matrix.length
    with Genome(str(GENOME)) as genome:
        for number, region in enumerate(read_regions(str(ROOT / "data" / "suhw-peaks.bed"))):
            start = region.centre - REACH
            letters = genome.fetch(region.chrom, start, region.centre + REACH).decode().upper()
            one_hot = encode(letters.encode())[np.newaxis]
            forward, backward = matrix_scores(one_hot, matrix)[:, 0]
            if max(forward.max(), backward.max()) <= MIN_BITS:
                continue
            reverse = backward.max() > forward.max()
            at = int((backward if reverse else forward).argmax())
            base = at + (width - 1 - best if reverse else best)
            first = at + (width - core - CORE if reverse else core)
            lines.append(snv(region.chrom, start, letters, base, f"core_{number}"))
            deleted = letters[first - 1 : first + CORE]
            place = f"{region.chrom}\t{start + first}"
            lines.append(f"{place}\tdeletion_{number}\t{deleted}\t{deleted[0]}")
            if at >= BESIDE:
                lines.append(snv(region.chrom, start, letters, at - BESIDE, f"beside_{number}"))
    return "\n".join(lines) + "\n"


def snv(chrom: str, start: int, letters: str, at: int, name: str) -> str:
    return f"{chrom}\t{start + at + 1}\t{name}\t{letters[at]}\t{OTHER[letters[at]]}"


if __name__ == "__main__":
    main()
