"""Convolutional classifiers and regressors of one number a task."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class DeepBind(nn.Module):
    """DeepBind (Alipanahi et al. 2015, Nat. Biotechnol. 33:831): motif scan, maximum and mean, dense end.

    The window is padded with 0.25, as the paper's equation for the motif scan says.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 8, 11)
        self.hidden, self.out = nn.Linear(16, 6), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.scan(functional.pad(x, (10, 10), value=0.25)))
        return self.out(torch.relu(self.hidden(torch.cat([h.amax(2), h.mean(2)], 1))))


class DeepSEA(nn.Module):
    """DeepSEA (Zhou and Troyanskaya 2015, Nat. Methods 12:931): three convolutions, dense, sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(4, 8, 8), nn.ReLU(), nn.MaxPool1d(4, 4), nn.Dropout(0.2),
            nn.Conv1d(8, 10, 8), nn.ReLU(), nn.MaxPool1d(4, 4), nn.Dropout(0.2),
            nn.Conv1d(10, 12, 3), nn.ReLU(), nn.Dropout(0.5),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(12 * 3, 10), nn.ReLU(), nn.Linear(10, 3), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        h = self.features(x)
        return self.classifier(h.view(h.size(0), -1))


class Basset(nn.Module):
    """Basset (Kelley et al. 2016, Genome Res. 26:990): convolution, norm, ReLU, pool; dense; logits."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Conv1d(4, 8, 19, padding=9), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(3),
            nn.Conv1d(8, 8, 11, padding=5), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(4),
            nn.Conv1d(8, 6, 7, padding=3), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(4),
        )  # fmt: skip
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(12, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(10, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 4),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.blocks(x))


class DeepSTARR(nn.Module):
    """DeepSTARR (de Almeida et al. 2022, Nat. Genet. 54:613): four blocks, two dense layers, two heads."""

    def __init__(self) -> None:
        super().__init__()
        channels = (4, 8, 6, 6, 6)
        self.blocks = nn.Sequential(
            *[
                nn.Sequential(
                    nn.Conv1d(a, b, width, padding="same"), nn.BatchNorm1d(b), nn.ReLU(), nn.MaxPool1d(2)
                )
                for a, b, width in zip(channels, channels[1:], (7, 3, 5, 3), strict=False)
            ]
        )
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(24, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Dropout(0.4),
            nn.Linear(10, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.4),
        )  # fmt: skip
        self.developmental, self.housekeeping = nn.Linear(8, 1), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.dense(self.blocks(x))
        return self.developmental(h), self.housekeeping(h)


class Exponential(nn.Module):
    """A shallow network with an exponential first layer (Koo and Ploenzke 2021, Nat. Mach. Intell. 3:258)."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.norm = nn.Conv1d(4, 8, 9, padding="same"), nn.BatchNorm1d(8)
        self.mix = nn.Sequential(nn.Conv1d(8, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(4))
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(24, 6), nn.ReLU(), nn.Linear(6, 2))

    def forward(self, x: Tensor) -> Tensor:
        h = functional.max_pool1d(torch.exp(self.norm(self.scan(x))), 4)
        return self.dense(self.mix(h))


class VGG(nn.Module):
    """A VGG-like network (Simonyan and Zisserman 2015): the window is an image four rows high."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d((2, 4)),
            nn.Conv2d(6, 8, (2, 3), padding=(0, 1)), nn.ReLU(inplace=True), nn.MaxPool2d((1, 4)),
        )  # fmt: skip
        self.average = nn.AdaptiveAvgPool2d((1, 2))
        self.classifier = nn.Sequential(nn.Linear(16, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.average(self.features(x.unsqueeze(1))), 1))


class ResidualBlock(nn.Module):
    """The basic block of a ResNet on (N, C, 1, L), with a strided shortcut where the shape changes."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, (1, 5), (1, stride), (0, 2), bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, (1, 5), padding=(0, 2), bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, (1, stride), bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        h += self.shortcut(x)
        return torch.relu_(h)


class ResNet(nn.Module):
    """A ResNet-like network (He et al. 2016, CVPR)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(4, 6, (1, 7), padding=(0, 3), bias=False), nn.BatchNorm2d(6), nn.ReLU()
        )
        self.pool = nn.MaxPool2d((1, 3), (1, 2), (0, 1))
        self.blocks = nn.Sequential(ResidualBlock(6, 6, 1), ResidualBlock(6, 8, 2))
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(self.pool(self.stem(x[:, :, None])))
        return self.head(functional.adaptive_avg_pool2d(h, 1).flatten(1))


class SqueezeExcite(nn.Module):
    """Channels weighted by a sigmoid of their means (Hu et al. 2018, CVPR), as in LegNet and others."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix = nn.Conv1d(4, 8, 7, padding=3), nn.Conv1d(8, 8, 5, padding=2, groups=4)
        self.squeeze, self.excite = nn.Linear(8, 3), nn.Linear(3, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.silu(self.mix(functional.silu(self.stem(x))))
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(h.mean(2)))))
        return self.head((h * weights[:, :, None]).mean(2))


class ReverseComplementShared(nn.Module):
    """One network read on both strands (Quang and Xie 2019, Methods 166:40, and DeepBind).

    Parameters
    ----------
    maximum : bool
        Take the larger answer instead of the mean.
    """

    def __init__(self, maximum: bool) -> None:
        super().__init__()
        self.maximum = maximum
        self.strand = nn.Sequential(
            nn.Conv1d(4, 8, 9), nn.ReLU(), nn.MaxPool1d(4), nn.Flatten(),
            nn.Linear(8 * 8, 6), nn.ReLU(), nn.Linear(6, 2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        forward, reverse = self.strand(x), self.strand(x.flip(1, 2))
        return torch.maximum(forward, reverse) if self.maximum else (forward + reverse) / 2


class SharedConv1d(nn.Conv1d):
    """A convolution whose second half of channels is the first, reverse-complemented, in reverse order."""

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.cat([self.weight, self.weight.flip(0, 1, 2)])
        return functional.conv1d(x, weight, torch.cat([self.bias, self.bias.flip(0)]), padding=self.padding)


class ReverseComplementParameters(nn.Module):
    """Convolutions with reverse-complement parameter sharing (Shrikumar et al. 2017, bioRxiv 103663)."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.mix = SharedConv1d(4, 5, 7, padding=3), SharedConv1d(10, 4, 5, padding=2)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.mix(torch.relu(self.scan(x))))
        first, second = h.split(4, 1)
        return self.head(functional.max_pool1d(first + second.flip(1), 5).mean(-1))


class Decoder(nn.Module):
    """Strided convolutions down and transposed ones up (Long et al. 2015, CVPR): a profile of the window."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv1d(4, 6, 4, 2, 1), nn.ReLU(), nn.Conv1d(6, 8, 4, 2, 1), nn.ReLU())
        self.up = nn.Sequential(
            nn.ConvTranspose1d(8, 6, 4, 2, 1), nn.BatchNorm1d(6), nn.ReLU(),
            nn.ConvTranspose1d(6, 4, 3, 2, 1, output_padding=1, groups=2), nn.ReLU(), nn.Conv1d(4, 2, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))
