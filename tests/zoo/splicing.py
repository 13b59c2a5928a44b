"""Networks of splicing: dilated residual blocks, a softmax over kinds of sites, usage by tissue."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two pre-activated dilated convolutions and a residual path.

    Parameters
    ----------
    slope : float
        Of the leaky ReLU; 0 is a ReLU.
    """

    def __init__(self, channels: int, width: int, dilation: int, slope: float = 0.0) -> None:
        super().__init__()
        padding = dilation * (width - 1) // 2
        self.bn1, self.bn2 = nn.BatchNorm1d(channels), nn.BatchNorm1d(channels)
        self.conv1 = nn.Conv1d(channels, channels, width, dilation=dilation, padding=padding)
        self.conv2 = nn.Conv1d(channels, channels, width, dilation=dilation, padding=padding)
        self.activation: nn.Module = nn.LeakyReLU(slope) if slope else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.activation(self.bn1(x)))
        return self.conv2(self.activation(self.bn2(out))) + x


class Pangolin(nn.Module):
    """Pangolin (Zeng and Li 2022, Genome Biol. 23:103): for each tissue a softmax of two beside a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.skip = nn.Conv1d(4, 6, 1), nn.Conv1d(6, 6, 1)
        self.resblocks = nn.ModuleList([Block(6, 5, 1), Block(6, 5, 2)])
        self.convs = nn.ModuleList(nn.Conv1d(6, 6, 1) for _ in range(2))
        self.last = nn.ModuleList(nn.Conv1d(6, channels, 1) for channels in (2, 1, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv1(x)
        skip = self.skip(conv)
        for block, dense in zip(self.resblocks, self.convs, strict=True):
            conv = block(conv)
            skip = skip + dense(conv)
        skip = functional.pad(skip, (-12, -12))
        first, second, third, fourth = (layer(skip) for layer in self.last)
        parts = [functional.softmax(first, dim=1), torch.sigmoid(second)]
        return torch.cat([*parts, functional.softmax(third, dim=1), torch.sigmoid(fourth)], 1)


class OpenSpliceAI(nn.Module):
    """OpenSpliceAI (Chao et al. 2025, eLife 14:107454): SpliceAI with leaky ReLUs and cropped ends."""

    def __init__(self) -> None:
        super().__init__()
        self.initial_conv, self.initial_skip = nn.Conv1d(4, 6, 1), nn.Conv1d(6, 6, 1)
        self.units = nn.ModuleList([Block(6, 5, 1, slope=0.1), Block(6, 5, 3, slope=0.1)])
        self.skips = nn.ModuleList(nn.Conv1d(6, 6, 1) for _ in range(2))
        self.final_conv = nn.Conv1d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.initial_conv(x)
        skip = self.initial_skip(x)
        for unit, joined in zip(self.units, self.skips, strict=True):
            x = unit(x)
            skip = skip + joined(x)
        return functional.softmax(self.final_conv(skip[:, :, 16:-16]), dim=1)


class SpliceTransformer(nn.Module):
    """SpliceTransformer (You et al. 2024, Nat. Commun. 15:9129): convolutions, attention, sites, tissues."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv1d(4, 8, 1), Block(8, 5, 1), Block(8, 5, 2))
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.feed = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.splice, self.usage = nn.Conv1d(8, 3, 1), nn.Conv1d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.encoder(x)[:, :, 8:-8].transpose(1, 2)
        first = self.norm(h)
        h = h + self.attention(first, first, first, need_weights=False)[0]
        h = (h + self.feed(h)).transpose(1, 2)
        return torch.cat([functional.softmax(self.splice(h), dim=1), torch.sigmoid(self.usage(h))], dim=1)
