"""In-silico mutagenesis: what the score does when one base is changed."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from sparselrp_cli.evaluation.effects import observed_effects
from sparselrp_cli.evaluation.faithfulness import Doubles, OneHot, Scores

Numbers = npt.NDArray[np.intp]
Advance = Callable[[int], object]
"""Is told how many changes have been scored since it was told before."""

AT_ONCE = 256
"""Windows; bounds the memory of the changes of a long one."""


def mutagenesis(one_hot: OneHot, scores: Scores) -> Doubles:
    """Score every single change of a window: what the observed bases do.

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (4, L)

    Returns
    -------
    ndarray, shape (L,)
        The score less the mean of the scores with the three other bases there; 0 at unknown bases.
    """
    return observed_effects(effects(one_hot, scores))


def effects(one_hot: OneHot, scores: Scores, advance: Advance = int) -> Doubles:
    """Score every single change of a window, one by one.

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (4, L)
    scores : callable
    advance : callable
        Is told of every change; of those at unknown positions, too.

    Returns
    -------
    ndarray, shape (4, L)
        The score with that base there less the score of the window; 0 at the observed base, and where it is
        unknown.
    """
    found = np.zeros(one_hot.shape)
    (score,) = scores(one_hot[np.newaxis])
    changes = np.argwhere((one_hot == 0) & one_hot.any(axis=0))
    for part in _parts(changes):
        windows = np.repeat(one_hot[np.newaxis], len(part), axis=0)
        bases, positions = part.T
        windows[np.arange(len(part)), :, positions] = 0
        windows[np.arange(len(part)), bases, positions] = 1
        found[bases, positions] = scores(windows) - score
        advance(len(part))
    advance(3 * one_hot.shape[1] - len(changes))
    return found


def _parts(changes: Numbers) -> Iterator[Numbers]:
    for first in range(0, len(changes), AT_ONCE):
        yield changes[first : first + AT_ONCE]
