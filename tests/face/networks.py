"""Small networks that are explained from Python."""

import torch
from torch import nn

LENGTH = 30
"""Of sequences, in bp."""
BOOKS = ("score", "prediction", "background", "absorbed", "lost", "conservation_error")
"""What an attribution says of each example beside its map."""


class Sites(nn.Module):
    """Batch norm, dropout and a head of three tasks."""

    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 6, 5, padding=2, bias=bias)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 3, bias=bias)

    def forward(self, x):
        return self.head(self.drop(self.norm(self.scan(x)).relu()).mean(2))


class Plain(nn.Module):
    """ReLU and no biases: epsilon's relevance is gradient x input, but for the stabiliser."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 6, 5, padding=2, bias=False)
        self.mix = nn.Conv1d(6, 6, 3, padding=1, bias=False)
        self.head = nn.Linear(6, 2, bias=False)

    def forward(self, x):
        return self.head(self.mix(self.scan(x).relu()).relu().mean(2))


class Profile(nn.Module):
    """Two tasks at each position."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 5, 3, padding=1)
        self.head = nn.Conv1d(5, 2, 1)

    def forward(self, x):
        return self.head(self.scan(x).relu())


class TwoOutputs(nn.Module):
    """A number and a profile."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 5, 3, padding=1)

    def forward(self, x):
        h = self.scan(x).relu()
        return {"count": h.mean((1, 2))[:, None], "profile": h.mean(1)}


class WithControl(nn.Module):
    """Takes a control track beside the sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.scan = nn.Conv1d(4, 5, 3, padding=1)

    def forward(self, x, control, strength=None):
        h = self.scan(x).relu().mean((1, 2)) * (1 + control.mean(1))
        return (h if strength is None else h + strength)[:, None]


class PositionsFirst(nn.Module):
    """Takes (N, L, 4)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.transpose(1, 2))


class Pictures(nn.Module):
    """A small network of images, with what torchvision's have: a residual block, pooling, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.block = nn.Conv2d(6, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        h = self.norm(self.stem(x)).relu()
        h = self.pool((h + self.block(h)).relu())
        return self.head(h.mean((2, 3)))


def made(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    """A network with weights that depend on the seed only, in training mode as it was made."""
    before = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        return kind()
    finally:
        torch.set_rng_state(before)


def sequences(n: int = 4, length: int = LENGTH, seed: int = 0) -> torch.Tensor:
    """One-hot sequences, float32, shape (n, 4, length)."""
    generator = torch.Generator().manual_seed(seed)
    bases = torch.randint(4, (n, length), generator=generator)
    return nn.functional.one_hot(bases, 4).transpose(1, 2).float()


def pictures(n: int = 2, seed: int = 0) -> torch.Tensor:
    """Images with numbers of both signs, shape (n, 3, 8, 8)."""
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def same(one, other) -> bool:
    """Whether two attributions hold the same numbers, to the last bit."""
    return all(torch.equal(getattr(one, n), getattr(other, n)) for n in ("contributions", "maps", *BOOKS))
