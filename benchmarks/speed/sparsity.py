"""How sparse the relevance of trained networks is layer by layer, and from which density gathering pays.

    python -m benchmarks.speed.sparsity --save --cispliceai ci-spliceai/1 22_20-21M.fa grch37.csv

First: the share of neurons kept, by pruned layer (from the output down) and proportion, and the share of
positions that carry any relevance. Then: the step through a convolution at some positions of its output, as a
ratio to the whole one, by their share; `relevance.active.DENSE_ABOVE` is where it gets slower.
"""

import argparse
import statistics
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from benchmarks.networks import Subject, trained_networks
from benchmarks.options import add_cispliceai, timing_parser
from benchmarks.record import Keeper
from benchmarks.timing import interleaved, ratios
from sparselrp_cli.graph.operations.convolution import Convolution
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.gathered import GatheredConvolution
from sparselrp_cli.relevance.pruning import Pruning

PROPORTIONS = (0.02, 0.1, 0.25, 0.5, 0.9)
CONVOLUTIONS = {  # channels in and out, width, dilation, positions
    "Basset-like, second": (300, 200, 11, 1, 333),
    "BPNet-like, middle": (64, 64, 3, 8, 2114),
    "SpliceAI-like, first block": (32, 32, 11, 1, 10001),
    "SpliceAI-like, last block": (32, 32, 41, 25, 10001),
}
DENSITIES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)


def kept(subjects: Sequence[Subject]) -> list[dict[str, object]]:
    """Shares of neurons kept in trained networks."""
    rows: list[dict[str, object]] = []
    for subject in subjects:
        graph = subject.graph(torch.device("cpu"))
        for p in PROPORTIONS:
            explainer = Explainer(
                graph, [subject.target], composite=PRESETS["epsilon-plus"], pruning=Pruning(p)
            )
            (found,) = explainer.explain(subject.inputs(8))
            shares = [float(x.kept.double().mean()) / x.neurons for x in found.ledger.pruned_layers]
            at_input = float((found.contributions != 0).any(1).double().mean())
            rows.append(
                {
                    "network": subject.name, "p": p, "median of layers": statistics.median(shares),
                    "least": min(shares), "most": max(shares), "positions at the input": at_input,
                    "layers": [round(share, 5) for share in shares],
                }
            )  # fmt: skip
    return rows


def gathering(rounds: int) -> list[dict[str, object]]:
    """Times of a step at some positions, as ratios to that of the whole layer."""
    rows: list[dict[str, object]] = []
    rng = np.random.default_rng(0)
    for name, (c_in, c_out, width, dilation, length) in CONVOLUTIONS.items():
        weight = torch.tensor(rng.normal(size=(c_out, width, c_in)), dtype=torch.float32).movedim(1, -1)
        padding = dilation * (width - 1) // 2
        layer = Convolution(weight, None, (1,), (padding,), (dilation,), 1)
        x = torch.rand(1, length, c_in).movedim(-1, 1)
        z, _ = layer.forward(x)
        values = z.movedim(1, -1).reshape(-1, c_out)

        def whole(layer: Convolution = layer, x: torch.Tensor = x, z: torch.Tensor = z) -> None:
            layer.apply(x, layer.weight, None)
            layer.transpose(z, layer.weight, x)

        runs = {"whole": whole}
        for density in DENSITIES:
            chosen = np.sort(rng.choice(len(values), int(density * len(values)), replace=False))
            index = torch.tensor(chosen)
            part = GatheredConvolution.of(layer, index, torch.tensor([0, len(chosen)]), z.shape[2])
            rest = values[index]
            runs[f"{density:g}"] = lambda part=part, x=x, rest=rest: (
                part.apply(x, part.weight, None), part.transpose(rest, part.weight, x)
            )  # fmt: skip
        rows.append({"layer": name, **ratios(interleaved(runs, rounds, torch.device("cpu")), "whole")})
    return rows


def options() -> argparse.ArgumentParser:
    found = timing_parser(__doc__)
    add_cispliceai(found)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("sparsity", given, torch.device("cpu"))
    with torch.inference_mode():
        found = {"kept": kept(trained_networks(given)), "gathering": gathering(given.rounds)}
    print(pd.DataFrame(found["kept"]).drop(columns="layers").to_string(index=False, float_format="%.4f"))
    print("\nA step at some positions, as a ratio to the whole layer, by their share")
    print(pd.DataFrame(found["gathering"]).to_string(index=False, float_format="%.2f"))
    keeper.keep(found)


if __name__ == "__main__":
    main()
