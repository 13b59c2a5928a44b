"""Architectures that a model folder can name: plain PyTorch, built from numbers in `model.json`."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn


class PooledCNN(nn.Module):
    """Convolution blocks with max pooling and a dense end (Basset, Kelley et al. 2016, Genome Res. 26:990).

    Each block is convolution, batch normalisation, ReLU and max pooling.

    Parameters
    ----------
    window : int
        Length of the input in bp.
    channels, widths, pools : sequence of int
        Of each block; a pool of 1 pools nothing.
    dense : sequence of int
        Widths of the hidden dense layers.
    tasks : int
    dropout : float
        Before each dense layer, in training.
    global_pool : bool
        Pool the last block to its maximum over positions instead of keeping them apart.
    """

    def __init__(
        self,
        window: int,
        channels: Sequence[int],
        widths: Sequence[int],
        pools: Sequence[int],
        dense: Sequence[int] = (),
        tasks: int = 1,
        dropout: float = 0.0,
        global_pool: bool = False,
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        length, n_in = window, 4
        for n_out, width, pool in zip(channels, widths, pools, strict=True):
            blocks += [nn.Conv1d(n_in, n_out, width, padding=width // 2), nn.BatchNorm1d(n_out), nn.ReLU()]
            length += 2 * (width // 2) - width + 1
            if pool > 1:
                blocks.append(nn.MaxPool1d(pool))
                length //= pool
            n_in = n_out
        if global_pool:
            blocks.append(nn.AdaptiveMaxPool1d(1))
            length = 1
        self.blocks = nn.Sequential(*blocks)
        ends: list[nn.Module] = []
        n_in *= length
        for n_out in dense:
            ends += [nn.Dropout(dropout), nn.Linear(n_in, n_out), nn.ReLU()]
            n_in = n_out
        self.dense = nn.Sequential(*ends, nn.Dropout(dropout), nn.Linear(n_in, tasks))

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits (N, T) of one-hot windows (N, 4, L)."""
        logits: Tensor = self.dense(self.blocks(x).flatten(1))
        return logits


class BPNet(nn.Module):
    """BPNet (Avsec et al. 2021, Nat. Genet. 53:354): dilated residual convolutions, profile and count heads.

    Parameters
    ----------
    filters, layers : int
        Channels, and number of residual layers with dilations 2, 4, 8, ...
    tasks : int
    stem_width, profile_width : int
        Widths of the first convolution and of the profile head, in bp.
    """

    def __init__(
        self,
        filters: int = 64,
        layers: int = 8,
        tasks: int = 1,
        stem_width: int = 21,
        profile_width: int = 75,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, filters, stem_width, padding="same")
        self.residual = nn.ModuleList(
            nn.Conv1d(filters, filters, 3, padding="same", dilation=2**i) for i in range(1, layers + 1)
        )
        self.profile = nn.Conv1d(filters, tasks, profile_width, padding="same")
        self.counts = nn.Linear(filters, tasks)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute profile logits (N, T, L) and log counts (N, T) of one-hot windows (N, 4, L)."""
        h = torch.relu(self.stem(x))
        for layer in self.residual:
            h = h + torch.relu(layer(h))
        return {"profile": self.profile(h), "counts": self.counts(h.mean(2))}


class SpliceAI(nn.Module):
    """SpliceAI-like network (Jaganathan et al. 2019, Cell 176:535): dilated residual blocks, summed skips.

    Parameters
    ----------
    channels : int
    widths, dilations : sequence of int
        Of each residual block.
    context : int
        Positions without an output, both sides together.
    """

    def __init__(self, channels: int, widths: Sequence[int], dilations: Sequence[int], context: int) -> None:
        super().__init__()
        self.context = context
        self.stem = nn.Conv1d(4, channels, 1)
        self.skips = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in range(len(widths) + 1))
        self.blocks = nn.ModuleList(
            nn.Sequential(*[part for _ in range(2) for part in _pre_activation(channels, width, dilation)])
            for width, dilation in zip(widths, dilations, strict=True)
        )
        self.head = nn.Conv1d(channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits (N, 3, L - context) of one-hot windows (N, 4, L): neither, acceptor, donor."""
        h = self.stem(x)
        total = self.skips[0](h)
        for block, skip in zip(self.blocks, self.skips[1:], strict=True):
            h = h + block(h)
            total = total + skip(h)
        crop = self.context // 2
        logits: Tensor = self.head(total[:, :, crop : total.shape[2] - crop])
        return logits


def _pre_activation(channels: int, width: int, dilation: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv1d(channels, channels, width, padding="same", dilation=dilation)
    return nn.BatchNorm1d(channels), nn.ReLU(), convolution


ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {"pooled-cnn": PooledCNN, "bpnet": BPNet, "spliceai": SpliceAI}
)
