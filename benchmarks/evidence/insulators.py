"""Another factor and a deep residual network: LRP against PLRP on real peaks of fly insulator proteins.

    python -m benchmarks.evidence.insulators --save     15 minutes on two cores; --quick takes two

Peaks of BEAF-32 and CTCF on chr2R of dm3 (Bushey et al. 2009); `public.py` fetches them and the genome.
First, whether matches of their JASPAR matrices tell peaks from random windows, in place and with the windows
moved. Then, for each seed, one network for both factors is trained: a convolution, pooling by 4, five dilated
residual blocks, the mean over positions, a dense head. It learns on 0-13 Mb, the best epoch is chosen on
13-15 Mb, and it is tested on 15-21 Mb.

Test peaks that hold a match and that the network calls are explained with every composite and proportion.
The metrics are means over windows; the tables give the mean and the standard deviation over seeds.
Mutagenesis takes long: it has few windows, and a table of its own compares the other methods on the same.

CTCF is a caution. Half of its peaks hold a match, but 245 of them are too few for this network to learn: it
tells them from background worse than the matrix alone does, and its logit is higher at peaks of BEAF-32 alone
(`auroc, other factor` is under 0.5; the matrix reaches 0.80 there). What its relevance is worth is in doubt.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

if __name__ == "__main__":
    # As the command has it, before torch starts its threads: those that wait let other programs work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.evidence.binding import Recipe, fit, logits, tested
from benchmarks.evidence.insulator_peaks import FACTORS, TEST, WINDOW, Peaks, check_matrices, log_odds
from benchmarks.evidence.methods import COMPOSITES, Method
from benchmarks.options import parser
from benchmarks.record import Keeper
from sparselrp_cli.evaluation.agreement import map_metrics
from sparselrp_cli.evaluation.deeplift import deeplift_shap
from sparselrp_cli.evaluation.faithfulness import curves
from sparselrp_cli.evaluation.metrics import relevance_mass_accuracy
from sparselrp_cli.evaluation.mutagenesis import mutagenesis
from sparselrp_cli.evaluation.sites import matrix_hits
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.relevance.explainer import Explainer, Explanation
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.scoring import Scorer
from sparselrp_cli.sequences.one_hot import encode
from sparselrp_cli.sequences.shuffling import shuffle_dinucleotides

PROPORTIONS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
CHANNELS, STEM, POOL, DILATIONS = 32, 19, 4, (1, 2, 4, 8, 16)
EXPLAINED, MUTATED, DRAWS = 60, 15, 2
# The matrix of BEAF-32 is 8 bp long, and it binds groups of half sites: what is this near is counted too.
FLANK = 10
FAITHFUL = ["deletion_drop", "insertion_rise"]


class Block(nn.Module):
    """A dilated convolution whose positive part is added to what it reads."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, CHANNELS, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.norm(self.conv(x)))


