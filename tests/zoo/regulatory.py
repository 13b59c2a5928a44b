"""Networks of regulatory activity: reporter assays, transcription start sites, accessibility, expression."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.attention import RelativeAttention, Residual


class GroupedLinear(nn.Module):
    """A linear layer for each group of features, by one batched product over the groups."""

    def __init__(self, n_in: int, n_out: int, groups: int) -> None:
        super().__init__()
        self.groups, self.n_in, self.n_out = groups, n_in, n_out
        self.weight = nn.Parameter(torch.randn(groups, n_in, n_out) / n_in**0.5)
        self.bias = nn.Parameter(torch.randn(groups, 1, n_out) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.permute(1, 0).reshape(self.groups, self.n_in, -1).permute(0, 2, 1)
        out = torch.bmm(grouped, self.weight) + self.bias
        return out.permute(0, 2, 1).reshape(self.n_out * self.groups, -1).permute(1, 0)


class Malinois(nn.Module):
    """Malinois (Gosai et al. 2024, Nature 634:1211): a Basset trunk, and a branch for every cell line."""

    def __init__(self) -> None:
        super().__init__()
        blocks = []
        for n_in, n_out, width, pool in ((4, 8, 9, 3), (8, 6, 7, 2), (6, 6, 5, 2)):
            blocks += [
                nn.ConstantPad1d((width // 2, width // 2), 0.0), nn.Conv1d(n_in, n_out, width),
                nn.BatchNorm1d(n_out, eps=0.001), nn.ReLU(), nn.MaxPool1d(pool),
            ]  # fmt: skip
        self.trunk = nn.Sequential(*blocks)
        self.linear = nn.Sequential(
            nn.Linear(24, 8), nn.BatchNorm1d(8, eps=0.001), nn.ReLU(), nn.Dropout(0.1)
        )
        self.branched = nn.ModuleList([GroupedLinear(8, 5, 3), GroupedLinear(5, 5, 3)])
        self.output = GroupedLinear(5, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear(torch.flatten(self.trunk(x), start_dim=1)).repeat(1, 3)
        for layer in self.branched:
            h = torch.relu(layer(h))
        return self.output(h)


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, 3), nn.SiLU(), nn.Linear(3, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        n, channels, _ = x.size()
        return x * self.fc(x.view(n, channels, -1).mean(dim=2)).view(n, channels, 1)


class LegNet(nn.Module):
    """MPRA-LegNet (Agarwal et al. 2025, Nature 639:411): inverted residual blocks joined to their input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = self._local(4, 6, 11)
        self.efficient = nn.ModuleList(self._efficient(6) for _ in range(2))
        self.local = nn.ModuleList(nn.Sequential(self._local(12, 6, 5), nn.MaxPool1d(2)) for _ in range(2))
        self.mapper = nn.Sequential(nn.BatchNorm1d(6), nn.Conv1d(6, 12, 1))
        self.head = nn.Sequential(nn.Linear(12, 12), nn.BatchNorm1d(12), nn.SiLU(), nn.Linear(12, 1))

    @staticmethod
    def _local(n_in: int, n_out: int, width: int) -> nn.Sequential:
        conv = nn.Conv1d(n_in, n_out, width, padding="same", bias=False)
        return nn.Sequential(conv, nn.BatchNorm1d(n_out), nn.SiLU())

    @staticmethod
    def _efficient(channels: int) -> nn.Sequential:
        inner = channels * 2
        return nn.Sequential(
            nn.Conv1d(channels, inner, 1, bias=False), nn.BatchNorm1d(inner), nn.SiLU(),
            nn.Conv1d(inner, inner, 5, groups=inner, padding="same", bias=False), nn.BatchNorm1d(inner),
            nn.SiLU(), SqueezeExcitation(inner), nn.Conv1d(inner, channels, 1, bias=False),
            nn.BatchNorm1d(channels), nn.SiLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for efficient, local in zip(self.efficient, self.local, strict=True):
            h = local(torch.concat([efficient(h), h], dim=1))
        h = functional.adaptive_avg_pool1d(self.mapper(h), 1).squeeze(-1)
        return self.head(h).squeeze(-1)


class MetaFormer(nn.Module):
    """A depthwise, dilated convolution and a feed-forward part, each on its norm, with residual paths."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(channels, channels, 5, padding="same", dilation=dilation, groups=channels)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.feed = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.feed(self.norm2(x))


class PromoterAI(nn.Module):
    """PromoterAI (Jaganathan et al. 2025, Science 389:eads7373): MetaFormer blocks, tracks around the TSS."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 6)
        self.blocks = nn.Sequential(MetaFormer(6, 1), MetaFormer(6, 3))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x.transpose(1, 2)))[:, 8:-8])


