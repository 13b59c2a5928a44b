"""Convolution blocks with pooling and a dense end."""

from collections.abc import Sequence

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
