"""Train the network of this folder: su(Hw) peaks of dm3 chr2R against background.

Run from the repository root, with the sources that data/README.md names:

    python models/suhw-dm3/train.py chr2R.fa SuHw_Kc_Bushey_2009.bed SuHw_Mbn2_Bushey_2009.bed --seeds 0

made the weights of this folder.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from Bio import SeqIO
from safetensors.torch import save_file
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "data")]

from make_data import merged, read_peaks  # noqa: E402

from sparselrp_cli.model.architectures import ARCHITECTURES  # noqa: E402
from sparselrp_cli.sequences.one_hot import encode  # noqa: E402

WINDOW = 600
TRAINING, VALIDATION, TEST = (0, 13_000_000), (13_000_000, 15_000_000), (15_000_000, 21_000_000)
ARCHITECTURE = {
    "name": "pooled-cnn",
    "arguments": {
        "window": WINDOW, "channels": [64, 64], "widths": [21, 3], "pools": [4, 4], "dense": [32],
        "tasks": 1, "dropout": 0.4, "global_pool": True,
    },
}  # fmt: skip
NEGATIVES = 5
SHIFT = 60
EPOCHS, PATIENCE = 40, 8


class Chromosome:
    """One-hot chromosome and its peaks."""

    def __init__(self, sequence: str, peaks: list[tuple[int, int]]) -> None:
        self.one_hot = encode(sequence.encode())
        self.peaks = peaks
        self.near_peak = np.zeros(len(sequence), dtype=bool)
        for start, end in peaks:
            self.near_peak[max(start - WINDOW, 0) : end + WINDOW] = True
        known = self.one_hot.sum(0)
        self.unknown_before = np.concatenate([[0], np.cumsum(1 - known.astype(np.int64))])
        self.gc_before = np.concatenate([[0], np.cumsum(self.one_hot[1] + self.one_hot[2], dtype=np.int64)])

    def centres(self, part: tuple[int, int]) -> np.ndarray:
        """Midpoints of the peaks of a part."""
        return np.array([(s + e) // 2 for s, e in self.peaks if part[0] <= s < part[1]])

    def gc(self, centres: np.ndarray) -> np.ndarray:
        """Share of G and C in the windows."""
        start = centres - WINDOW // 2
        return (self.gc_before[start + WINDOW] - self.gc_before[start]) / WINDOW

    def background(self, part: tuple[int, int], count: int, rng: np.random.Generator) -> np.ndarray:
        """Centres of random windows without N that are no peak's neighbours."""
        centres = rng.integers(part[0] + WINDOW, part[1] - WINDOW, 4 * count + 100)
        start = centres - WINDOW // 2
        complete = self.unknown_before[start + WINDOW] == self.unknown_before[start]
        return centres[complete & ~self.near_peak[centres]][:count]

    def matched(
        self, part: tuple[int, int], like: np.ndarray, each: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Centres of background windows with the GC content of given windows."""
        pool = self.background(part, 60_000, rng)
        order = np.argsort(self.gc(pool), kind="stable")
        pool, gc = pool[order], self.gc(pool)[order]
        near = np.searchsorted(gc, np.repeat(self.gc(like), each)) + rng.integers(-50, 50, len(like) * each)
        return pool[np.clip(near, 0, len(pool) - 1)]

    def windows(self, centres: np.ndarray) -> torch.Tensor:
        """One-hot windows (N, 4, L)."""
        index = (centres - WINDOW // 2)[:, None] + np.arange(WINDOW)
        return torch.from_numpy(self.one_hot[:, index].transpose(1, 0, 2).astype(np.float32))


def predict(model: nn.Module, x: torch.Tensor) -> np.ndarray:
    """Logits, averaged over nothing: the forward strand alone, as the model will be used."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part)[:, 0] for part in x.split(256)]).numpy()


def sets(chromosome: Chromosome, part: tuple[int, int], seed: int) -> tuple[torch.Tensor, ...]:
    """Peaks, random background and GC-matched background of a part, ten windows a peak."""
    rng = np.random.default_rng(seed)
    peaks = chromosome.centres(part)
    return (
        chromosome.windows(peaks),
        chromosome.windows(chromosome.background(part, 10 * len(peaks), rng)),
        chromosome.windows(chromosome.matched(part, peaks, 10, rng)),
    )


def scores(model: nn.Module, peaks: torch.Tensor, background: torch.Tensor) -> tuple[float, float]:
    """AUROC and area under the precision-recall curve."""
    logits = np.concatenate([predict(model, peaks), predict(model, background)])
    labels = np.repeat([1, 0], [len(peaks), len(background)])
    return float(roc_auc_score(labels, logits)), float(average_precision_score(labels, logits))


def epoch(
    model: nn.Module, optimiser: torch.optim.Optimizer, chromosome: Chromosome, rng: np.random.Generator
) -> None:
    """Train once on all peaks, shifted and on a random strand, against fresh background."""
    peaks = chromosome.centres(TRAINING)
    shifted = np.concatenate([peaks + rng.integers(-SHIFT, SHIFT + 1, len(peaks)) for _ in range(2)])
    half = NEGATIVES * len(shifted) // 2
    background = np.concatenate(
        [
            chromosome.background(TRAINING, half, rng),
            chromosome.matched(TRAINING, shifted, NEGATIVES // 2, rng),
        ]
    )
    centres = np.concatenate([shifted, background])
    labels = torch.from_numpy(np.repeat([1.0, 0.0], [len(shifted), len(background)]).astype(np.float32))
    model.train()
    for chosen in np.array_split(rng.permutation(len(centres)), len(centres) // 64):
        x = chromosome.windows(centres[chosen])
        flipped = torch.from_numpy(rng.random(len(chosen)) < 0.5)
        x = torch.where(flipped[:, None, None], x.flip(1, 2), x)
        loss = binary_cross_entropy_with_logits(model(x)[:, 0], labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def train(chromosome: Chromosome, seed: int) -> tuple[nn.Module, float]:
    """Train until the validation AUROC hasn't risen for a while; give the best model and its AUROC."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = ARCHITECTURES[ARCHITECTURE["name"]](**ARCHITECTURE["arguments"])
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    peaks, random, matched = sets(chromosome, VALIDATION, 1)
    best, best_auroc, waited = {}, 0.0, 0
    for number in range(EPOCHS):
        epoch(model, optimiser, chromosome, rng)
        schedule.step()
        auroc = (scores(model, peaks, random)[0] + scores(model, peaks, matched)[0]) / 2
        print(f"seed {seed} epoch {number}: validation AUROC {auroc:.4f}", flush=True)
        if auroc > best_auroc:
            best, best_auroc, waited = {k: v.clone() for k, v in model.state_dict().items()}, auroc, 0
        elif (waited := waited + 1) >= PATIENCE:
            break
    model.load_state_dict(best)
    return model, best_auroc


def save(model: nn.Module) -> None:
    """Write weights and description."""
    weights = HERE / "weights.safetensors"
    state = {
        k: v.contiguous() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")
    }
    save_file(state, weights)
    description = {
        "schema_version": 1,
        "name": HERE.name,
        "description": "su(Hw) binding in Drosophila Kc and Mbn2 cells: logit of peak against background",
        "architecture": ARCHITECTURE,
        "weights": weights.name,
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "window": WINDOW,
        "alphabet": "ACGT",
        "layout": "NCL",
        "outputs": [{"name": "binding", "tasks": ["suhw"]}],
        "license": "MIT",
        "source": "models/suhw-dm3/train.py on dm3 chr2R 0-15 Mb; peaks of Bushey et al. 2009",
    }
    (HERE / "model.json").write_text(json.dumps(description, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("genome", type=Path)
    parser.add_argument("peaks", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="the best on validation is kept")
    given = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    peaks = merged([peak for path in given.peaks for peak in read_peaks(path)])
    chromosome = Chromosome(str(SeqIO.read(given.genome, "fasta").seq), peaks)
    began = time.monotonic()
    trained = [train(chromosome, seed) for seed in given.seeds]
    model, validation = max(trained, key=lambda pair: pair[1])
    save(model)
    positives, random, matched = sets(chromosome, TEST, 2)
    print(f"validation AUROC {validation:.4f}, {time.monotonic() - began:.0f} s")
    for name, background in (("random", random), ("GC-matched", matched)):
        auroc, aupr = scores(model, positives, background)
        print(
            f"test against {name}: AUROC {auroc:.4f}, AUPR {aupr:.4f} ({len(positives)} / {len(background)})"
        )


if __name__ == "__main__":
    main()
