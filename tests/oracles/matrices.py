# ruff: noqa: N803, N806 -- W is a matrix of weights
"""Layers of neural networks as dense matrices, by direct loops over indices.

A matrix is (J inputs, K outputs); a signal of channels and positions is flattened in C order, channels first.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Pair = tuple[int, int]


def linear(weight: Matrix, bias: Vector | None, positions: int = 1) -> tuple[Matrix, Vector]:
    """A linear layer (K, J), applied to the last axis of a (positions, J) signal."""
    n_out, n_in = weight.shape
    W = np.zeros((positions * n_in, positions * n_out))
    b = np.zeros(positions * n_out)
    for t, k in product(range(positions), range(n_out)):
        b[t * n_out + k] = 0.0 if bias is None else bias[k]
        for j in range(n_in):
            W[t * n_in + j, t * n_out + k] = weight[k, j]
    return W, b


def conv1d(
    weight: NDArray[np.float64],
    bias: Vector | None,
    length: int,
    *,
    stride: int = 1,
    padding: int | Pair = 0,
    dilation: int = 1,
    groups: int = 1,
) -> tuple[Matrix, Vector]:
    """A convolution with weight (out, in / groups, width) of an (in, length) signal, padded with zeros."""
    left, right = (padding, padding) if isinstance(padding, int) else padding
    return conv2d(
        weight[:, :, None, :],
        bias,
        (1, length),
        stride=(1, stride),
        padding=((0, 0), (left, right)),
        dilation=(1, dilation),
        groups=groups,
    )


def conv2d(
    weight: NDArray[np.float64],
    bias: Vector | None,
    size: Pair,
    *,
    stride: Pair = (1, 1),
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Matrix, Vector]:
    """A convolution with weight (out, in / groups, height, width) of an (in, *size) image, zero-padded."""
    n_out, n_in_group, height, width = weight.shape
    rows = output_length(size[0], height, stride[0], padding[0], dilation[0])
    columns = output_length(size[1], width, stride[1], padding[1], dilation[1])
    source = np.arange(n_in_group * groups * size[0] * size[1]).reshape(-1, *size)
    target = np.arange(n_out * rows * columns).reshape(n_out, rows, columns)
    W = np.zeros((source.size, target.size))
    b = np.zeros(target.size)
    for o, y, x in product(range(n_out), range(rows), range(columns)):
        b[target[o, y, x]] = 0.0 if bias is None else bias[o]
        group = o // (n_out // groups)
        for i, dy, dx in product(range(n_in_group), range(height), range(width)):
            row = y * stride[0] + dy * dilation[0] - padding[0][0]
            column = x * stride[1] + dx * dilation[1] - padding[1][0]
            if 0 <= row < size[0] and 0 <= column < size[1]:
                W[source[group * n_in_group + i, row, column], target[o, y, x]] += weight[o, i, dy, dx]
    return W, b


def batch_norm(
    weight: Vector, bias: Vector, mean: Vector, variance: Vector, eps: float, positions: int = 1
) -> tuple[Vector, Vector]:
    """Batch normalisation in evaluation mode as `scale * x + shift` of a flattened (C, positions) signal."""
    scale = weight / np.sqrt(variance + eps)
    shift = bias - mean * scale
    return np.repeat(scale, positions), np.repeat(shift, positions)


def fold(W: Matrix, b: Vector, scale: Vector, shift: Vector) -> tuple[Matrix, Vector]:
    """An affine layer followed by `scale * x + shift`, as one layer."""
    return W * scale[None, :], b * scale + shift


def average_pool1d(
    channels: int, length: int, width: int, stride: int | None = None, padding: int = 0
) -> Matrix:
    """Average pooling; padding counts as zeros."""
    stride = stride or width
    n_out = output_length(length, width, stride, (padding, padding))
    M = np.zeros((channels * length, channels * n_out))
    for c, t, d in product(range(channels), range(n_out), range(width)):
        position = t * stride + d - padding
        if 0 <= position < length:
            M[c * length + position, c * n_out + t] = 1.0 / width
    return M


def mean_over_positions(channels: int, length: int) -> Matrix:
    """The global average of each channel."""
    return average_pool1d(channels, length, length)


def max_pool1d_windows(
    channels: int, length: int, width: int, stride: int | None = None, padding: int = 0
) -> list[list[int]]:
    """Per output neuron, the input neurons it chooses from."""
    return max_pool2d_windows(channels, (1, length), (1, width), (1, stride or width), (0, padding))


def max_pool2d_windows(
    channels: int, size: Pair, window: Pair, stride: Pair | None = None, padding: Pair = (0, 0)
) -> list[list[int]]:
    """Per output neuron, the input neurons it chooses from, in reading order; padding is never chosen."""
    stride = stride or window
    rows = output_length(size[0], window[0], stride[0], (padding[0], padding[0]))
    columns = output_length(size[1], window[1], stride[1], (padding[1], padding[1]))
    source = np.arange(channels * size[0] * size[1]).reshape(channels, *size)
    windows = []
    for c, y, x in product(range(channels), range(rows), range(columns)):
        places = [
            (y * stride[0] + dy - padding[0], x * stride[1] + dx - padding[1])
            for dy, dx in product(range(window[0]), range(window[1]))
        ]
        windows.append([int(source[c, i, j]) for i, j in places if 0 <= i < size[0] and 0 <= j < size[1]])
    return windows


def winners(a: Vector, windows: list[list[int]]) -> list[int]:
    """The largest input of each window; the first of equal ones."""
    chosen = []
    for window in windows:
        best = window[0]
        for j in window[1:]:
            if a[j] > a[best]:
                best = j
        chosen.append(best)
    return chosen


def output_length(length: int, width: int, stride: int, padding: Pair, dilation: int = 1) -> int:
    """Positions a window of `width` taps can take."""
    return (length + sum(padding) - dilation * (width - 1) - 1) // stride + 1
