"""A deep residual network for peaks of fly insulator proteins, BEAF-32 and CTCF.

Peaks on chr2R of dm3 (Bushey et al. 2009; `insulator_peaks.py`). One network for both factors: a convolution,
pooling by 4, five dilated residual blocks, the mean over positions, a dense head. It learns on 0-13 Mb, the
best epoch is chosen on 13-15 Mb, and it is tested on 15-21 Mb.

CTCF is a caution. Half of its peaks hold a match, but 245 of them are too few for this network to learn: it
tells them from background worse than the matrix alone does, and its logit is higher at peaks of BEAF-32 alone
(`auroc, other factor` is under 0.5; the matrix reaches 0.80 there). What its relevance is worth is in doubt.
"""

import torch
from torch import Tensor, nn

from benchmarks.evidence.binding import Recipe, fit
from benchmarks.evidence.insulator_peaks import FACTORS, Peaks

CHANNELS, STEM, POOL, DILATIONS = 32, 19, 4, (1, 2, 4, 8, 16)


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
