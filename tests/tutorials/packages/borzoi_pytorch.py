"""Stands for the package borzoi-pytorch: its calls, bins and tracks; few channels and random weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Borzoi(nn.Module):
    """Bins of 32 bp, with their surroundings from a coarser level, 6,144 in the middle; 7,611 tracks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv1d(4, 4, 32, stride=32)
        self.coarse = nn.Conv1d(4, 4, 5, padding=2)
        self.human_head = nn.Conv1d(4, 7611, 1)

    @classmethod
    def from_pretrained(cls, name: str) -> "Borzoi":
        assert name == "johahi/borzoi-replicate-0"
        return cls()

    def set_track_subset(self, track_subset: list[int]) -> None:
        whole, self.human_head = self.human_head, nn.Conv1d(4, len(track_subset), 1)
        self.human_head.weight = nn.Parameter(whole.weight[track_subset].clone())
        self.human_head.bias = nn.Parameter(whole.bias[track_subset].clone())

    def forward(self, x: Tensor, is_human: bool = True) -> Tensor:
        fine = self.stem(x).relu()
        coarse = self.coarse(functional.max_pool1d(fine, 4)).relu()
        joined = fine + functional.interpolate(coarse, scale_factor=4.0)
        return functional.softplus(self.human_head(joined[:, :, 5120:-5120]))
