"""The backward walk: relevance from the explained outputs to the input, node by node.

The walk carries a multiplier ``c`` per neuron, with relevance ``r = a c``; see `graph.operation`. In a graph
every node follows what it reads. On the way back whatever reads a tensor therefore had its turn before the
tensor: its multiplier is complete, and is pruned, before it is carried on.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.in_blocks import InBlocks
from sparselrp_cli.graph.operation import Pulled
from sparselrp_cli.relevance.forward import ForwardPass, accumulate
from sparselrp_cli.relevance.ledger import Ledger
from sparselrp_cli.relevance.masked import MaskedLayers
from sparselrp_cli.relevance.nested import pull_in_blocks
from sparselrp_cli.relevance.offsets import Offsets
from sparselrp_cli.relevance.pruning import Pruned, scale_to_mass
from sparselrp_cli.relevance.step import Denominators


def walk(forward: ForwardPass, seeds: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None, Ledger]:
    """Carry multipliers from the explained outputs to the input.

    Parameters
    ----------
    forward : ForwardPass
    seeds : mapping of str to Tensor
        For each explained output node, the multiplier it starts with: the functional's weights.

    Returns
    -------
    multiplier : Tensor
        At the input, shaped as it.
    offset : Tensor or None
        Relevance at the input that doesn't depend on it (rules flat, w-square and z-box), shaped as it.
    ledger : Ledger
    """
    selecting = forward.program.selecting
    if selecting is None:
        return _Walk(forward, seeds).run()
    denominators = Denominators(keep=forward.denominators.keep)
    first = _Walk(replace(forward, program=selecting, denominators=denominators, once=False), seeds, kept={})
    first.run()
    return _Walk(forward, seeds, selected=first.kept).run()


class _Walk:
    """One walk.

    Parameters
    ----------
    forward : ForwardPass
    seeds : mapping of str to Tensor
    selected : mapping of str to Tensor, or None
        For each pruned tensor which neurons another walk kept, 1 or 0, as (N, neurons).
    kept : dict or None
        Where to note so what this walk keeps.
    """

    def __init__(
        self, forward: ForwardPass, seeds: Mapping[str, Tensor],
        selected: Mapping[str, Tensor] | None = None, kept: dict[str, Tensor] | None = None,
    ) -> None:  # fmt: skip
        self.forward = forward
        self.selected, self.kept = selected, kept
        self.program = forward.program
        self.multipliers = dict(seeds)
        x = forward.values[self.program.graph.input]
        self.ledger = Ledger.empty(x.shape[0], x.device)
        self.offsets = Offsets(forward, self.ledger)
        self.masked = MaskedLayers(forward, self.ledger)

    def run(self) -> tuple[Tensor, Tensor | None, Ledger]:
        for node in reversed(self.program.graph.nodes):
            self.forward.reach(node)
            self.offsets.move(node)
            c = self._complete(node.name)
            if c is not None:
                for name, part in zip(node.inputs, self._pull(node, c), strict=True):
                    accumulate(self.multipliers, name, part)
            # PLRP-M comes back to these once it knows what the tensor they read keeps.
            if node.name not in self.program.read_again:
                self.forward.let_go(node.name)
            self.forward.leave(node)
        return self._arrived(self.program.graph.input), self.offsets.of(self.program.graph.input), self.ledger

    def _arrived(self, name: str) -> Tensor:
        """Give the multiplier at the input, zeros where no relevance got there."""
        c = self.multipliers.get(name)
        return torch.zeros_like(self.forward.values[name]) if c is None else c

    def _complete(self, name: str) -> Tensor | None:
        """Give a tensor's multiplier, pruned if it is to be; None where no relevance arrives."""
        c = self.multipliers.pop(name, None)
        if self.masked.reads(name):
            return self.masked.prune(name, c)
        return c if c is None or name not in self.program.pruning else self._prune(name, c)

    def _pull(self, node: Node, c: Tensor) -> Pulled:
        """Carry a multiplier through one node; what doesn't get to its inputs is booked."""
        if node.name in self.program.masked_readings:
            self.masked.defer(node, c)
            return (None,)
        if isinstance(node.operation, InBlocks):
            return pull_in_blocks(self.forward, node, node.operation, c, self._carry)
        return self._carry(self.forward, node, c)

    def _carry(self, forward: ForwardPass, node: Node, c: Tensor) -> Pulled:
        """Carry a multiplier through one node by its rule, or as its kind says, and book the rest."""
        if node.name in forward.program.layers:
            step = forward.step(node, c)
            self.ledger.book(step.to_bias, step.to_stabiliser)
            self.offsets.give(node.inputs[0], step.offset)
            return (step.multiplier,)
        at = forward.at(node)
        taken, samples = node.operation.absorbed(c, at), forward.samples[node.name]
        self.ledger.absorb(taken, samples, of_tokens=node.operation.absorbs_tokens)
        return node.operation.pull(c, at)

    def _prune(self, name: str, c: Tensor) -> Tensor:
        """Prune by PLRP-lambda: the survivors of each sign take its mass."""
        order = self.forward.order(name)
        a, c = order.rows(self.forward.values[name]), order.rows(c)
        pruned = (
            self.program.pruning[name].scale(a, c)
            if self.selected is None
            else _by_selection(a, c, self.selected[name])
        )
        if self.kept is not None:
            self.kept[name] = (pruned.multiplier != 0).to(c.dtype)
        self.ledger.lost += pruned.lost
        self.ledger.record(name, self.program.neurons[name], pruned)
        return order.shaped(pruned.multiplier)


def _by_selection(a: Tensor, c: Tensor, keep: Tensor) -> Pruned:
    """Keep the neurons that another walk kept; the survivors of each sign take its mass."""
    scaled, lost = scale_to_mass(a, c, keep)
    return Pruned.of(a * c, keep.bool(), scaled, lost)
