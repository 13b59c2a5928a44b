"""Layers that move numbers. Their axes count as (sample, position, channel), the order Keras stores."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def channels_last(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function of (N, L, C) to (N, C, L), or of (N, C) as it is."""
    return function(x.transpose(1, 2)).transpose(1, 2) if x.dim() == 3 else function(x)


def axis_of(axis: int, n_axes: int) -> int:
    """Give the axis of (N, C, L) or (N, C) that is `axis` of (N, L, C) or (N, C)."""
    axis = axis % n_axes
    return (0, 2, 1)[axis] if n_axes == 3 else axis


class Flatten(nn.Module):
    """Positions and channels as one axis, position-major."""

    def forward(self, x: Tensor) -> Tensor:
        """Flatten (N, C, L) to (N, L * C)."""
        return x.transpose(1, 2).flatten(1) if x.dim() == 3 else x


class Reshape(nn.Module):
    """Another shape (L, C) or (C,) for the same numbers, position-major; one length may be -1."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        if len(shape) not in (1, 2):
            raise ValueError(f"a reshape to {len(shape)} axes; only (positions, channels) or (channels)")
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Reshape (N, C, L) or (N, C)."""
        flat = x.transpose(1, 2).flatten(1) if x.dim() == 3 else x
        y = flat.reshape(flat.shape[0], *self.shape)
        return y.transpose(1, 2) if y.dim() == 3 else y


class Permute(nn.Module):
    """Positions as channels and channels as positions."""

    def forward(self, x: Tensor) -> Tensor:
        """Swap the last two axes of (N, C, L)."""
        return x.transpose(1, 2)


class Flip(nn.Module):
    """Positions, channels or both in reverse order: of one-hot bases A C G T both, the other strand."""

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, x: Tensor) -> Tensor:
        """Flip (N, C, L) or (N, C)."""
        return x.flip([axis_of(axis, x.dim()) for axis in self.axes])


class Crop(nn.Module):
    """Positions cut off at the left and right."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: Tensor) -> Tensor:
        """Crop (N, C, L)."""
        return x[:, :, self.left : x.shape[2] - self.right]


class ZeroPad(nn.Module):
    """Zeros added at the left and right."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: Tensor) -> Tensor:
        """Pad (N, C, L)."""
        return F.pad(x, (self.left, self.right))


class Upsample(nn.Module):
    """Each position repeated."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Repeat the positions of (N, C, L)."""
        index = torch.arange(x.shape[2] * self.size, device=x.device) // self.size
        return x[:, :, index]
