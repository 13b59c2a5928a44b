"""In-silico mutagenesis: what the score does when one base is changed."""

import numpy as np

from sparselrp_cli.evaluation.faithfulness import Doubles, OneHot, Scores


def mutagenesis(one_hot: OneHot, scores: Scores) -> Doubles:
    """Score every single change of a window.

    Parameters
    ----------
    one_hot : ndarray of uint8, shape (4, L)

    Returns
    -------
    ndarray, shape (L,)
        The score less the mean of the scores with the three other bases there; 0 at unknown bases.
    """
    known = np.flatnonzero(one_hot.any(axis=0))
    observed = one_hot.argmax(axis=0)
    changed = []
    for position in known:
        for step in (1, 2, 3):
            window = one_hot.copy()
            window[:, position] = 0
            window[(observed[position] + step) % 4, position] = 1
            changed.append(window)
    values = np.zeros(one_hot.shape[1])
    if changed:
        found = scores(np.stack([one_hot, *changed]))
        values[known] = found[0] - found[1:].reshape(-1, 3).mean(axis=1)
    return values