def network() -> nn.Module:
    """A deep residual network with a logit for each factor."""
    return nn.Sequential(
        nn.Conv1d(4, CHANNELS, STEM, padding=STEM // 2), nn.BatchNorm1d(CHANNELS), nn.ReLU(),
        nn.MaxPool1d(POOL), *map(Block, DILATIONS), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.Dropout(0.3), nn.Linear(CHANNELS, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, len(FACTORS)),
    )  # fmt: skip


def train(data: Peaks, seed: int, epochs: int) -> nn.Module:
    """Train a network; keep the epoch that is best on the validation part."""
    torch.manual_seed(seed)
    net = network()
    fit(net, data, seed, Recipe(epochs))
    return net


@dataclass(frozen=True)
class Windows:
    """Windows (n, 4, L) that are explained, their sites (n, L), and shuffles (n, draws, 4, L)."""

    one_hot: np.ndarray
    masks: np.ndarray
    backgrounds: np.ndarray

    def some(self, chosen: np.ndarray) -> "Windows":
        """Some of them."""
        return Windows(self.one_hot[chosen], self.masks[chosen], self.backgrounds[chosen])


def choose(net: nn.Module, data: Peaks, task: int, count: int) -> Windows:
    """Test peaks that hold a match and that the network calls, evenly spaced among all of them."""
    factor = FACTORS[task]
    one_hot = data.one_hot(data.centres(task, TEST))
    masks = matrix_hits(one_hot, log_odds(factor.motif), factor.bits)
    found = np.flatnonzero(masks.any(axis=1) & (logits(net, torch.from_numpy(one_hot).float())[:, task] > 0))
    found = found[evenly(len(found), count)]
    shuffles = [[shuffled(one_hot[i], number) for number in range(DRAWS)] for i in found]
    return Windows(one_hot[found], masks[found], np.array(shuffles, np.uint8).reshape(-1, DRAWS, 4, WINDOW))


def evenly(n: int, count: int) -> np.ndarray:
    """At most so many of n numbers, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(int)) if n else np.empty(0, int)


def shuffled(one_hot: np.ndarray, number: int) -> np.ndarray:
    """A dinucleotide shuffle of a window (4, L)."""
    letters = np.frombuffer(b"ACGT", np.uint8)[one_hot.argmax(axis=0)].tobytes()
    return encode(shuffle_dinucleotides(letters, 0, number))


def methods(*, quick: bool) -> Iterator[Method]:
    """Give the methods, gradient x input first."""
    for composite in ("zero", "epsilon-plus") if quick else ("zero", *COMPOSITES):
        yield Method(composite, "LRP", Pruning(0.0))
    for p in (0.1, 0.5) if quick else PROPORTIONS:
        yield Method("epsilon-plus", "PLRP-lambda", Pruning(p))
        yield Method("epsilon-plus", "PLRP-M", Pruning(p, redistribute="m"))
    yield Method("epsilon-plus", "PLRP-lambda", Pruning(0.0, automatic=True))
    yield Method("epsilon-plus", "PLRP-M", Pruning(0.0, automatic=True, redistribute="m"))
    for composite in () if quick else COMPOSITES:
        if composite != "epsilon-plus":
            yield Method(composite, "PLRP-lambda", Pruning(0.25))


def explained(net: nn.Module, data: Peaks, count: int, *, quick: bool) -> list[dict[str, Any]]:
    """Explain the chosen windows of each factor that has enough of them."""
    rows = []
    for task, factor in enumerate(FACTORS):
        windows = choose(net, data, task, count)
        if len(windows.masks) < 5:
            print(f"{factor.name}: {len(windows.masks)} windows are too few to explain")
            continue
        rows += [{"factor": factor.name, **row} for row in explain(net, windows, task, quick=quick)]
    return rows


def explain(net: nn.Module, windows: Windows, task: int, *, quick: bool) -> list[dict[str, Any]]:
    """Explain windows in every way: means of the metrics over all, and over those that mutagenesis has."""
    x = torch.from_numpy(windows.one_hot).float()
    graph, target = capture(net, x[:1]), Target(FACTORS[task].name, (Term(0, task, None),))
    scores = Scorer(Explainer(graph, [target]), InputLayout()).scores
    few = evenly(len(x), 5 if quick else MUTATED)
    rows = []
    for method in methods(quick=quick):
        (found,) = Explainer(graph, [target], None, method.rules(), method.pruning).explain(x)
        metrics = measured(windows, found.contributions.sum(1).numpy(), scores)
        about = {"composite": method.composite, "method": method.name, "p": method.p}
        rows.append({"windows": "all", **about, **means(metrics), **accounts(found)})
        rows.append({"windows": "few", **about, **means(metrics.iloc[few])})
    constant = measured(windows, np.zeros(windows.masks.shape), scores)[FAITHFUL]
    for name, chosen in (("all", slice(None)), ("few", few)):
        rows.append({"windows": name, "method": "random order", **means(constant.iloc[chosen])})
    some = windows.some(few)
    for name, maps in baselines(net, some, target, scores):
        rows.append({"windows": "few", "method": name, **means(measured(some, maps, scores))})
    return rows


def baselines(
    net: nn.Module, windows: Windows, target: Target, scores: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Give mutagenesis, and DeepLIFT/SHAP where tangermeme is installed."""
    yield "mutagenesis", np.stack([mutagenesis(window, scores) for window in windows.one_hot])
    if find_spec("tangermeme"):
        model = LoadedModel("insulators", net, WINDOW, InputLayout(), (), ())
        yield "DeepLIFT/SHAP", deeplift_shap(model, target, windows.one_hot)


def measured(windows: Windows, maps: np.ndarray, scores: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
    """Metrics of maps (n, L), a row for each window."""
    rows = []
    for one_hot, mask, backgrounds, a in zip(
        windows.one_hot, windows.masks, windows.backgrounds, maps, strict=True
    ):
        drawn = curves(one_hot, a, backgrounds, scores, np.random.default_rng(0))
        faithful = {"deletion_drop": drawn.deletion_drop, "insertion_rise": drawn.insertion_rise}
        near = np.convolve(mask, np.ones(2 * FLANK + 1), "same") > 0
        shares = {"site_share": float(mask.mean()), "near_share": float(near.mean())}
        around = {"mass_near_sites": relevance_mass_accuracy(a, near)}
        rows.append({**map_metrics(a, mask), **around, **faithful, **shares})
    return pd.DataFrame(rows)


def means(metrics: pd.DataFrame) -> dict[str, float]:
    """Means over windows, and their number."""
    return {"n": len(metrics), **{str(name): float(value) for name, value in metrics.mean().items()}}


def accounts(found: Explanation) -> dict[str, float]:
    """Neurons kept, relevance over score (median over windows), and the largest conservation error."""
    kept = [float(layer.kept.double().mean()) / layer.neurons for layer in found.ledger.pruned_layers]
    return {
        "kept_neurons": float(np.mean(kept)) if kept else 1.0,
        "relevance / score": float((found.relevance / found.score).median()),
        "conservation_error": float(found.conservation_error.max()),
    }


def over_seeds(rows: list[dict[str, Any]], keys: list[str], columns: list[str]) -> str:
    """A table of means over seeds, and standard deviations after ±."""
    table = pd.DataFrame(rows)
    table[keys] = table[keys].astype(object).where(table[keys].notna(), "-").astype(str)
    grouped = table.groupby(keys, sort=False)[columns]
    mean, spread = grouped.mean(), grouped.std(ddof=1)
    cells = {name: list(map(with_spread, mean[name], spread[name])) for name in columns}
    return pd.DataFrame(cells, index=mean.index).to_string()


def with_spread(mean: float, spread: float) -> str:
    """Write a mean and its standard deviation; of one seed, or of what all seeds agree on, the mean alone."""
    if np.isnan(mean):
        return "-"
    # Conservation errors are far below what three decimals show.
    form = ".1e" if 0 < abs(mean) < 1e-3 else ".3f"
    return f"{mean:{form}}" if np.isnan(spread) else f"{mean:{form}} ±{spread:{form}}"


def report(rows: list[dict[str, Any]]) -> None:
    """Print the tables of the explanations."""
    common = [
        "mass_in_sites",
        "mass_near_sites",
        "rank_accuracy",
        "auroc",
        "auprc",
        "gini",
        "zero_share",
        *FAITHFUL,
    ]
    books = [
        "n",
        "site_share",
        "near_share",
        "complexity",
        "kept_neurons",
        "relevance / score",
        "conservation_error",
    ]
    for factor in FACTORS:
        for which, blocks in (("all", (common, books)), ("few", (["n", *common],))):
            here = [row for row in rows if row["factor"] == factor.name and row["windows"] == which]
            for columns in blocks if here else ():
                print(f"\n{factor.name}, {which} windows: mean over seeds, ± standard deviation")
                print(over_seeds(here, ["composite", "method", "p"], columns))


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--quick", action="store_true", help="one seed, few epochs, windows and ways")
    found.add_argument("--seeds", type=int, default=3)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    keeper = Keeper.start("insulators", given, torch.device("cpu"))
    seeds, epochs, count = (1, 6, 15) if given.quick else (given.seeds, 25, EXPLAINED)
    data = Peaks()
    matrices = check_matrices(data)
    print(pd.DataFrame(matrices).round(3).to_string(index=False), flush=True)
    networks, rows = [], []
    for seed in range(seeds):
        began = time.perf_counter()
        net = train(data, seed, epochs)
        print(f"seed {seed} trained, {time.perf_counter() - began:.0f} s", flush=True)
        networks += [{"seed": seed, **row} for row in tested(net, data, TEST)]
        rows += [{"seed": seed, **row} for row in explained(net, data, count, quick=given.quick)]
        print(f"seed {seed} explained, {time.perf_counter() - began:.0f} s", flush=True)
        keeper.keep_so_far({"matrices": matrices, "networks": networks, "rows": rows})
    keeper.keep({"matrices": matrices, "networks": networks, "rows": rows})
    print(pd.DataFrame(networks).round(3).to_string(index=False))
    report(rows)


if __name__ == "__main__":
    main()
