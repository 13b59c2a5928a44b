"""Transposed convolutions to few channels, as back to four bases: a product of matrices, and a sum.

Processors convolve many channels at a time, and where four are made most of that is idle. Here one product of
matrices gives what each place of the filter makes of each position. That is added up, each place shifted to
where it belongs.
"""

import torch
from torch import Tensor

CHANNELS = 8
"""The most that are made; from 16 on torch's own convolution is faster."""
FROM = 32
"""The fewest that they are made of."""
_POSITIONS = 4096
"""The fewest that are made at once where there are more: what is made on the way stays in the cache."""


def pays(values: Tensor, weight: Tensor) -> bool:
    """Whether a transposed convolution with stride and groups of 1 is faster so.

    Parameters
    ----------
    values : Tensor, shape (N, C_out, positions)
    weight : Tensor, shape (C_out, C_in, width)
    """
    of_type = values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)
    c_out, c_in, width = weight.shape
    return of_type and c_in <= CHANNELS and c_out >= FROM and width > 1


def transposed(values: Tensor, weight: Tensor, padding: int, dilation: int, length: int) -> Tensor:
    """Compute ``W^T values``, (N, C_in, length), as `torch.nn.functional.conv_transpose1d` does.

    How it is cut into blocks depends on one window alone: in a batch a window gets the same.

    Parameters
    ----------
    values : Tensor, shape (N, C_out, positions)
    weight : Tensor, shape (C_out, C_in, width)
    padding, dilation : int
        Of the convolution.
    length : int
        Of its input; what it doesn't read gets 0.
    """
    c_out, c_in, width = weight.shape
    filters = weight.permute(0, 2, 1).reshape(c_out, width * c_in).T
    reach = dilation * (width - 1)
    block = min(length, max(_POSITIONS, 8 * reach))
    places = values.new_empty(width, c_in, reach + block)
    made = values.new_empty(len(values), c_in, length)
    for start in range(0, length, max(1, block)):
        count = min(block, length - start)
        # Place `tap` of position p is made of number p + padding - tap x dilation.
        shifted = places.as_strided(
            (width, c_in, count), (places.stride(0) - dilation, places.stride(1), 1), reach
        )
        begin = start + padding - reach
        first, last = max(0, begin), min(values.shape[2], begin + reach + count)
        products = places.view(width * c_in, -1)
        products[:, : first - begin].zero_()
        products[:, max(0, last - begin) :].zero_()
        for window, found in zip(values, made, strict=True):
            if first < last:
                torch.mm(filters, window[:, first:last], out=products[:, first - begin : last - begin])
            torch.sum(shifted, 0, out=found[:, start : start + count])
    return made
