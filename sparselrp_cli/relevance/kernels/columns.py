"""Convolutions at chosen positions: the rows that carry relevance, and what they read as columns."""

import numpy as np
import torch
from torch import Tensor

from sparselrp_cli.relevance.kernels import gathering
from sparselrp_cli.relevance.kernels.calling import array, with_threads


def nonzero_rows(values: Tensor, at_most: float) -> Tensor | None:
    """Find the rows that aren't all zero.

    Parameters
    ----------
    values : Tensor, shape (rows, channels)
    at_most : float
        Give up, with None, where their share is larger.

    Returns
    -------
    Tensor of int64 or None
    """
    with_threads(values.numel())
    flags = np.zeros(len(values), np.bool_)
    gathering.flag_rows(array(values), flags)
    if flags.mean() > at_most:
        return None
    return torch.from_numpy(np.flatnonzero(flags))


def gather_columns(
    x: Tensor, index: Tensor, width: int, length: int, stride: int, padding: int, dilation: int
) -> Tensor:
    """Lay the inputs that a convolution reads at some positions side by side.

    Parameters
    ----------
    x : Tensor, shape (N, positions in, channels)
        Contiguous.
    index : Tensor of int64, shape (rows,)
        Into (samples x positions out).
    length : int
        Positions out of one sample.

    Returns
    -------
    Tensor, shape (rows, width x channels)
    """
    with_threads(len(index) * width * x.shape[2])
    columns = x.new_empty(len(index), width * x.shape[2])
    gathering.gather(array(x), array(index), width, length, stride, padding, dilation, columns.numpy())
    return columns


def scatter_columns(
    columns: Tensor, index: Tensor, width: int, length: int, stride: int, padding: int, dilation: int,
    total: Tensor,
) -> None:  # fmt: skip
    """Add columns, (rows, width x channels), back to where `gather_columns` took them from.

    `total` is (N, positions in, channels). Added in the order of rows, whatever the number of threads.
    """
    with_threads(columns.numel())
    gathering.scatter(array(columns), array(index), width, length, stride, padding, dilation, array(total))
