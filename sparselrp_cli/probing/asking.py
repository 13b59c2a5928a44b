"""Scores and relevance of windows that a run of models gives, all targets at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from sparselrp_cli.errors import InputError, WindowError
from sparselrp_cli.relevance.scoring import Scorer
from sparselrp_cli.runs.models import PreparedModel, averaged
from sparselrp_cli.sequences.one_hot import OneHot, reverse_complement

Doubles = npt.NDArray[np.float64]


class Asked:
    """Models that are asked as one: means over them, and over both strands where the run averages these.

    Parameters
    ----------
    models : sequence of PreparedModel
    batch_size : int
        Windows that go through the models together.
    both_strands : bool

    Raises
    ------
    InputError
        If a target reads blocks, which made sequences don't have.
    """

    def __init__(self, models: Sequence[PreparedModel], batch_size: int, *, both_strands: bool) -> None:
        if any(model.explainer.bins for model in models):
            raise InputError(
                "a target with @blocks reads the blocks of regions, which made sequences don't have; name"
                " positions such as @START:END"
            )
        self.targets = [target.name for target in models[0].explainer.targets]
        self.batch_size, self.both_strands = batch_size, both_strands
        self._windows = averaged([model.windows for model in models])
        self._scorers = [
            [Scorer(model.explainer, model.model.layout, t) for model in models]
            for t in range(len(self.targets))
        ]

    def scores(self, one_hot: OneHot) -> Doubles:
        """Score windows (n, 4, L), as mutagenesis does: shape (T, n).

        Of ends that are held linear it is what the model itself gives, which compares between sequences.
        """
        return np.concatenate([self._scores(part) for part in self._parts(one_hot)], axis=1)

    def contributions(self, one_hot: OneHot) -> Doubles:
        """Explain windows (n, 4, L): contributions of their bases, shape (T, n, L)."""
        return np.concatenate([self._contributions(part) for part in self._parts(one_hot)], axis=1)

    def _scores(self, one_hot: OneHot) -> Doubles:
        both = (one_hot, reverse_complement(one_hot)) if self.both_strands else (one_hot,)
        with _saying():
            return np.stack(
                [
                    np.mean([scorer.scores(x) for scorer in scorers for x in both], axis=0)
                    for scorers in self._scorers
                ]
            )

    def _contributions(self, one_hot: OneHot) -> Doubles:
        with _saying():
            explained = self._windows.explain(one_hot, [False] * len(one_hot))
        found: Doubles = np.einsum("tnbl,nbl->tnl", explained.hypothetical.astype(np.float64), one_hot)
        return found

    def _parts(self, one_hot: OneHot) -> Iterator[OneHot]:
        for first in range(0, len(one_hot), self.batch_size):
            yield one_hot[first : first + self.batch_size]


@contextmanager
def _saying() -> Iterator[None]:
    """Say of a window that the model can't take that it was made here."""
    try:
        yield
    except WindowError as error:
        raise error.named(f"{error.row + 1} of those made here") from error
