"""Recurrent networks, and networks that read the window as tokens."""

import torch
from torch import Tensor, nn


class DanQ(nn.Module):
    """DanQ (Quang and Xie 2016, Nucleic Acids Res. 44:e107): convolution, pool, bidirectional LSTM, dense."""

    def __init__(self) -> None:
        super().__init__()
        self.scan, self.pool = nn.Conv1d(4, 8, 9), nn.MaxPool1d(7)
        self.recurrent = nn.LSTM(8, 4, batch_first=True, bidirectional=True)
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(8 * 8, 8), nn.ReLU(), nn.Linear(8, 3), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.pool(torch.relu(self.scan(x))).transpose(1, 2)
        h, _ = self.recurrent(h)
        return self.dense(h)


class GRU(nn.Module):
    """Two bidirectional GRU layers on k-mers' features (KEGRU, Shen et al. 2018, Sci. Rep. 8:15270)."""

    def __init__(self) -> None:
        super().__init__()
        self.kmers = nn.Conv1d(4, 6, 5, stride=2)
        self.recurrent = nn.GRU(6, 3, num_layers=2, batch_first=True, bidirectional=True, dropout=0.2)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.recurrent(torch.relu(self.kmers(x)).permute(0, 2, 1))
        return self.head(h[:, -1])


class PositionsFirst(nn.Module):
    """An LSTM in PyTorch's own layout, positions before samples; the last hidden state is read."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.head = nn.LSTM(4, 5), nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        _, (hidden, _) = self.recurrent(x.permute(2, 0, 1))
        return self.head(hidden[-1])


class Elman(nn.Module):
    """A plain recurrent network written as a loop over positions (Elman 1990, Cogn. Sci. 14:179)."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.RNNCell(4, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(x.shape[0], 5)
        for i in range(0, x.shape[2], 2):
            state = self.cell(x[:, :, i], state)
        return self.head(state)


class Tokens(nn.Module):
    """A network that turns the one-hot window back into tokens and embeds them."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 6)
        self.mix, self.head = nn.Conv1d(6, 6, 5, padding=2), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embedding(x.argmax(1)).transpose(1, 2)
        return self.head(torch.relu(self.mix(h)).amax(2))
