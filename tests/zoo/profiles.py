"""Networks that predict along the window: profiles, splice sites, coverage."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class BPNet(nn.Module):
    """BPNet (Avsec et al. 2021, Nat. Genet. 53:354): dilated residual convolutions, profile and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 8, 11, padding="same")
        self.residual = nn.ModuleList(nn.Conv1d(8, 8, 3, padding="same", dilation=2**i) for i in range(1, 4))
        self.profile, self.counts = nn.ConvTranspose1d(8, 2, 9, padding=4), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = torch.relu(self.stem(x))
        for layer in self.residual:
            h = h + torch.relu(layer(h))
        pooled = functional.adaptive_avg_pool1d(h, 1).squeeze(-1)
        return {"profile": self.profile(h), "counts": self.counts(pooled)}


class ValidBPNet(nn.Module):
    """The trunk of ChromBPNet: unpadded convolutions, the residual branch cropped to fit."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, channels, 9)
        self.residual = nn.ModuleList(
            nn.Conv1d(channels, channels, 3, dilation=2**i) for i in range(1, layers + 1)
        )
        self.profile, self.counts = nn.Conv1d(channels, 1, 9), nn.Linear(channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.relu(self.stem(x))
        for layer in self.residual:
            new = torch.relu(layer(h))
            crop = (h.shape[-1] - new.shape[-1]) // 2
            h = h[:, :, crop:-crop] + new
        profile = self.profile(h)
        crop = (profile.shape[-1] - 32) // 2
        return profile[..., crop : crop + 32], self.counts(h.mean(dim=-1))


class ChromBPNet(nn.Module):
    """ChromBPNet (Pampari et al. 2024, bioRxiv 2024.12.25.630221): accessibility and enzyme bias together.

    Profile logits add; counts add before the logarithm.
    """

    def __init__(self) -> None:
        super().__init__()
        self.accessibility, self.bias = ValidBPNet(8, 3), ValidBPNet(4, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        profile, counts = self.accessibility(x)
        bias_profile, bias_counts = self.bias(x)
        both = torch.logsumexp(torch.stack([counts, bias_counts]), dim=0)
        return {"profile": profile + bias_profile, "counts": both}


class SpliceAI(nn.Module):
    """SpliceAI (Jaganathan et al. 2019, Cell 176:535): pre-activation blocks, summed skips, softmax end."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 6, 1)
        self.skips = nn.ModuleList(nn.Conv1d(6, 6, 1) for _ in range(3))
        self.blocks = nn.ModuleList(self._block(width, dilation) for width, dilation in ((5, 1), (5, 4)))
        self.head = nn.Conv1d(6, 3, 1)

    def _block(self, width: int, dilation: int) -> nn.Sequential:
        parts = []
        for _ in range(2):
            parts += [
                nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 6, width, dilation=dilation, padding="same")
            ]  # fmt: skip
        return nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        total = self.skips[0](h)
        for block, skip in zip(self.blocks, self.skips[1:], strict=True):
            h = block(h) + h
            total = total + skip(h)
        return functional.softmax(self.head(functional.pad(total, (-20, -20))), dim=1)


def sigmoid_gelu(x: Tensor) -> Tensor:
    """The approximation of GELU that Basenji and Enformer use (Hendrycks and Gimpel 2016)."""
    return torch.sigmoid(1.702 * x) * x


class Basenji(nn.Module):
    """Basenji2 (Kelley 2020, PLoS Comput. Biol. 16:e1008050): GELU, pools, dilated blocks, softplus."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(a, b, width, padding="same", bias=False), nn.BatchNorm1d(b), nn.MaxPool1d(2)
            )
            for a, b, width in ((4, 6, 15), (6, 8, 5), (8, 8, 5))
        )
        self.dilated = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.Sequential(
                        nn.Conv1d(8, 4, 3, padding="same", dilation=dilation, bias=False), nn.BatchNorm1d(4)
                    ),
                    nn.Sequential(nn.Conv1d(4, 8, 1, bias=False), nn.BatchNorm1d(8), nn.Dropout(0.3)),
                ]
            )
            for dilation in (1, 2)
        )
        self.last = nn.Sequential(nn.Conv1d(8, 8, 1, bias=False), nn.BatchNorm1d(8), nn.Dropout(0.05))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for block in self.tower:  # the first takes an activation of the bases, too
            h = block(sigmoid_gelu(h))
        for wide, narrow in self.dilated:
            h = h + narrow(sigmoid_gelu(wide(sigmoid_gelu(h))))
        h = sigmoid_gelu(self.last(sigmoid_gelu(h[:, :, 2:-2])))
        return functional.softplus(self.head(h.transpose(1, 2))).transpose(1, 2)


class Sei(nn.Module):
    """Sei (Chen et al. 2022, Nat. Genet. 54:940): linear and nonlinear paths, B-splines, sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Sequential(nn.Conv1d(4, 8, 9, padding=4), nn.Conv1d(8, 8, 9, padding=4))
        self.nonlinear1 = nn.Sequential(
            nn.Conv1d(8, 8, 9, padding=4), nn.ReLU(inplace=True),
            nn.Conv1d(8, 8, 9, padding=4), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.linear2 = nn.Sequential(nn.MaxPool1d(4, 4), nn.Dropout(0.2), nn.Conv1d(8, 8, 5, padding=2))
        self.nonlinear2 = nn.Sequential(nn.Dropout(0.2), nn.Conv1d(8, 8, 5, padding=2), nn.ReLU(inplace=True))
        self.dilated = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(0.1), nn.Conv1d(8, 8, 3, dilation=2**i, padding=2**i), nn.ReLU(inplace=True)
            )
            for i in range(1, 4)
        )
        self.register_buffer("basis", spline_basis(16, 6))
        self.classifier = nn.Sequential(
            nn.Linear(8 * 6, 8), nn.ReLU(inplace=True), nn.Linear(8, 3), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        linear = self.linear1(x)
        linear = self.linear2(self.nonlinear1(linear) + linear)
        h = self.nonlinear2(linear) + linear
        for layer in self.dilated:
            h = h + layer(h)
        smoothed = torch.matmul(h, self.basis)
        return self.classifier(smoothed.reshape(smoothed.size(0), 8 * 6))


def spline_basis(length: int, functions: int) -> Tensor:
    """Cubic B-splines on equidistant knots, (length, functions), by Cox and de Boor's recursion."""
    inner = torch.linspace(0, 1, functions - 2, dtype=torch.float64)
    knots = torch.cat([torch.zeros(3), inner, torch.ones(3)])
    at = torch.linspace(0, 1 - 1e-9, length, dtype=torch.float64)[:, None]
    basis = ((knots[:-1] <= at) & (at < knots[1:])).double()
    for degree in range(1, 4):
        width = knots[degree:] - knots[:-degree]
        slope = torch.where(width > 0, 1 / width.clamp(min=1e-9), 0.0)
        rising = (at - knots[: -degree - 1]) * slope[:-1] * basis[:, :-1]
        falling = (knots[degree + 1 :] - at) * slope[1:] * basis[:, 1:]
        basis = rising + falling
    return basis
