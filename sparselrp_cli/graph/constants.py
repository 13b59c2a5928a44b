"""What is known of an operation's constants before any batch.

These are asked when a model is converted or prepared, where the host may wait for a number; never in a walk.
"""

from torch import Tensor


def finite(constant: Tensor) -> Tensor:
    """Replace the infinities of a mask, whose entries get no relevance, so that they stay out of sums."""
    return constant.masked_fill(constant.isinf(), 0)


def never_negative(constant: Tensor) -> bool:
    """Whether no number of a constant is negative; on the meta device there are none to look at."""
    return not constant.is_meta and bool((constant >= 0).all())


def takes_relevance(constant: Tensor) -> bool:
    """Whether a constant term has anything to absorb relevance with: more than zeros and infinities."""
    return bool((finite(constant) != 0).any())
