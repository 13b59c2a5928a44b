"""How far the accounts of an explanation are from closing."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

SCORE_FLOOR = 0.1
"""Conservation errors are relative to the score, or to this where the score is smaller."""

Numbers = TypeVar("Numbers", Tensor, npt.NDArray[np.float64])


def conservation_error(score: Numbers, *booked: Numbers) -> Numbers:
    """Give ``|score - sum of what is booked| / max(|score|, 0.1)``, for tensors and arrays.

    Parameters
    ----------
    score, *booked : Tensor or ndarray of float64, of one shape
        The explained number and where its relevance went: to the input, to the background that centring
        takes off, to biases and stabilisers, nowhere.
    """
    gap = score
    for part in booked:
        gap = gap - part
    error: Numbers = abs(gap) / abs(score).clip(min=SCORE_FLOOR)
    return error
