"""Sequences that motifs are put into: given windows, or shuffles of them."""

import logging
from collections.abc import Iterator

import numpy as np

from sparselrp_cli.errors import InputError, number_of
from sparselrp_cli.sequences.one_hot import OneHot, encode, reverse_complement
from sparselrp_cli.sequences.shuffling import LETTERS, shuffle_dinucleotides
from sparselrp_cli.sequences.source import Batch, WindowSource

logger = logging.getLogger("sparselrp")


def read_backgrounds(source: WindowSource, kind: str, n: int, seed: int) -> OneHot:
    """Read windows, evenly from all of a source, as the model reads them.

    Parameters
    ----------
    source : WindowSource
    kind : {"shuffled", "given"}
        Whether their dinucleotides are shuffled. Fewer windows than `n` are shuffled several times each.
    n : int
        How many backgrounds; of given ones at most.
    seed : int
        Of the shuffling.

    Returns
    -------
    ndarray of uint8, shape (N, 4, L)

    Raises
    ------
    InputError
        If there is no window, or the source can be read only once.
    """
    total = source.count()
    if total is None:
        raise InputError("the backgrounds are counted first and can't come from a pipe; write them to a file")
    kept = min(n, total)
    wanted = {i * total // kept for i in range(kept)} if kept else set()
    windows = [*_chosen(source, wanted)]
    if not windows:
        raise InputError("no window to put anything into; see what was skipped, and check the regions")
    if len(windows) < kept:
        logger.warning("%s of %d can't be used", number_of(kept - len(windows), "window"), kept)
    if kind == "given":
        return np.stack(windows)
    letters = [_letters(window) for window in windows]
    return np.stack([encode(shuffle_dinucleotides(letters[i % len(letters)], seed, i)) for i in range(n)])


def seen(batch: Batch, row: int) -> OneHot:
    """Give a window as the model reads it: shape (4, L)."""
    one_hot = batch.one_hot[row]
    return reverse_complement(one_hot) if batch.windows[row].strand == "-" else one_hot


def _chosen(source: WindowSource, wanted: set[int]) -> Iterator[OneHot]:
    """Give the windows of some places of a source; of those that are skipped there is none."""
    for batch in source.batches(1, last=max(wanted, default=-1) + 1):
        if batch.number in wanted and batch.windows:
            yield seen(batch, 0)


def _letters(one_hot: OneHot) -> bytes:
    codes = np.where(one_hot.any(axis=0), one_hot.argmax(axis=0), len(LETTERS) - 1)
    return bytes(LETTERS[code] for code in codes)
