"""A BPNet-like network of where peaks lie, base by base: its data, training and test.

The profile of a factor is how many of two cell lines (Kc, Mbn2) have a peak over a base: 0, 1 or 2. These are
intervals, not counts of reads, which no package holds for a genome that is at hand; but they are real, and
have base resolution: peaks of these factors are a few hundred bp long, windows 800 bp, and a peak lies
anywhere in them. A network has to find the site in order to place the profile.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.evidence.binding import start_from_suhw
from benchmarks.evidence.insulator_peaks import (
    FACTORS,
    SUHW,
    TRAINING,
    VALIDATION,
    Peaks,
    read_peaks,
    separation,
)
from benchmarks.evidence.public import public_path
from sparselrp_cli.model.architectures import BPNet

PROFILED = (SUHW, FACTORS[0])
LENGTH, MOVED = 800, 250
"""Of windows, and how far a peak's midpoint may lie from their middle, in bp."""
FILTERS, LAYERS, BATCH, RATE, DECAY, COUNTS_WEIGHT = 24, 6, 16, 2e-3, 1e-2, 0.1
NEAR = 100
"""A profile whose highest stretch is so near to a peak's midpoint has found it, in bp."""


@dataclass(frozen=True)
class Drawn:
    """Windows (N, 4, L) and their profiles (N, factors, L)."""

    x: Tensor
    profiles: Tensor

    @property
    def counts(self) -> Tensor:
        """What the count head predicts, (N, factors): the logarithm of bases covered, in both lines."""
        return torch.log1p(self.profiles.sum(2))


