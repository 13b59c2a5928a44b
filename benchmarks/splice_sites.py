"""How much relevance falls on real splice sites: CI-SpliceAI or MMSplice, by method.

    sparselrp import CI-SpliceAI.pb -o ci-spliceai
    python benchmarks/splice_sites.py ci-spliceai/1 22_20-21M.fa grch37.csv --first-base 20000000

The junction table and the network come with the package `cispliceai` (CC BY 4.0), the chr22 fragment
(hg19) with Debian's `hisat2`. Sites are exon ends before GT, or after AG, that the network finds. For each
method: the median over sites of the share of positive relevance within so many bases of the site, of the
sum of relevance over the score, and of the share of neurons kept.
"""

import argparse
import csv
import json
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from Bio import SeqIO
from Bio.Seq import reverse_complement

from sparselrp_cli.model.ends import undo_ends
from sparselrp_cli.model.graph import CanonicalGraph
from sparselrp_cli.model.loading import LoadedModel, ModelRequest, capture_model, load_model
from sparselrp_cli.model.targets import OutputNames, Target, TargetParser
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.sequences.one_hot import encode

METHODS = (
    ("gradient x input", "zero", Pruning(0.0)),
    *((f"LRP {name}", name, Pruning(0.0)) for name in PRESETS if name != "zero"),
    *((f"PLRP epsilon-plus p={p:g}", "epsilon-plus", Pruning(p)) for p in (0.02, 0.25, 0.5)),
    *(
        (f"PLRP {name} p=0.25", name, Pruning(0.25))
        for name in ("epsilon", "epsilon-gamma", "epsilon-alpha2-beta1", "epsilon-plus-flat")
    ),
    ("PLRP epsilon-plus auto", "epsilon-plus", Pruning(automatic=True)),
    ("PLRP-M epsilon-plus p=0.25", "epsilon-plus", Pruning(0.25, redistribute="m")),
)


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


def score(graph: CanonicalGraph, target: Target, names: tuple[OutputNames, ...], x: torch.Tensor) -> float:
    """Compute the explained number of one window."""
    with torch.inference_mode():
        values = graph.evaluate(x)
        seeds = target.seeds(graph.outputs, names, values)
        return sum(float((values[name] * seed).sum()) for name, seed in seeds.items())


def measure(explainer: Explainer, x: torch.Tensor, model: LoadedModel, site: int) -> dict[str, float]:
    """Explain one window."""
    (explanation,) = explainer.explain(x)
    relevance = model.layout.from_model(explanation.contributions)[0].sum(0).double().numpy()
    positive = np.maximum(relevance, 0)
    distance = np.abs(np.arange(len(relevance)) - site)
    total = max(positive.sum(), 1e-30)
    layers = explanation.ledger.pruned_layers
    neurons = sum(layer.neurons for layer in layers)
    kept = sum(float(layer.kept.sum()) for layer in layers) / neurons if neurons else 1.0
    score = float(explanation.score)
    return {
        "within 2": positive[distance <= 2].sum() / total,
        "within 10": positive[distance <= 10].sum() / total,
        "within 50": positive[distance <= 50].sum() / total,
        "sum / score": relevance.sum() / score,
        "kept": kept,
        "conservation error": float(explanation.conservation_error),
    }


def main() -> None:
    """Measure every method on the same sites and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("fasta", type=Path)
    parser.add_argument("junctions", type=Path)
    parser.add_argument(
        "--first-base", type=int, default=0, help="0-based coordinate of the FASTA's first base"
    )
    parser.add_argument("--chrom", default="chr22")
    parser.add_argument("--kind", choices=["donor", "acceptor"], default="donor")
    parser.add_argument("--target", help="default: KIND-neither, or the model's only number")
    parser.add_argument("--site", type=int, help="offset of the site in the window; default: the middle")
    parser.add_argument("--sites", type=int, default=12, help="how many, evenly spaced among all")
    parser.add_argument("--output", type=Path, help="write the table as JSON")
    options = parser.parse_args()
    model = load_model(ModelRequest(str(options.model)))
    graph, _ = undo_ends(capture_model(model))
    names = model.output_names(graph)
    targets = TargetParser(graph.outputs, names)
    tasks = names[0].tasks
    text = options.target or (f"{options.kind}-neither" if "neither" in tasks else None)
    target = targets.parse(text) if text else targets.default()
    site = model.window // 2 if options.site is None else options.site
    sequence = str(next(SeqIO.parse(options.fasta, "fasta")).seq).upper()
    places = sites(sequence, options.first_base, options.junctions, options.chrom, options.kind)
    tried = np.linspace(0, len(places) - 1, min(2 * options.sites, len(places))).astype(int)
    inputs = [x for _, x in windows(model, sequence, [places[i] for i in tried], site)]
    found = [x for x in inputs if score(graph, target, names, x) > 0]
    chosen = found[: options.sites]
    print(
        f"{len(places)} sites with GT or AG; of {len(inputs)} tried, the network finds {len(found)};"
        f" {len(chosen)} are explained",
        flush=True,
    )
    rows = []
    for label, composite, pruning in METHODS:
        explainer = Explainer(
            graph, [target], names, PRESETS[composite], pruning, base_axis=model.layout.base_axis
        )
        figures = pd.DataFrame([measure(explainer, x, model, site) for x in chosen])
        rows.append({"method": label, **figures.median().to_dict()})
        print(label, figures.median().round(4).to_dict(), flush=True)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    if options.output:
        machine = f"{platform.processor() or platform.machine()}, torch {torch.__version__}"
        document = {
            "model": model.name, "kind": options.kind, "sites": len(chosen), "machine": machine, "rows": rows,
        }  # fmt: skip
        options.output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
