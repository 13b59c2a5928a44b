"""A small network that commands explain."""

from pathlib import Path

import torch
from torch import nn

WINDOW = 40
MODEL = f"{Path(__file__)}:TinyNet"


class TinyNet(nn.Module):
    """Two tasks and two strands' worth of asymmetry on windows of 40 bp."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.scan = nn.Conv1d(4, 6, 5, padding=2)
        self.mix = nn.Conv1d(6, 6, 3, padding=1)
        self.head = nn.Linear(6 * 10, 2)

    def forward(self, x):
        h = torch.relu(self.mix(torch.relu(self.scan(x))))
        return self.head(nn.functional.max_pool1d(h, 4).flatten(1))