class Profiles:
    """The chromosome, and over which of its bases peaks lie."""

    def __init__(self) -> None:
        self.peaks = Peaks(PROFILED)
        self.covered = np.zeros((len(PROFILED), self.peaks.inside.shape[1]), np.float32)
        for task, factor in enumerate(PROFILED):
            for cell in factor.cells:
                for start, end in read_peaks(public_path(f"{factor.files}_{cell}_Bushey_2009.bed")):
                    self.covered[task, start:end] += 1

    def centres(self, part: tuple[int, int], rng: np.random.Generator, times: int = 1) -> np.ndarray:
        """Draw centres of windows with a peak that lies anywhere in the middle 500 bp."""
        peaks = [self.peaks.centres(task, part) for task in range(len(PROFILED))]
        midpoints = np.tile(np.concatenate(peaks), times)
        return midpoints + rng.integers(-MOVED, MOVED + 1, len(midpoints))

    def drawn(self, centres: np.ndarray) -> Drawn:
        """Give windows and profiles."""
        index = (centres - LENGTH // 2)[:, None] + np.arange(LENGTH)
        one_hot, covered = self.peaks.chromosome.one_hot[:, index], self.covered[:, index]
        x = torch.from_numpy(one_hot.transpose(1, 0, 2).astype(np.float32))
        return Drawn(x, torch.from_numpy(covered.transpose(1, 0, 2).copy()))

    def epoch(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Centres of an epoch: peaks twice, moved anew, and as much background, half of it GC-matched."""
        peaks, chromosome = self.centres(TRAINING, rng, 2), self.peaks.chromosome
        half = len(peaks) // 2
        random = chromosome.background(TRAINING, half, rng)
        matched = chromosome.matched(TRAINING, peaks[:half], 1, rng)
        centres = rng.permutation(np.concatenate([peaks, random, matched]))
        return np.array_split(centres, len(centres) // BATCH)


def profile_loss(logits: Tensor, profiles: Tensor) -> Tensor:
    """Cross entropy of profiles, for each base covered; the mean over those windows that hold any."""
    total = profiles.sum(2)
    entropy = -(profiles * F.log_softmax(logits, 2)).sum(2)
    return (entropy / total.clamp(min=1)).sum() / (total > 0).sum().clamp(min=1)


def loss(net: nn.Module, drawn: Drawn) -> Tensor:
    """Loss of the profile and of the count head."""
    found = net(drawn.x)
    return profile_loss(found["profile"], drawn.profiles) + COUNTS_WEIGHT * F.mse_loss(
        found["counts"], drawn.counts
    )


def train(data: Profiles, seed: int, epochs: int) -> nn.Module:
    """Train with AdamW in one cycle of rates; keep the epoch whose loss is least on the validation part."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = BPNet(filters=FILTERS, layers=LAYERS, tasks=len(PROFILED))
    start_from_suhw(net.stem)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    total = epochs * len(data.epoch(rng))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=total, pct_start=0.2)
    held = data.drawn(held_centres(data, VALIDATION))
    kept, best = {}, float("inf")
    for _ in range(epochs):
        for centres in data.epoch(rng):
            value = loss(net, flipped(data.drawn(centres), rng))
            optimiser.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            found = loss(net, held).item()
        if found < best:
            kept, best = {name: value.clone() for name, value in net.state_dict().items()}, found
    net.load_state_dict(kept)
    return net.eval().requires_grad_(False)


def flipped(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    """Turn half of the windows to the other strand."""
    turned = torch.from_numpy(rng.random(len(drawn.x)) < 0.5)[:, None, None]
    x = torch.where(turned, drawn.x.flip(1, 2), drawn.x)
    return Drawn(x, torch.where(turned, drawn.profiles.flip(2), drawn.profiles))


def held_centres(data: Profiles, part: tuple[int, int]) -> np.ndarray:
    """Centres that are tested: of peaks, and of as much random background."""
    rng = np.random.default_rng(1)
    peaks = data.centres(part, rng)
    return np.concatenate([peaks, data.peaks.chromosome.background(part, len(peaks), rng)])


def predicted(net: nn.Module, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Profiles as probabilities (N, factors, L) and log counts (N, factors)."""
    with torch.no_grad():
        found = [net(part) for part in x.split(128)]
    profiles = torch.cat([torch.softmax(f["profile"], 2) for f in found])
    return profiles.numpy(), torch.cat([f["counts"] for f in found]).numpy()


def tested(net: nn.Module, data: Profiles, part: tuple[int, int]) -> list[dict[str, Any]]:
    """Test profiles and counts of each factor's peaks, placed at random in their windows.

    The divergence of predicted and real profile (Jensen-Shannon, bits) stands beside that of a flat profile
    and of the profile predicted for another window; and how often the highest 200 bp are near the peak.
    """
    rng, rows = np.random.default_rng(2), []
    chromosome = data.peaks.chromosome
    backgrounds = {"random": chromosome.background(part, 1500, rng)}
    for task, factor in enumerate(PROFILED):
        midpoints = data.peaks.centres(task, part)
        centres = midpoints + rng.integers(-MOVED, MOVED + 1, len(midpoints))
        drawn = data.drawn(centres)
        real = drawn.profiles[:, task].numpy()
        found, counts = (values[:, task] for values in predicted(net, drawn.x))
        places = np.stack([highest(profile) for profile in (found, np.roll(found, 1, axis=0))])
        near = np.abs(places - (midpoints - centres + LENGTH // 2)) <= NEAR
        matched = chromosome.matched(part, centres, 5, rng)
        rows.append({
            "factor": factor.name, "peaks": len(centres), "divergence": divergence(found, real),
            "of a flat profile": divergence(np.full_like(found, 1 / LENGTH), real),
            "of another's": divergence(np.roll(found, 1, axis=0), real),
            "found": float(near[0].mean()), "by another's": float(near[1].mean()),
            "median distance": float(np.median(np.abs(places[0] - (midpoints - centres + LENGTH // 2)))),
            **{
                f"auroc of counts, {name}": separation(counts, predicted(net, data.drawn(at).x)[1][:, task])
                for name, at in (backgrounds | {"GC": matched}).items()
            },
        })  # fmt: skip
    return rows


def highest(profiles: np.ndarray) -> np.ndarray:
    """Middles of the 200 bp to which profiles (N, L) give most."""
    sums = np.cumsum(np.pad(profiles, ((0, 0), (1, 0))), axis=1)
    return (sums[:, 2 * NEAR :] - sums[:, : -2 * NEAR]).argmax(axis=1) + NEAR


def divergence(predicted: np.ndarray, real: np.ndarray) -> float:
    """Mean Jensen-Shannon divergence of profiles (N, L), in bits; windows without a real one don't count."""
    some = real.sum(axis=1) > 0
    p, q = predicted[some], real[some] / real[some].sum(axis=1, keepdims=True)
    middle = (p + q) / 2
    return float(((_relative(p, middle) + _relative(q, middle)) / 2).mean())


def _relative(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Relative entropy, (N,), in bits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * np.log2(p / q), 0).sum(axis=1)
