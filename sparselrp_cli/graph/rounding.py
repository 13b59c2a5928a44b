"""How far numbers that are equal in theory may differ.

Neurons of the inside of a repeat are equal, but rounding differs with the number of threads, the batch and
the dtype. Where one of them is chosen, by pruning or by a maximum, equal has to mean equal to within a
tolerance, or the explanation depends on all that.
"""

import torch

_TIES = {torch.float64: 2.0**-14, torch.float32: 2.0**-14, torch.float16: 2.0**-8, torch.bfloat16: 2.0**-6}


def ties(dtype: torch.dtype) -> float:
    """Give the relative tolerance in which numbers count as equal.

    It is well above the rounding that a deep network adds up, and the same for float32 and float64, so that
    both choose the same neurons.
    """
    return _TIES[dtype]