class Puffin(nn.Module):
    """Puffin (Dudnyk et al. 2024, Science 384:eadj0116): motif activations on both strands, wide effects."""

    def __init__(self) -> None:
        super().__init__()
        self.motifs, self.initiators = nn.Conv1d(4, 5, 9, padding=4), nn.Conv1d(4, 4, 5, padding=2)
        self.effects, self.local = nn.Conv1d(10, 2, 21, padding=10), nn.Conv1d(8, 2, 5, padding=2)
        self.softplus = nn.Softplus()

    def forward(self, x: Tensor) -> Tensor:
        reverse = x.flip([1, 2])
        motifs, initiators = (
            torch.cat(
                [torch.sigmoid(layer(x)) * layer(x), (layer(reverse).sigmoid() * layer(reverse)).flip([2])], 1
            )
            for layer in (self.motifs, self.initiators)
        )
        return self.softplus(self.effects(motifs) + self.local(initiators))


class Clipnet(nn.Module):
    """CLIPNET (He and Danko 2024, bioRxiv 2024.03.13.583868): a dilated tower, a profile and its quantity."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.stem = nn.Sequential(
            nn.Conv1d(4, 8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(8, 8, 4), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
        )  # fmt: skip
        self.dilated = nn.ModuleList(nn.Conv1d(8, 8, 3, dilation=2**i) for i in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(2))
        self.profile = nn.Sequential(nn.Flatten(), nn.Linear(24, 16), nn.BatchNorm1d(16), nn.ReLU())
        self.quantity = nn.Sequential(nn.Linear(8, 1), nn.BatchNorm1d(1), nn.ReLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.stem(self.norm(x))
        for layer, norm in zip(self.dilated, self.norms, strict=True):
            new = torch.relu(norm(layer(h)))
            crop = (h.shape[-1] - new.shape[-1]) // 2
            h = h[..., crop:-crop] + new
        h = functional.max_pool1d(h, 2)
        return self.profile(h), self.quantity(h.mean(2))


class ProCapNet(nn.Module):
    """ProCapNet (Cochran et al. 2024, bioRxiv 2024.05.28.596138): BPNet, both strands one profile."""

    def __init__(self) -> None:
        super().__init__()
        self.iconv, self.irelu = nn.Conv1d(4, 8, 11, padding=5), nn.ReLU()
        self.rconvs = nn.ModuleList(nn.Conv1d(8, 8, 3, padding=2**i, dilation=2**i) for i in range(1, 4))
        self.rrelus = nn.ModuleList(nn.ReLU() for _ in range(3))
        self.deconv, self.linear = nn.Conv1d(8, 2, 9, padding=4), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.irelu(self.iconv(x))
        for relu, conv in zip(self.rrelus, self.rconvs, strict=True):
            h = torch.add(h, relu(conv(h)))
        profile = self.deconv(h)[:, :, 12:-12]
        return profile, self.linear(torch.mean(h[:, :, 8:-8], dim=2)).reshape(-1, 1)


class ScBasset(nn.Module):
    """scBasset (Yuan and Kelley 2022, Nat. Methods 19:1088): a bottleneck of sequence, a vector a cell."""

    def __init__(self) -> None:
        super().__init__()
        blocks = ((4, 8, 17, 3), (8, 8, 5, 3), (8, 10, 5, 3), (10, 10, 1, 1))
        self.tower = nn.Sequential(
            *[
                nn.Sequential(
                    nn.GELU(),
                    nn.Conv1d(a, b, width, padding="same", bias=False),
                    nn.BatchNorm1d(b),
                    nn.MaxPool1d(pool) if pool > 1 else nn.Identity(),
                )
                for a, b, width, pool in blocks
            ]
        )
        self.bottleneck = nn.Sequential(
            nn.GELU(), nn.Flatten(), nn.Linear(20, 6, bias=False), nn.BatchNorm1d(6), nn.Dropout(0.2),
            nn.GELU(),
        )  # fmt: skip
        self.cells = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.cells(self.bottleneck(self.tower(x))))


class Saluki(nn.Module):
    """Saluki (Agarwal and Kelley 2022, Genome Biol. 23:245): codons, splice sites beside the bases; a GRU."""

    def __init__(self) -> None:
        super().__init__()
        marks = torch.zeros(1, 2, 64, dtype=torch.float64)
        marks[:, 0, 10:50:3], marks[:, 1, [24, 40]] = 1, 1
        self.register_buffer("marks", marks)
        self.stem = nn.Conv1d(6, 6, 5, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(6) for _ in range(3))
        self.convs = nn.ModuleList(nn.Conv1d(6, 6, 5) for _ in range(2))
        self.gru = nn.GRU(6, 5, batch_first=True)
        self.dense = nn.Sequential(
            nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 5), nn.Dropout(0.3), nn.BatchNorm1d(5), nn.ReLU(),
            nn.Linear(5, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(torch.cat([x, self.marks.to(x).expand(len(x), -1, -1)], dim=1))
        for norm, conv in zip(self.norms, self.convs, strict=False):
            h = functional.max_pool1d(conv(torch.relu(norm(h.transpose(1, 2)).transpose(1, 2))), 2)
        h = torch.relu(self.norms[-1](h.transpose(1, 2)))
        _, last = self.gru(h.flip(1))
        return self.dense(last[-1])


class DeepTopic(nn.Module):
    """CREsted's DeepTopic (Kempynck et al. 2025, bioRxiv 2025.04.02.646812): exponential stem, topics."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, 8, 9, padding="same", bias=False), nn.BatchNorm1d(8))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv1d(8, 8, 5, padding="same", bias=False), nn.BatchNorm1d(8)) for _ in range(2)
        )
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(32, 8, bias=False), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.5)
        )
        self.topics = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.max_pool1d(torch.exp(self.stem(x)), 4)
        for block in self.blocks:
            h = functional.max_pool1d(h + functional.gelu(block(h)), 2)
        return torch.sigmoid(self.topics(self.dense(h)))


