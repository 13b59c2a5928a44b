"""SpliceAI: dilated residual blocks whose skips are summed."""

from collections.abc import Sequence

from torch import Tensor, nn


class SpliceAI(nn.Module):
    """SpliceAI-like network (Jaganathan et al. 2019, Cell 176:535): dilated residual blocks, summed skips.

    Parameters
    ----------
    channels : int
    widths, dilations : sequence of int
        Of each residual block.
    context : int
        Positions without an output, both sides together.
    skips : sequence of int or None
        After how many blocks a skip convolution is taken, ascending, 0 for the stem; after each one if None.
    eps : float
        Added to the variance in batch normalisation.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        dilations: Sequence[int],
        context: int,
        skips: Sequence[int] | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.context = context
        self.after = tuple(range(len(widths) + 1)) if skips is None else tuple(skips)
        if not self.after or sorted(set(self.after)) != list(self.after) or self.after[-1] > len(widths):
            raise ValueError(f"'skips' must ascend between 0 and the {len(widths)} blocks")
        self.stem = nn.Conv1d(4, channels, 1)
        self.skips = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in self.after)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *[part for _ in range(2) for part in _pre_activation(channels, width, dilation, eps)]
            )
            for width, dilation in zip(widths, dilations, strict=True)
        )
        self.head = nn.Conv1d(channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits (N, 3, L - context) of one-hot windows (N, 4, L): neither, acceptor, donor."""
        h = self.stem(x)
        skips = dict(zip(self.after, self.skips, strict=True))
        parts = [skips[0](h)] if 0 in skips else []
        for done, block in enumerate(self.blocks, start=1):
            h = h + block(h)
            if done in skips:
                parts.append(skips[done](h))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        crop = self.context // 2
        logits: Tensor = self.head(total[:, :, crop : total.shape[2] - crop])
        return logits


def _pre_activation(channels: int, width: int, dilation: int, eps: float) -> tuple[nn.Module, ...]:
    convolution = nn.Conv1d(channels, channels, width, padding="same", dilation=dilation)
    return nn.BatchNorm1d(channels, eps=eps), nn.ReLU(), convolution
