"""Explain batches: one forward pass, then one backward walk for each target."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sparselrp_cli.model.graph import CanonicalGraph
from sparselrp_cli.model.operations import Layer
from sparselrp_cli.model.targets import OutputNames, Target
from sparselrp_cli.relevance.composites import DEFAULT, PRESETS, Composite
from sparselrp_cli.relevance.ledger import Ledger
from sparselrp_cli.relevance.plan import plan_pruning
from sparselrp_cli.relevance.pruning import STANDARD, Pruning
from sparselrp_cli.relevance.rules import Rule
from sparselrp_cli.relevance.signs import non_negative_tensors
from sparselrp_cli.relevance.step import PreparedLayer
from sparselrp_cli.relevance.walk import ForwardPass, Program, walk

SCORE_FLOOR = 0.1
"""Conservation errors are relative to the score, or to this where the score is smaller."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The relevance of one batch for one target, with its accounts.

    Attributes
    ----------
    hypothetical : Tensor, shaped as the input
        Multipliers at the input: the hypothetical contributions.
    contributions : Tensor, shaped as the input
        Input times `hypothetical`: relevance.
    score, relevance, absorbed, lost : Tensor of float64, shape (N,)
        The explained number and where its relevance went: to the input, to biases and stabilisers, nowhere.
    ledger : Ledger
    """

    hypothetical: Tensor
    contributions: Tensor
    score: Tensor
    relevance: Tensor
    absorbed: Tensor
    lost: Tensor
    ledger: Ledger

    @property
    def conservation_error(self) -> Tensor:
        """``|score - relevance - absorbed - lost| / max(|score|, 0.1)``, shape (N,)."""
        gap = self.score - self.relevance - self.absorbed - self.lost
        return gap.abs() / self.score.abs().clamp(min=SCORE_FLOOR)


class Explainer:
    """Explains a model by pruned layer-wise relevance propagation.

    Parameters
    ----------
    graph : CanonicalGraph
    names : sequence of OutputNames, one for each output
    composite : Composite
        Which rule each layer gets.
    pruning : Pruning
    targets : sequence of Target
    input_non_negative : bool
        Whether inputs never hold negative values, as one-hot sequences don't.

    Raises
    ------
    UnsupportedOperationError
        If an operation between the input and a target has no rule.
    ModelError
        If a target's output doesn't depend on the input.
    """

    def __init__(
        self,
        graph: CanonicalGraph,
        targets: Sequence[Target],
        names: Sequence[OutputNames] | None = None,
        composite: Composite = PRESETS[DEFAULT],
        pruning: Pruning = STANDARD,
        *,
        input_non_negative: bool = True,
    ) -> None:
        explained = tuple(sorted({term.output for target in targets for term in target.terms}))
        for output in explained:
            graph.require_path(output)
        graph = graph.restricted(explained)
        graph.require_supported()
        self.graph = graph
        self.targets = tuple(targets)
        self.names = tuple(names) if names else tuple(OutputNames(o.name) for o in graph.outputs)
        self.rules: dict[str, Rule] = composite.resolve(graph)
        self.program = self._prepare(graph, pruning, input_non_negative)

    def _prepare(self, graph: CanonicalGraph, pruning: Pruning, input_non_negative: bool) -> Program:
        non_negative = non_negative_tensors(graph, input_non_negative)
        layers = {}
        for node in graph.nodes:
            if isinstance(node.operation, Layer):
                rule = self.rules[node.name]
                layers[node.name] = PreparedLayer.prepare(
                    node.operation, rule, node.inputs[0] in non_negative
                )
        return Program(graph, layers, plan_pruning(graph), pruning)

    def explain(self, x: Tensor, *, mirrored: bool = False) -> list[Explanation]:
        """Explain a batch.

        Parameters
        ----------
        x : Tensor, shape (N, ...)
            As the model takes it, on the graph's device and of its dtype.
        mirrored : bool
            Whether `x` holds reverse complements: positions of targets are then counted from the other end.

        Returns
        -------
        list of Explanation
            One for each target.
        """
        targets = self.targets
        if mirrored:
            targets = tuple(t.mirrored(self.graph.outputs, self.names) for t in targets)
        with torch.inference_mode():
            fixed = self.graph.fixed_batch
            if fixed is None:
                return self._explain(x, targets)
            return self._explain_in_fixed_batches(x, targets, fixed)

    def _explain(self, x: Tensor, targets: Sequence[Target]) -> list[Explanation]:
        forward = ForwardPass.run(self.graph, x)
        return [self._explain_target(forward, target) for target in targets]

    def _explain_target(self, forward: ForwardPass, target: Target) -> Explanation:
        seeds = target.seeds(self.graph.outputs, self.names, forward.values)
        score = sum(
            (forward.values[name].double() * seed.double()).reshape(forward.n_samples, -1).sum(1)
            for name, seed in seeds.items()
        )
        hypothetical, ledger = walk(self.program, forward, seeds)
        contributions = forward.values[self.graph.input] * hypothetical
        return Explanation(
            hypothetical=hypothetical,
            contributions=contributions,
            score=torch.as_tensor(score),
            relevance=contributions.reshape(forward.n_samples, -1).sum(1, dtype=torch.float64),
            absorbed=ledger.absorbed,
            lost=ledger.lost,
            ledger=ledger,
        )

    def _explain_in_fixed_batches(self, x: Tensor, targets: Sequence[Target], size: int) -> list[Explanation]:
        """Explain a model that takes only batches of one size: the last is filled up with zeros."""
        parts = []
        for start in range(0, x.shape[0], size):
            part = x[start : start + size]
            filled = torch.cat([part, part.new_zeros(size - len(part), *part.shape[1:])])
            explained = self._explain(filled, targets)
            parts.append([_first(e, len(part)) for e in explained])
        return [_joined(list(column)) for column in zip(*parts, strict=True)]


_PER_SAMPLE = ("hypothetical", "contributions", "score", "relevance", "absorbed", "lost")


def _first(explanation: Explanation, n: int) -> Explanation:
    return replace(explanation, **{name: getattr(explanation, name)[:n] for name in _PER_SAMPLE})


def _joined(parts: list[Explanation]) -> Explanation:
    """Put explanations of consecutive samples together; the ledger is the first part's."""
    together: dict[str, Any] = {name: torch.cat([getattr(p, name) for p in parts]) for name in _PER_SAMPLE}
    return replace(parts[0], **together)
