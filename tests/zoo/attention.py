"""Networks with attention."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.profiles import sigmoid_gelu


class Residual(nn.Module):
    """A function plus what it was given."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + x


class SigmoidGELU(nn.Module):
    """``sigmoid(1.702 x) x``."""

    def forward(self, x: Tensor) -> Tensor:
        return sigmoid_gelu(x)


class AttentionPool(nn.Module):
    """Pairs of positions averaged by a softmax that looks at them (Enformer's SoftmaxPooling1D)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logits = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        n, channels, length = x.shape
        pairs = x.reshape(n, channels, length // 2, 2)
        return (pairs * self.logits(pairs).softmax(dim=-1)).sum(dim=-1)


def relative_features(length: int, count: int) -> Tensor:
    """Exponential and central-mask features of signed distances, (2 length - 1, count); count in fours."""
    distance = torch.arange(-length + 1, length, dtype=torch.float64)[:, None]
    half_lives = 2.0 ** torch.linspace(1, math.log2(length), count // 4, dtype=torch.float64)
    decay = torch.exp(-math.log(2.0) / half_lives * distance.abs())
    mask = (2.0 ** torch.arange(1, count // 4 + 1, dtype=torch.float64) > distance.abs()).double()
    features = torch.cat([decay, mask], dim=-1)
    return torch.cat([features, torch.sign(distance) * features], dim=-1)


def relative_shift(x: Tensor) -> Tensor:
    """Turn logits by distance (N, heads, i, 2L-1) into logits by position (N, heads, i, j)."""
    x = torch.cat([torch.zeros_like(x[..., :1]), x], dim=-1)
    _, heads, rows, columns = x.shape
    x = x.reshape(-1, heads, columns, rows)[:, :, 1:, :]
    x = x.reshape(-1, heads, rows, columns - 1)
    return x[..., : (columns + 1) // 2]


class RelativeAttention(nn.Module):
    """Multi-head attention with Transformer-XL's relative positions, as Enformer and Borzoi have it."""

    def __init__(
        self, channels: int, heads: int = 2, key: int = 4, value: int = 4, features: int = 8
    ) -> None:
        super().__init__()
        self.heads, self.features, self.scale = heads, features, key**-0.5
        self.to_q = nn.Linear(channels, key * heads, bias=False)
        self.to_k = nn.Linear(channels, key * heads, bias=False)
        self.to_v = nn.Linear(channels, value * heads, bias=False)
        self.to_rel_k = nn.Linear(features, key * heads, bias=False)
        self.content_bias = nn.Parameter(torch.randn(1, heads, 1, key))
        self.position_bias = nn.Parameter(torch.randn(1, heads, 1, key))
        self.out = nn.Linear(value * heads, channels)
        self.dropout = nn.Dropout(0.05)

    def split(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        return x.reshape(n, length, self.heads, width // self.heads).permute(0, 2, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = self.split(self.to_q(x)) * self.scale, self.split(self.to_k(x)), self.split(self.to_v(x))
        content = torch.einsum("bhid,bhjd->bhij", q + self.content_bias, k)
        positions = self.dropout(relative_features(length, self.features).to(x))
        keys = self.to_rel_k(positions).reshape(2 * length - 1, self.heads, -1).permute(1, 0, 2)
        by_distance = torch.einsum("bhid,hjd->bhij", q + self.position_bias, keys)
        attention = self.dropout((content + relative_shift(by_distance)).softmax(dim=-1))
        mixed = torch.einsum("bhij,bhjd->bhid", attention, v)
        return self.out(mixed.permute(0, 2, 1, 3).reshape(n, length, -1))


def transformer_block(channels: int) -> nn.Sequential:
    """LayerNorm before attention and before a feed-forward part, each with its residual path."""
    return nn.Sequential(
        Residual(nn.LayerNorm(channels), RelativeAttention(channels), nn.Dropout(0.4)),
        Residual(
            nn.LayerNorm(channels), nn.Linear(channels, channels * 2), nn.Dropout(0.4), nn.ReLU(),
            nn.Linear(channels * 2, channels), nn.Dropout(0.4),
        ),
    )  # fmt: skip


def conv_block(n_in: int, n_out: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm1d(n_in), SigmoidGELU(), nn.Conv1d(n_in, n_out, width, padding=width // 2)
    )


class Enformer(nn.Module):
    """Enformer (Avsec et al. 2021, Nat. Methods 18:1196): attention pools, relative attention."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(4, 6, 15, padding=7), Residual(conv_block(6, 6, 1)), AttentionPool(6)
        )
        self.tower = nn.Sequential(conv_block(6, 8, 5), Residual(conv_block(8, 8, 1)), AttentionPool(8))
        self.transformer = transformer_block(8)
        self.last = nn.Sequential(conv_block(8, 10, 1), nn.Dropout(0.05), SigmoidGELU())
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(10, tasks), nn.Softplus())
                for name, tasks in (("human", 3), ("mouse", 2))
            }
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.transformer(self.tower(self.stem(x)).transpose(1, 2))
        h = self.last(h[:, 4:-4].transpose(1, 2)).transpose(1, 2)
        return {name: head(h) for name, head in self.heads.items()}


class SeparableConv1d(nn.Sequential):
    """A depthwise convolution and a pointwise one."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv1d(channels, channels, 3, padding="same", groups=channels, bias=False),
            nn.Conv1d(channels, channels, 1),
        )


class Borzoi(nn.Module):
    """Borzoi (Linder et al. 2025, Nat. Genet. 57:949): convolution tower, attention, U-net, softplus."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, 6, 15, padding="same"), nn.MaxPool1d(2))
        self.unet1 = nn.Sequential(self._block(6, 8), nn.MaxPool1d(2))
        self.unet0 = nn.Sequential(self._block(8, 8), nn.MaxPool1d(2))
        self.transformer = transformer_block(8)
        self.horizontal1, self.horizontal0 = self._block(6, 8, 1), self._block(8, 8, 1)
        self.up = nn.ModuleList(
            nn.Sequential(self._block(8, 8, 1), nn.Upsample(scale_factor=2, mode="nearest")) for _ in range(2)
        )
        self.separable = nn.ModuleList(SeparableConv1d(8) for _ in range(2))
        self.joined = nn.Sequential(self._block(8, 10, 1), nn.Dropout(0.1), nn.GELU(approximate="tanh"))
        self.head = nn.Conv1d(10, 3, 1)

    @staticmethod
    def _block(n_in: int, n_out: int, width: int = 5) -> nn.Sequential:
        return nn.Sequential(
            nn.BatchNorm1d(n_in, eps=0.001),
            nn.GELU(approximate="tanh"),
            nn.Conv1d(n_in, n_out, width, padding="same"),
        )

    def forward(self, x: Tensor) -> Tensor:
        high = self.stem(x)
        middle = self.unet1(high)
        h = self.transformer(self.unet0(middle).permute(0, 2, 1)).permute(0, 2, 1)
        h = self.separable[0](self.up[0](h) + self.horizontal0(middle))
        h = self.separable[1](self.up[1](h) + self.horizontal1(high))
        return functional.softplus(self.head(self.joined(h[..., 4:-4])))


class Transformer(nn.Module):
    """An encoder of k-mers: learned positions, class token (DNABERT, Ji et al. 2021, Bioinformatics 37:2112).

    Parameters
    ----------
    norm_first : bool
        Normalise before attention and feed-forward parts, as later networks do, instead of after.
    """

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.kmers = nn.Conv1d(4, 8, 6, stride=3)
        self.start = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 11, 8) * 0.3)
        layer = nn.TransformerEncoderLayer(
            8, 2, 12, activation="gelu", batch_first=True, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.kmers(x).transpose(1, 2)
        h = torch.cat([self.start.expand(x.shape[0], -1, -1), h], dim=1) + self.positions
        return self.head(self.encoder(h)[:, 0])


class AttentionOverPositions(nn.Module):
    """One learned query that averages positions, with PyTorch's own attention kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.norm = nn.Conv1d(4, 8, 7, padding=3), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.keys, self.values = nn.Linear(8, 8), nn.Linear(8, 8)
        self.query = nn.Parameter(torch.randn(1, 1, 8))
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(functional.gelu(self.scan(x)).transpose(1, 2))
        query = self.query.expand(x.shape[0], -1, -1)
        pooled = functional.scaled_dot_product_attention(query, self.keys(h), self.values(h))
        first = h.transpose(0, 1)
        mixed, _ = self.attention(first, first, first, need_weights=False)
        return self.head(pooled[:, 0] + mixed.mean(0))
