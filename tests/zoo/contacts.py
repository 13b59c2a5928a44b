"""Networks that predict contacts of pairs of bins, and others in two dimensions or at several scales."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """What Basenji and Akita are made of: an activation, a convolution without bias, a norm."""

    def __init__(self, convolution: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.convolution, self.norm = convolution, norm

    def forward(self, h: Tensor) -> Tensor:
        return self.norm(self.convolution(torch.relu(h)))


def block(n_in: int, n_out: int, width: int, dilation: int = 1) -> Block:
    """A block along the sequence."""
    convolution = nn.Conv1d(n_in, n_out, width, padding="same", dilation=dilation, bias=False)
    return Block(convolution, nn.BatchNorm1d(n_out))


def block_of_pairs(n_in: int, n_out: int, width: int, dilation: int = 1) -> Block:
    """A block over pairs of bins."""
    convolution = nn.Conv2d(n_in, n_out, width, padding="same", dilation=dilation, bias=False)
    return Block(convolution, nn.BatchNorm2d(n_out))


class Akita(nn.Module):
    """Akita (Fudenberg et al. 2020, Nat. Methods 17:1111): pairs of bins by their mean, an upper triangle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.tower = block(4, 6, 11), block(6, 6, 5)
        self.dilated = nn.Sequential(block(6, 3, 3, 2), block(3, 6, 1), nn.Dropout(0.4))
        self.narrow = block(6, 6, 5)
        self.mix = block_of_pairs(7, 6, 3)
        self.dilated2d = nn.ModuleList(
            nn.Sequential(block_of_pairs(6, 3, 3, 2**i), block_of_pairs(3, 6, 1), nn.Dropout(0.1))
            for i in range(2)
        )
        self.head = nn.Linear(6, 2)
        self.register_buffer("upper", torch.ones(6, 6).triu(2).bool())

    def forward(self, x: Tensor) -> Tensor:
        h = functional.max_pool1d(self.tower(functional.max_pool1d(self.stem(x), 4)), 2)
        h = torch.relu(self.narrow(h + self.dilated(h)))
        pairs = (h.unsqueeze(3) + h.unsqueeze(2)) / 2
        bins = torch.arange(h.shape[2])
        distance = (bins[:, None] - bins).abs().to(x.dtype).expand(len(x), 1, -1, -1)
        pairs = self._symmetric(self.mix(torch.cat([pairs, distance], 1)))
        for layers in self.dilated2d:
            pairs = self._symmetric(pairs + layers(pairs))
        pairs = torch.relu(pairs[:, :, 1:-1, 1:-1])
        return self.head(pairs[:, :, self.upper].transpose(1, 2))

    @staticmethod
    def _symmetric(pairs: Tensor) -> Tensor:
        return (pairs + pairs.transpose(2, 3)) / 2


class Orca(nn.Module):
    """Orca (Zhou 2022, Nat. Genet. 54:725): contact maps at two scales, the fine one given the coarse."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Sequential(nn.Conv1d(4, 6, 9, padding=4), nn.BatchNorm1d(6))
        self.nonlinear = nn.Sequential(nn.Conv1d(6, 6, 9, padding=4), nn.BatchNorm1d(6), nn.ReLU())
        self.fine, self.coarse = nn.MaxPool1d(8), nn.MaxPool1d(2)
        self.lift = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, dilation=2**i, padding=2**i) for i in range(2))
        self.final = nn.Conv2d(8, 1, 1)
        self.register_buffer("distances", torch.randn(1, 1, 8, 8, dtype=torch.float64))

    def decode(self, bins: Tensor, coarser: Tensor) -> Tensor:
        pairs = self.lift(bins[:, :, :, None] + bins[:, :, None, :])
        size = bins.shape[2]
        distances = self.distances[..., :size, :size].to(bins).expand(len(bins), -1, -1, -1)
        h = torch.cat([pairs, distances, coarser], dim=1)
        for block in self.blocks:
            h = h + torch.relu(block(h))
        out = self.final(h)
        return 0.5 * out + 0.5 * out.transpose(2, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.linear(x)
        fine = self.fine(self.nonlinear(h) + h)
        coarse = self.coarse(fine)
        far = self.decode(coarse, torch.zeros(len(x), 1, 4, 4, dtype=x.dtype))
        near = self.decode(fine[:, :, 2:6], functional.interpolate(far[:, :, 1:3, 1:3], scale_factor=2))
        return far.squeeze(1), near.squeeze(1)


class BasicBlock(nn.Module):
    """The basic block of a ResNet in two dimensions."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn1, self.bn2, self.relu = nn.BatchNorm2d(n_out), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016, CVPR) with its eight blocks, on a window folded into an image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layers = nn.Sequential(
            *[
                nn.Sequential(BasicBlock(a, b, stride), BasicBlock(b, b, 1))
                for a, b, stride in ((4, 4, 1), (4, 6, 2), (6, 6, 2), (6, 8, 2))
            ]
        )
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.maxpool(self.relu(self.bn1(self.conv1(x.view(-1, 4, 12, 12)))))
        return self.fc(torch.flatten(self.avgpool(self.layers(h)), 1))


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015, MICCAI) along the window, padded where a pool left a position out."""

    def __init__(self) -> None:
        super().__init__()
        self.down0, self.down1, self.bottom = self._twice(4, 6), self._twice(6, 8), self._twice(8, 8)
        self.up1, self.up0 = nn.ConvTranspose1d(8, 8, 2, stride=2), nn.ConvTranspose1d(8, 6, 2, stride=2)
        self.join1, self.join0 = self._twice(16, 8), self._twice(12, 6)
        self.pool, self.out = nn.MaxPool1d(2), nn.Conv1d(6, 2, 1)

    @staticmethod
    def _twice(n_in: int, n_out: int) -> nn.Sequential:
        parts = []
        for channels in (n_in, n_out):
            parts += [nn.Conv1d(channels, n_out, 3, padding=1), nn.BatchNorm1d(n_out), nn.ReLU(inplace=True)]
        return nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        high = self.down0(x)
        middle = self.down1(self.pool(high))
        h = self._joined(self.up1(self.bottom(self.pool(middle))), middle, self.join1)
        return self.out(self._joined(self.up0(h), high, self.join0))

    @staticmethod
    def _joined(low: Tensor, skipped: Tensor, layers: nn.Module) -> Tensor:
        missing = skipped.size(2) - low.size(2)
        low = functional.pad(low, [missing // 2, missing - missing // 2])
        return layers(torch.cat([skipped, low], dim=1))
