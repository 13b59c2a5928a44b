"""Operations of a graph in compiled passes: max pools, minimal filtering, the way back through a softmax."""

import numpy as np
import torch
from torch import Tensor

from sparselrp_cli.graph.rounding import ties
from sparselrp_cli.relevance.kernels import filtering, gathering, pooling, softmax
from sparselrp_cli.relevance.kernels.calling import array, with_threads


def winners(
    x: Tensor, count: int, width: int, stride: int, padding: int, dilation: int
) -> tuple[Tensor, Tensor]:
    """Find the largest number of each window of a max pool, and where the first stands that equals it.

    Parameters
    ----------
    x : Tensor, shape (N, positions, channels)
        Contiguous.
    count : int
        Windows.

    Returns
    -------
    largest : Tensor, shape (N, count, channels)
    first : Tensor of int32, same shape
    """
    with_threads(x.numel())
    tolerance = x.numpy().dtype.type(ties(x.dtype))
    largest = x.new_empty(len(x), count, x.shape[2])
    first = torch.empty_like(largest, dtype=torch.int32)
    sizes = (width, stride, padding, dilation)
    pooling.winners(array(x), *sizes, tolerance, largest.numpy(), first.numpy())
    return largest, first


def give_winners(
    c: Tensor, x: Tensor, largest: Tensor, first: Tensor, width: int, stride: int, padding: int, dilation: int
) -> Tensor:
    """Give the multipliers `c` of windows to their winners, as `winners` found them: shaped as `x`."""
    with_threads(x.numel())
    total = torch.empty(x.shape, dtype=x.dtype)
    arrays = [*map(array, (c, x, largest, first))]
    if dilation == 1 and stride >= width and x.shape[2] >= pooling.FEW:
        pooling.give_apart(*arrays, width, stride, padding, total.numpy())
    else:
        pooling.give(*arrays, total.numpy())
    return total


def to_points(x: Tensor, firsts: Tensor, dilation: int, factors: Tensor, points: Tensor) -> None:
    """Take rows `x`, (rows, channels), to the points of minimal filtering; see `kernels.filtering`."""
    with_threads(points.numel())
    filtering.to_points(array(x), array(firsts), dilation, array(factors), points.numpy())


def from_points(
    products: Tensor, firsts: Tensor, dilation: int, factors: Tensor, bias: Tensor, found: Tensor
) -> None:
    """Bring products at points to the rows `found`, (rows, channels); see `kernels.filtering`."""
    with_threads(products.numel())
    arrays = map(array, (products, firsts))
    filtering.from_points(*arrays, dilation, array(factors), array(bias), found.numpy())


def clear_unread(x: Tensor, width: int, dilation: int, padding: int, bias: Tensor, found: Tensor) -> None:
    """Set rows of `found` that a convolution makes of zeros alone to the bias; see `kernels.filtering`."""
    with_threads(x.numel())
    flags = np.zeros(len(x), np.bool_)
    gathering.flag_rows(array(x), flags)
    inside = padding <= dilation * (width - 1) and len(found) <= len(x) + padding
    if not inside or not flags.all():
        filtering.clear(flags, width, dilation, padding, array(bias), found.numpy())


def softmax_of_short_rows(x: Tensor) -> Tensor:
    """Compute the softmax along the last axis, row by row."""
    with_threads(x.numel())
    found = torch.empty(x.shape, dtype=x.dtype)
    softmax.softmax(*(v.reshape(-1, x.shape[-1]).numpy() for v in (x.contiguous(), found)))
    return found


def pull_softmax(s: Tensor, c: Tensor) -> Tensor:
    """Carry multipliers through ``s = softmax(x)`` along the last axis."""
    with_threads(c.numel())
    s, c = s.contiguous(), c.contiguous()
    found = torch.empty_like(c)
    softmax.pull(*(v.reshape(-1, c.shape[-1]).numpy() for v in (s, c, found)))
    return found


def softmax_constants(x: Tensor, s: Tensor, c: Tensor) -> Tensor:
    """Give what the constant of a softmax along the last axis absorbs, in float64: shape (..., 1)."""
    with_threads(c.numel())
    found = torch.empty((*c.shape[:-1], 1), dtype=torch.float64)
    softmax.constants(*(array(v).reshape(-1, c.shape[-1]) for v in (x, s, c)), found.reshape(-1).numpy())
    return found
