"""In-silico mutagenesis: what the score does when one base is changed."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sparselrp_cli.evaluation.effects import observed_effects
from sparselrp_cli.evaluation.faithfulness import Doubles, OneHot, Scores
from sparselrp_cli.evaluation.local_changes import Changes, Plan, Planner
from sparselrp_cli.graph.shapes import Samples, Span, numbers
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.rows import sums
from sparselrp_cli.relevance.scoring import Scorer

Numbers = npt.NDArray[np.intp]
Advance = Callable[[int], object]
"""Is told how many changes have been scored since it was told before."""

AT_ONCE = 64
"""Positions whose changes are made at once; bounds the memory of a long window's."""
POSITIONS, MOST_NUMBERS = 16, 1 << 23
"""Positions whose changes go through a network together: few, as they share the span that all of them change;
and how many numbers its largest tensor may have then."""


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
    length = one_hot.shape[1]
    for first in range(0, length, AT_ONCE):
        span = slice(first, min(first + AT_ONCE, length))
        bases, places, copies = _changed(one_hot[:, span])
        if len(copies):
            windows = np.repeat(one_hot[np.newaxis], len(copies), axis=0)
            windows[:, :, span] = copies
            found[bases, first + places] = scores(windows) - score
        advance(3 * (span.stop - first))
    return found


class SingleChanges(Scorer):
    """Scores every single change of windows, from what differs from the window; see `local_changes`.

    Parameters
    ----------
    explainer : Explainer
    layout : InputLayout
    target : int
        Which of the explainer's targets.
    """

    def __init__(self, explainer: Explainer, layout: InputLayout, target: int = 0) -> None:
        super().__init__(explainer, layout, target)
        graph = explainer.graph
        self.planner = Planner(graph)
        self._plans: dict[tuple[int, int], Plan] = {}
        read = {graph.outputs[term.output].node for term in self.target.every_term}
        of_tail = {name for node in self.tail.nodes for name in (node.name, *node.inputs)}
        self._needed = read | of_tail
        largest = max(numbers(node.shape) for node in graph.nodes)
        self.positions = max(1, min(POSITIONS, MOST_NUMBERS // (3 * largest)))

    def effects(
        self,
        one_hot: OneHot,
        advance: Advance = int,
        within: slice = slice(None),
        marked: OneHot | None = None,
    ) -> Doubles:
        """Score every single change of a window, or of a stretch `within` it; see `effects`.

        Parameters
        ----------
        one_hot : ndarray of uint8, shape (4, L)
        advance : callable
        within : slice
        marked : ndarray of uint8, shape (L,), optional
            For targets that read blocks: 1 where a base lies in one.
        """
        found = np.zeros(one_hot.shape)
        begin, length, _ = within.indices(one_hot.shape[1])
        with torch.inference_mode():
            reference = self.explainer.graph.evaluate(self._input(one_hot[np.newaxis]))
            (score,) = self._scores_of(reference, 1, marked)
            changes = Changes(self.planner, reference)
            for first in range(begin, length, self.positions):
                span = slice(first, min(first + self.positions, length))
                bases, places, windows = _changed(one_hot[:, span])
                if len(windows):
                    plan = self._plan(span.start, span.stop)
                    values = changes.evaluate(plan, self._input(windows), self._needed)
                    found[bases, first + places] = self._scores_of(values, len(windows), marked) - score
                advance(3 * (span.stop - span.start))
        return found

    def _plan(self, start: int, stop: int) -> Plan:
        if (start, stop) not in self._plans:
            self._plans[start, stop] = self.planner.plan(Span(3 - self.layout.base_axis, start, stop))
        return self._plans[start, stop]

    def _scores_of(self, values: dict[str, Tensor], n: int, marked: OneHot | None) -> Doubles:
        """Score what the needed tensors hold, as `Scorer.scores` does: shape (n,)."""
        touched = self._touched(None if marked is None else np.broadcast_to(marked, (n, len(marked))))
        terms = self._terms_of(values, touched).items()
        parts = [sums(term, Samples.of(self.planner.shapes[name], n)) for name, term in terms]
        scores: Doubles = (torch.stack(parts).sum(0) + self._beyond(values, touched)).cpu().numpy()
        return scores


def _changed(one_hot: OneHot) -> tuple[Numbers, Numbers, OneHot]:
    """Give the base and the place of each single change of a stretch (4, B), and its changed copies."""
    bases, places = np.nonzero((one_hot == 0) & one_hot.any(axis=0))
    windows = np.repeat(one_hot[np.newaxis], len(bases), axis=0)
    each = np.arange(len(bases))
    windows[each, :, places] = 0
    windows[each, bases, places] = 1
    return bases, places, windows