class DilatedPeaks(nn.Module):
    """CREsted's peak regression: a ChromBPNet-like dilated trunk, its mean, and a softplus."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, 8, 9)
        self.dilated = nn.ModuleList(nn.Conv1d(8, 8, 3, dilation=2**i) for i in range(1, 4))
        self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(3))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.stem(x))
        for layer, norm in zip(self.dilated, self.norms, strict=True):
            new = torch.relu(norm(layer(h)))
            crop = (h.shape[-1] - new.shape[-1]) // 2
            h = h[..., crop:-crop] + new
        return functional.softplus(self.head(functional.adaptive_avg_pool1d(h, 1).flatten(1)))


class Beluga(nn.Module):
    """Beluga (Zhou et al. 2018, Nat. Genet. 50:1171): DeepSEA of six convolutions, in two dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(4, 8, (1, 8)), nn.ReLU(), nn.Conv2d(8, 8, (1, 8)), nn.ReLU(), nn.Dropout(0.2),
            nn.MaxPool2d((1, 4), (1, 4)),
            nn.Conv2d(8, 8, (1, 4)), nn.ReLU(), nn.Conv2d(8, 8, (1, 4)), nn.ReLU(), nn.Dropout(0.2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x: Tensor) -> Tensor:
        h = self.model(x.unsqueeze(2))
        return torch.sigmoid(self.classifier(h.reshape(h.size(0), -1)))


class ConvTransformer(nn.Module):
    """gReLU's convolutional transformer (Lal et al. 2025, Nat. Methods): SDPA over bins, a pooled head."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(
            nn.Conv1d(4, 8, 7, padding="same"), nn.ReLU(), nn.MaxPool1d(4), nn.BatchNorm1d(8),
            nn.Conv1d(8, 8, 5, padding="same"), nn.ReLU(), nn.MaxPool1d(2),
        )  # fmt: skip
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.mixed = nn.Linear(8, 24, bias=False), nn.Linear(8, 8)
        self.feed = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 8))
        self.head = nn.Sequential(nn.Conv1d(8, 2, 1), nn.AdaptiveAvgPool1d(1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.tower(x).transpose(1, 2)
        q, k, v = (
            part.unflatten(2, (2, 4)).transpose(1, 2) for part in self.qkv(self.norm1(h)).chunk(3, dim=-1)
        )
        attended = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        h = h + self.mixed(attended)
        h = h + self.feed(self.norm2(h))
        return self.head(h.transpose(1, 2))


class Decima(nn.Module):
    """Decima (Lal et al. 2024, bioRxiv 2024.10.09.617507): Borzoi's trunk, a mask of the gene, a mean."""

    def __init__(self) -> None:
        super().__init__()
        gene = torch.zeros(1, 1, 64, dtype=torch.float64)
        gene[..., 20:50] = 1
        self.register_buffer("gene", gene)
        self.stem = nn.Sequential(nn.Conv1d(5, 6, 15, padding="same"), nn.MaxPool1d(2))
        self.tower = nn.Sequential(
            nn.BatchNorm1d(6),
            nn.GELU(approximate="tanh"),
            nn.Conv1d(6, 8, 5, padding="same"),
            nn.MaxPool1d(4),
        )
        self.transformer = nn.Sequential(
            Residual(nn.LayerNorm(8), RelativeAttention(8)),
            Residual(nn.LayerNorm(8), nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)),
        )
        self.head = nn.Conv1d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.cat([x, self.gene.to(x).expand(len(x), -1, -1)], dim=1)
        h = self.transformer(self.tower(self.stem(h)).transpose(1, 2)).transpose(1, 2)
        return self.head(h).mean(dim=2)
