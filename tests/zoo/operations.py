"""Networks that share one body and differ in the part that their name says."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations


class Ended(nn.Module):
    """A small convolutional network with some last function."""

    def __init__(self, end: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(4, 6, 7), nn.ReLU(), nn.MaxPool1d(3), nn.Flatten(), nn.Linear(48, 3)
        )
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.body(x))


class Exp(nn.Module):
    """``exp``, as networks of counts end."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(x)


class Gated(nn.Module):
    """Gated linear units (Dauphin et al. 2017, ICML)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(4, 12, 5, padding=2), nn.Conv1d(6, 12, 5, padding=2)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.glu(self.first(x), dim=1)
        return self.head((h + functional.glu(self.second(h), dim=1)).mean(2))


class WaveNet(nn.Module):
    """Dilated convolutions, tanh times sigmoid, residual and skip paths (van den Oord et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 6, 1)
        self.filters = nn.ModuleList(nn.Conv1d(6, 6, 2, dilation=2**i) for i in range(3))
        self.gates = nn.ModuleList(nn.Conv1d(6, 6, 2, dilation=2**i) for i in range(3))
        self.residual = nn.ModuleList(nn.Conv1d(6, 6, 1) for _ in range(3))
        self.skips = nn.ModuleList(nn.Conv1d(6, 5, 1) for _ in range(3))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(5, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        h, total = self.stem(x), 0
        for i, (kernel, gate) in enumerate(zip(self.filters, self.gates, strict=True)):
            past = functional.pad(h, (2**i, 0))
            z = torch.tanh(kernel(past)) * torch.sigmoid(gate(past))
            h = h + self.residual[i](z)
            total = total + self.skips[i](z)
        return self.head(total)


class Highway(nn.Module):
    """A gate between a transformed and an untouched path (Srivastava et al. 2015, arXiv 1505.00387)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 6, 7, padding=3)
        self.transform, self.gate = nn.Conv1d(6, 6, 3, padding=1), nn.Conv1d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.stem(x))
        gate = torch.sigmoid(self.gate(h))
        h = gate * torch.relu(self.transform(h)) + (1 - gate) * h
        return self.head(h.amax(2))


class Experts(nn.Module):
    """Experts mixed by a softmax (Jacobs et al. 1991, Neural Comput. 3:79)."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Sequential(nn.Conv1d(4, 8, 7), nn.ReLU(), nn.AdaptiveMaxPool1d(2), nn.Flatten())
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 2)) for _ in range(3)
        )
        self.router = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.scan(x)
        weights = torch.softmax(self.router(h), dim=-1)
        answers = torch.stack([expert(h) for expert in self.experts], dim=-1)
        return (answers * weights.unsqueeze(1)).sum(-1)


class RMSNorm(nn.Module):
    """Root-mean-square normalisation of channels (Zhang and Sennrich 2019, NeurIPS), written out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        size = torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)
        return x * size * self.weight[:, None]


class Normalised(nn.Module):
    """Convolutions with some normalisation that depends on the sample, and a residual path.

    Parameters
    ----------
    norm : nn.Module
        Layer and RMS normalisation take (N, L, C), the others (N, C, L).
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.stem, self.mix = nn.Conv1d(4, 8, 7, padding=3), nn.Conv1d(8, 8, 5, padding=2)
        self.norm, self.head = norm, nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        if isinstance(self.norm, (nn.LayerNorm, nn.RMSNorm)):
            normal = self.norm(h.transpose(1, 2)).transpose(1, 2)
        else:
            normal = self.norm(h)
        h = h + torch.relu(self.mix(normal))
        return self.head(functional.avg_pool1d(h, 4).amax(2))


def normalised(norm: Callable[..., nn.Module], *arguments: int, **options: bool) -> Callable[[], nn.Module]:
    """Say how to make a `Normalised`: each time with a layer of its own."""
    return lambda: Normalised(norm(*arguments, **options))


