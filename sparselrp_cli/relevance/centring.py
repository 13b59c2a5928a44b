"""Contributions against a base composition: what all four bases of a position share is booked apart.

One-hot columns sum to 1. So a number added to all four weights of a first-layer tap and taken off the bias
is the same function on DNA, and yet moves an uncentred map. Centring takes that freedom away; it changes no
difference between two bases of a position.

Source: Majdandzic et al. 2023 (Genome Biology 24:109) for gradients; for relevance [ours].
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance.rows import sums


class Centre:
    """A base composition, against which contributions are given.

    Parameters
    ----------
    composition : sequence of float
        Of the strand the model reads, in the order of its bases; they add up to 1.
    base_axis : int
        The axis of the input that holds the bases.
    """

    def __init__(self, composition: Sequence[float], base_axis: int, like: Tensor) -> None:
        shape = [1] * like.dim()
        shape[base_axis] = len(composition)
        if like.shape[base_axis] != len(composition):
            raise ValueError(f"{len(composition)} bases don't fit the axis of {like.shape[base_axis]}")
        self.composition = torch.tensor(composition, dtype=like.dtype, device=like.device).reshape(shape)
        self.base_axis = base_axis

    def apply(self, c: Tensor, x: Tensor, samples: Samples) -> tuple[Tensor, Tensor]:
        """Centre multipliers, ``c_b - sum_b' pi_b' c_b'``.

        Parameters
        ----------
        c, x : Tensor, shaped as the input
            Multipliers at the input, and the input.

        Returns
        -------
        centred : Tensor, shaped as the input
        background : Tensor of float64, shape (N,)
            What that takes off the relevance ``sum x c``.
        """
        mean = (c * self.composition).sum(self.base_axis, keepdim=True)
        return c - mean, sums(x.sum(self.base_axis, keepdim=True) * mean, samples)
