"""How far a batch is: for networks of which one window takes minutes."""

import time
from collections.abc import Callable

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.shapes import numbers
from sparselrp_cli.relevance.keeping import Keeping

EVERY = 20.0
"""Seconds between two words on a batch; one that is done sooner isn't spoken of."""
_WALK = 2
"""How much longer a walk takes at an operation than the forward pass."""

Say = Callable[[float], None]
"""Is told the share of a batch's work that is done."""


class Pace:
    """Counts the multiply-adds of the operations that a batch has passed, and says so now and then.

    Parameters
    ----------
    graph : CanonicalGraph
    keeping : Keeping
    walks : int
        How many there will be.
    say : callable
    """

    def __init__(self, graph: CanonicalGraph, keeping: Keeping, walks: int, say: Say) -> None:
        shapes = {graph.input: graph.input_shape, **{node.name: node.shape for node in graph.nodes}}
        self._work = {
            node.name: numbers(node.shape)
            + (
                0
                if node.operation.transport
                else node.operation.work([shapes[i] for i in node.inputs], node.shape)
            )
            for node in graph.nodes
        }
        once = sum(self._work.values())
        again = sum(self._work[node.name] for part in keeping.again.values() for node in part.nodes)
        self._total = once + walks * (_WALK * once + again)
        self._done = 0
        self._say = say
        self._last = time.monotonic()

    def computed(self, node: Node) -> None:
        """Note that an operation was computed."""
        self._pass(self._work[node.name])

    def walked(self, node: Node) -> None:
        """Note that the walk has passed an operation."""
        self._pass(_WALK * self._work[node.name])

    def _pass(self, work: int) -> None:
        self._done += work
        now = time.monotonic()
        if now - self._last >= EVERY:
            self._last = now
            self._say(min(1.0, self._done / max(1, self._total)))
