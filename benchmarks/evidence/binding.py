"""Trains networks that tell peaks of insulator proteins from background, and tests them.

One logit a factor, windows of 600 bp. A network learns on 0-13 Mb of chr2R, the best epoch is chosen on
13-15 Mb, and it is tested on 15-21 Mb. `insulator_peaks.py` has the peaks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.evidence.insulator_peaks import SHIFT, TRAINING, VALIDATION, Peaks, separation
from benchmarks.history import ROOT

BATCH = 64
POSITIVE_WEIGHT = 4.0
"""Peaks of a factor are few: with this weight a logit of 0 is nearer to an even chance."""
SUHW_WEIGHTS, EPS = ROOT / "models" / "suhw-dm3" / "weights.safetensors", 1e-5
BACKGROUND = "random", "GC"


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: AdamW in one cycle of rates.

    Attributes
    ----------
    epochs : int
    rate, decay : float
        Highest learning rate and weight decay.
    """

    epochs: int
    rate: float = 2e-3
    decay: float = 1e-2


def fit(net: nn.Module, data: Peaks, seed: int, recipe: Recipe) -> float:
    """Train a network in place, keep its best epoch, and give the mean AUROC on the validation part."""
    batches = Batches(data, np.random.default_rng(seed))
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    total = recipe.epochs * len(batches.centres())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=total, pct_start=0.2)
    kept, best = {}, 0.0
    for _ in range(recipe.epochs):
        net.train()
        for centres in batches.centres():
            loss = batches.loss(net, centres)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            schedule.step()
        found = validation_auroc(net, data)
        if found > best:
            kept, best = {name: value.clone() for name, value in net.state_dict().items()}, found
    net.load_state_dict(kept)
    net.eval().requires_grad_(False)
    return best


class Batches:
    """Draws batches of windows and computes their loss."""

    def __init__(self, data: Peaks, rng: np.random.Generator) -> None:
        self.data, self.rng = data, rng
        tasks = range(len(data.factors))
        self.peaks = np.concatenate([data.centres(task, TRAINING) for task in tasks])

    def centres(self) -> list[np.ndarray]:
        """Centres of an epoch: peaks twice, shifted, and three times as much fresh background."""
        twice = np.tile(self.peaks, 2)
        peaks = twice + self.rng.integers(-SHIFT, SHIFT + 1, len(twice))
        random = self.data.chromosome.background(TRAINING, 3 * len(self.peaks), self.rng)
        matched = self.data.chromosome.matched(TRAINING, peaks[: len(self.peaks)], 3, self.rng)
        centres = self.rng.permutation(np.concatenate([peaks, random, matched]))
        return np.array_split(centres, len(centres) // BATCH)

    def loss(self, net: nn.Module, centres: np.ndarray) -> Tensor:
        """Cross entropy of windows on random strands, where their labels are known."""
        x = self.data.chromosome.windows(centres)
        flipped = torch.from_numpy(self.rng.random(len(centres)) < 0.5)
        x = torch.where(flipped[:, None, None], x.flip(1, 2), x)
        labels, known = self.data.labels(centres)
        weight = torch.full((labels.shape[1],), POSITIVE_WEIGHT)
        losses = binary_cross_entropy_with_logits(net(x), labels, reduction="none", pos_weight=weight)
        return (losses * known).sum() / known.sum()


def start_from_suhw(conv: nn.Conv1d, norm: nn.BatchNorm1d | None = None) -> None:
    """Let a first convolution of 21 bp start from filters of the shipped su(Hw) model, normalisation and all.

    Peaks are few, and a deep network finds the motif late or never. The filters were trained on the same part
    of the chromosome, by models/suhw-dm3/train.py. Those that its second layer reads most are taken.

    Parameters
    ----------
    conv : Conv1d
        Without a bias where a normalisation follows.
    norm : BatchNorm1d or None
        Where there is none, the filters' normalisation is folded into the convolution.
    """
    state = load_file(SUHW_WEIGHTS)
    gain, deviation = state["blocks.1.weight"], (state["blocks.1.running_var"] + EPS).sqrt()
    read = gain.abs() * state["blocks.4.weight"].norm(dim=(0, 2))
    chosen = read.argsort(descending=True)[: conv.out_channels]
    mean = state["blocks.1.running_mean"] - state["blocks.0.bias"]
    with torch.no_grad():
        if norm is None:
            scale = (gain / deviation)[chosen]
            conv.weight.copy_(state["blocks.0.weight"][chosen] * scale[:, None, None])
            conv.bias.copy_(state["blocks.1.bias"][chosen] - mean[chosen] * scale)
            return
        conv.weight.copy_(state["blocks.0.weight"][chosen])
        norm.weight.copy_(gain[chosen])
        norm.bias.copy_(state["blocks.1.bias"][chosen])
        norm.running_mean.copy_(mean[chosen])
        norm.running_var.copy_(state["blocks.1.running_var"][chosen])


def validation_auroc(net: nn.Module, data: Peaks) -> float:
    """Give the mean over factors and both backgrounds."""
    rows = tested(net, data, VALIDATION)
    return float(np.mean([row[f"auroc, {name}"] for row in rows for name in BACKGROUND]))


def tested(net: nn.Module, data: Peaks, part: tuple[int, int]) -> list[dict[str, Any]]:
    """For each factor, how well its logit tells peaks from background and from the other factors' peaks."""
    rng, chromosome = np.random.default_rng(1), data.chromosome
    random = logits(net, chromosome.windows(chromosome.background(part, 1500, rng)))
    rows = []
    for task, factor in enumerate(data.factors):
        centres = data.centres(task, part)
        found = logits(net, chromosome.windows(centres))[:, task]
        matched = logits(net, chromosome.windows(chromosome.matched(part, centres, 10, rng)))[:, task]
        backgrounds = {"random": random[:, task], "GC": matched}
        others = others_centres(data, task, part)
        if len(others):
            backgrounds["other factor"] = logits(net, chromosome.windows(others))[:, task]
        aurocs = {f"auroc, {name}": separation(found, scores) for name, scores in backgrounds.items()}
        called = {"peaks called": found, "random called": random[:, task]}
        shares = {name: float((scores > 0).mean()) for name, scores in called.items()}
        rows.append({"factor": factor.name, "peaks": len(centres), **aurocs, **shares})
    return rows


def others_centres(data: Peaks, task: int, part: tuple[int, int]) -> np.ndarray:
    """Give the midpoints of the other factors' peaks that aren't near a peak of this one."""
    others = [data.centres(t, part) for t in range(len(data.factors)) if t != task]
    centres = np.concatenate([*others, np.empty(0, int)])
    return centres[~data.near[task, centres]]


def logits(net: nn.Module, x: Tensor) -> np.ndarray:
    """Logits (N, factors)."""
    net.eval()
    with torch.no_grad():
        return torch.cat([net(part) for part in x.split(256)]).numpy()
