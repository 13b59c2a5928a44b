"""Tensors as rows in memory order, which the compiled loops read without copying."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.kernels.channels import Channels


def channels_last(values: Tensor) -> bool:
    """Whether a tensor's second axis, the channels, is the last in memory."""
    return values.dim() > 2 and not values.is_contiguous() and values.movedim(1, -1).is_contiguous()


@dataclass(frozen=True, slots=True)
class MemoryOrder:
    """How samples and neurons of a tensor lie in memory, and other tensors of its shape brought to that.

    Attributes
    ----------
    samples : Samples
    shape : tuple of int
    moved : bool
        Whether channels are last in memory.
    """

    samples: Samples
    shape: tuple[int, ...]
    moved: bool

    @classmethod
    def of(cls, values: Tensor, samples: Samples) -> "MemoryOrder":
        """Find the order of a tensor."""
        by_sample = samples.axis == 0 and samples.outer == 1
        return cls(samples, tuple(values.shape), by_sample and channels_last(values))

    def rows(self, values: Tensor) -> Tensor:
        """Lay out a tensor as (N, neurons), contiguous; a view where the order is its own."""
        ordered = values.movedim(1, -1) if self.moved else values
        return self.samples.rows(ordered).contiguous()

    def shaped(self, rows: Tensor) -> Tensor:
        """Undo `rows`."""
        if not self.moved:
            return self.samples.shaped(rows, torch.empty(self.shape, device="meta"))
        n, channels, *spatial = self.shape
        return rows.reshape(n, *spatial, channels).movedim(-1, 1)

    def channels(self, axis: int) -> Channels:
        """Say where the channels of `rows` lie, which are this axis of the tensor, another than samples'."""
        axes = list(range(len(self.shape)))
        axis = axes[axis]
        if self.moved:
            axes.append(axes.pop(1))
        behind = axes[axes.index(axis) + 1 :]
        inner = math.prod(self.shape[other] for other in behind)
        return Channels(self.shape[axis], inner // self.samples.n if self.samples.axis in behind else inner)


def sums(values: Tensor, samples: Samples) -> Tensor:
    """Sum each sample's values in float64: shape (N,)."""
    return kernels.sums(MemoryOrder.of(values, samples).rows(values))


def by_channel(values: Tensor, channel_axis: int | None, samples: Samples) -> Tensor | None:
    """View a layer's output as (rows, channels), rows sample by sample, if it lies like that in memory."""
    if channel_axis is None or samples.axis != 0 or samples.outer != 1 or values.dim() < 2:
        return None
    ordered = values.movedim(channel_axis, -1)
    return ordered.reshape(-1, ordered.shape[-1]) if ordered.is_contiguous() else None


def like_by_channel(rows: Tensor, like: Tensor, channel_axis: int) -> Tensor:
    """Bring (rows, channels) back to the shape of a layer's output."""
    ordered = like.movedim(channel_axis, -1)
    return rows.reshape(ordered.shape).movedim(-1, channel_axis)


@lru_cache(maxsize=256)
def first_rows(n_samples: int, rows: int) -> Tensor:
    """Give the first row of each sample, and the number of rows, where samples are equally long."""
    return torch.arange(n_samples + 1) * (rows // n_samples)
