"""Large tensors in pieces, so that what is made of them on the way takes little memory."""

import math
from collections.abc import Iterator

from torch import Tensor

LARGEST_PIECE = 1 << 24
"""Numbers."""


def pieces(*tensors: Tensor, axis: int | None = None) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors along an axis on which they are equally long.

    Parameters
    ----------
    tensors : Tensor
        The first says how many pieces there are: one unless it is large.
    axis : int, optional
        By default the longest of the first.
    """
    shape = tensors[0].shape
    if axis is None:
        axis = max(range(len(shape)), key=shape.__getitem__, default=0)
    count = math.ceil(tensors[0].numel() / LARGEST_PIECE)
    if count <= 1:
        yield tensors
        return
    yield from zip(*(tensor.chunk(count, axis) for tensor in tensors), strict=True)
