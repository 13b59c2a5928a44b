"""Recurrent layers over positions."""

import torch
from torch import Tensor, nn


class Recurrent(nn.Module):
    """LSTM or GRU over positions, maybe in both directions with their outputs concatenated.

    Parameters
    ----------
    kind : {"lstm", "gru"}
    in_channels, out_channels : int
        `out_channels` of one direction.
    bidirectional : bool
    sequence : bool
        Whether each position has an output, not the last step of each direction alone.
    """

    def __init__(
        self,
        kind: str,
        in_channels: int,
        out_channels: int,
        bidirectional: bool = False,
        sequence: bool = True,
    ) -> None:
        super().__init__()
        if kind not in ("lstm", "gru"):
            raise ValueError(f"recurrent layer '{kind}' is not lstm or gru")
        make = nn.LSTM if kind == "lstm" else nn.GRU
        self.cells = make(in_channels, out_channels, batch_first=True, bidirectional=bidirectional)
        self.width, self.bidirectional, self.sequence = out_channels, bidirectional, sequence

    def forward(self, x: Tensor) -> Tensor:
        """Run over (N, C, L); (N, C, L) or (N, C) comes back."""
        steps: Tensor = self.cells(x.transpose(1, 2))[0].transpose(1, 2)
        if self.sequence:
            return steps
        if not self.bidirectional:
            return steps[:, :, -1]
        return torch.cat((steps[:, : self.width, -1], steps[:, self.width :, 0]), 1)