class Parametrised(nn.Module):
    """Weights under weight norm and spectral norm."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = parametrizations.weight_norm(nn.Conv1d(4, 8, 7), dim=0)
        self.mix = parametrizations.spectral_norm(nn.Conv1d(8, 8, 5))
        self.head = parametrizations.weight_norm(nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.mix(functional.max_pool1d(torch.relu(self.scan(x)), 2)))
        return self.head(h.mean(-1))


class InPlace(nn.Module):
    """In-place and functional forms, masks, clamps and casts."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.mix = nn.Conv1d(4, 8, 7, padding=3), nn.Conv1d(8, 8, 5, padding=2)
        self.head = nn.Linear(8, 2)
        self.register_buffer("mask", torch.arange(32) % 3 > 0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.scan(x.float().to(self.scan.weight.dtype))
        h = functional.relu(h, inplace=True)
        h = torch.where(self.mask, self.mix(h), 0.0)
        h = torch.where(h > 0, h, 0.1 * h).clamp(max=1.5).clamp_min(-0.5)
        h.mul_(2).add_(h.relu())
        h = h.masked_fill(~self.mask, 0) * self.mask.type_as(h)
        return functional.linear(h.contiguous().sum(-1).div(20), self.head.weight, self.head.bias).to(
            torch.float64
        )


class Padded(nn.Module):
    """Convolutions padded by what is there: mirrored, repeated, around the circle."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(4, 6, 7, padding=3, padding_mode="reflect"), nn.ReLU(),
            nn.Conv1d(6, 6, 5, padding=2, padding_mode="replicate"), nn.ReLU(),
            nn.Conv1d(6, 6, 5, padding=2, padding_mode="circular"), nn.ReLU(),
            nn.ReflectionPad1d((2, 1)), nn.ReplicationPad1d(1), nn.ConstantPad1d(1, 0.5), nn.Conv1d(6, 2, 4),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Einsum(nn.Module):
    """Contractions written as einsum, with constants and of activations with each other."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 6, 5, padding=2)
        self.positions = nn.Parameter(torch.randn(32, 5) * 0.3)
        self.left, self.right = nn.Linear(5, 4), nn.Linear(5, 4)
        self.head = nn.Linear(36, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.einsum("ncl,lk->nck", torch.relu(self.scan(x)), self.positions)
        pairs = torch.einsum("nci,ndi->ncd", self.left(h), torch.tanh(self.right(h)))
        return self.head(pairs.flatten(1))


class Cumulative(nn.Module):
    """Running sums and products along the window, as in a model of transcription that may stop anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.stop = nn.Conv1d(4, 5, 7, padding=3), nn.Conv1d(5, 1, 1)
        self.head = nn.Conv1d(5, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.scan(x))
        survival = torch.cumprod(1 - 0.2 * torch.sigmoid(self.stop(h)), dim=-1)
        return self.head(torch.cumsum(h, dim=2) / x.shape[2] * survival)


class Lengths(nn.Module):
    """Adaptive pools and interpolation between lengths that don't divide each other."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.mix = nn.Conv1d(4, 6, 7), nn.Conv1d(6, 6, 3)
        self.head = nn.Linear(6 * 8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.scan(x))
        h = functional.interpolate(h, size=17, mode="linear", align_corners=False)
        h = torch.relu(self.mix(torch.nn.functional.interpolate(h, scale_factor=2)))
        pools = functional.adaptive_avg_pool1d(h, 5), functional.adaptive_max_pool1d(h, 3)
        return self.head(torch.cat(pools, dim=-1).flatten(1))


class Activations(nn.Module):
    """Every activation function that a paper has used, one after another."""

    KINDS = (
        functional.leaky_relu, functional.elu, functional.selu, functional.celu, functional.gelu,
        functional.silu, functional.mish, functional.hardswish, functional.hardtanh, functional.relu6,
        functional.softplus, functional.softsign, torch.tanh, torch.sigmoid, functional.hardsigmoid,
        functional.logsigmoid, functional.softshrink, functional.tanhshrink, torch.sin, torch.abs,
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(4, 2, 5, padding=2) for _ in self.KINDS)
        self.prelu, self.head = nn.PReLU(), nn.Linear(2 * len(self.KINDS), 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = [kind(layer(x)) for kind, layer in zip(self.KINDS, self.layers, strict=True)]
        return self.head(self.prelu(torch.cat(parts, 1)).mean(2))
