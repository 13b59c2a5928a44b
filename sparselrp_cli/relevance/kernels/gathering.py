"""Compiled gathering and scattering for convolutions at some positions of their output."""

from numba import prange

from sparselrp_cli.relevance.kernels.compiling import compiled

_ROWS = 256
_LANES = 16


@compiled
def flag_rows(values, flags):
    """Set the flags of rows that hold anything but zeros."""
    n = values.shape[0]
    pieces = (n + _ROWS - 1) // _ROWS
    for piece in prange(pieces):
        for row in range(piece * _ROWS, min(n, (piece + 1) * _ROWS)):
            for j in range(values.shape[1]):
                if values[row, j] != 0:
                    flags[row] = True
                    break


@compiled
def gather(x, index, width, length, stride, padding, dilation, columns):
    """Lay the inputs of some output positions side by side; see `kernels.gather_columns`."""
    n, channels = index.shape[0], x.shape[2]
    nothing = x.dtype.type(0)
    pieces = (n + _ROWS - 1) // _ROWS
    for piece in prange(pieces):
        for row in range(piece * _ROWS, min(n, (piece + 1) * _ROWS)):
            sample, first = index[row] // length, index[row] % length * stride - padding
            for tap in range(width):
                position = first + tap * dilation
                into = columns[row, tap * channels : (tap + 1) * channels]
                if position >= 0 and position < x.shape[1]:
                    numbers = x[sample, position]
                    for j in range(channels):
                        into[j] = numbers[j]
                else:
                    for j in range(channels):
                        into[j] = nothing


@compiled
def scatter(columns, index, width, length, stride, padding, dilation, total):
    """Add columns back to the inputs they came from; see `kernels.scatter_columns`.

    Threads share out the channels, so that the order of additions is always that of the rows.
    """
    channels = total.shape[2]
    pieces = (channels + _LANES - 1) // _LANES
    for piece in prange(pieces):
        start, end = piece * _LANES, min(channels, (piece + 1) * _LANES)
        for row in range(index.shape[0]):
            sample, first = index[row] // length, index[row] % length * stride - padding
            for tap in range(width):
                position = first + tap * dilation
                if position >= 0 and position < total.shape[1]:
                    for j in range(start, end):
                        total[sample, position, j] += columns[row, tap * channels + j]
