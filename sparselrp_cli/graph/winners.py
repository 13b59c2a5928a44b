"""Who wins a maximum: the first of those that equal the largest to within rounding [ours]."""

import torch
from torch import Tensor

from sparselrp_cli.graph.rounding import ties


def least_winner(largest: Tensor) -> Tensor:
    """Give the least number that equals the largest."""
    return largest - largest.abs() * ties(largest.dtype)


def first_winner(numbers: Tensor, largest: Tensor) -> Tensor:
    """Give the place of the first winner along the last axis, which is kept with length 1.

    Parameters
    ----------
    numbers : Tensor, shape (..., n)
    largest : Tensor, shape (..., 1)
    """
    return (numbers >= least_winner(largest)).to(torch.uint8).argmax(-1, keepdim=True)


def winners_share(winner: Tensor, largest: Tensor) -> Tensor:
    """Give the factor of a winner's multiplier: it takes the relevance that the largest would.

    1 unless it is smaller by rounding.
    """
    return torch.where(winner == largest, 1.0, largest / torch.where(winner == largest, 1.0, winner))
