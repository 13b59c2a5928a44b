"""What is known of an operation's constants before any batch.

These are asked when a model is converted or prepared, where the host may wait for a number; never in a walk.
"""

import torch
from torch import Tensor

from sparselrp_cli.errors import ModelError


def finite(constant: Tensor) -> Tensor:
    """Replace infinities and NaN, as of a mask, whose entries get no relevance: they stay out of sums."""
    return constant.masked_fill(~constant.isfinite(), 0)


def never_negative(constant: Tensor) -> bool:
    """Whether no number of a constant is negative; on the meta device there are none to look at."""
    return not constant.is_meta and bool((constant >= 0).all())


def takes_relevance(constant: Tensor) -> bool:
    """Whether a constant term has anything to absorb relevance with: more than zeros, infinities and NaN."""
    return bool((finite(constant) != 0).any())


def one_row(value: Tensor, axis: int) -> Tensor:
    """Keep one row of a constant that was made for every sample.

    Raises
    ------
    ModelError
        If the rows differ, as random numbers do.
    """
    row = value.narrow(axis, 0, 1)
    if value.dim() == 1 and torch.equal(value, torch.arange(len(value)).to(value)):
        raise ModelError(
            "the model numbers its samples (torch.arange over the batch), so that it can't be seen whether it"
            " keeps them apart; write x[:, i] for x[torch.arange(len(x)), i]"
        )
    if not torch.equal(row.expand_as(value), value):
        raise ModelError("the model makes different numbers for each sample (random?); it can't be explained")
    return row.clone()
